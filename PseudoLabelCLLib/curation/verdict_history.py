"""Verdicts that were replaced, and verdicts that were taken back: both stay in the history."""

import filecmp
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.curation.history import HISTORY_FOLDER, keep_in_history
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.review import Review
from PseudoLabelCLLib.storage.atomic_files import read_json, storage_error, written_aside
from PseudoLabelCLLib.storage.json_codec import from_json
from PseudoLabelCLLib.storage.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project_store import save_review

TAKEN_BACK_FOLDER = "taken_back"


@dataclass(frozen=True)
class KeptVerdict:
    """A verdict in the history.

    Args:
        file: Where it lies.
        review: What it says; its segmentation lies in the history too.
    """

    file: Path
    review: Review


def replaced_verdicts(layout: ProjectLayout, standing: Review) -> tuple[KeptVerdict, ...]:
    """Return the verdicts that this one replaced on the same proposal, oldest first.

    A kill between two files can leave the standing verdict in the history as well; it is no
    earlier one and is left out.

    Raises:
        ProjectDamagedError: A verdict is not what was written there.
        StorageError: It cannot be read.
    """
    folder = layout.review_folder(standing.round_index) / HISTORY_FOLDER
    numbered = re.compile(re.escape(standing.case_id) + r"\.(\d+)\.json", re.IGNORECASE)
    found = {
        int(match.group(1)): file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if (match := numbered.fullmatch(file.name))
    }
    kept = [KeptVerdict(found[number], _read_review(found[number])) for number in sorted(found)]
    while kept and _is_same(layout, kept[-1].review, standing):
        kept.pop()
    return tuple(kept)


def keep_taken_back(layout: ProjectLayout, review: Review) -> None:
    """Copy the standing verdict with its segmentation to `history/taken_back/`.

    The standing verdict points to the copy afterwards, so that its segmentation can be written
    over. A segmentation that is gone keeps nothing from being taken back.

    Raises:
        StorageError: The disk refuses.
    """
    folder = layout.review_folder(review.round_index) / HISTORY_FOLDER / TAKEN_BACK_FOLDER
    _make_folders(folder)
    number = 1
    while any(folder.glob(f"{_escaped(review.case_id)}.{number}.*")):
        number += 1
    place = layout.reviewed_segmentation(review.round_index, review.case_id)
    if place.exists() and review.segmentation != layout.relative(place):
        keep_in_history(place)  # a kill between two files left it without its verdict
    if review.segmentation is not None and layout.resolve(review.segmentation).is_file():
        copy = folder / f"{review.case_id}.{number}.seg.nrrd"
        _copy(layout.resolve(review.segmentation), copy)
        save_review(layout.root, replace(review, segmentation=layout.relative(copy)))
    _copy(
        layout.review(review.round_index, review.case_id),
        folder / f"{review.case_id}.{number}.json",
    )


def put_verdict_back(layout: ProjectLayout, kept: KeptVerdict) -> Review:
    """Let an earlier verdict count again, in its own words and with its own segmentation.

    The one that stands must have been copied to the history, see `keep_taken_back`; then at every
    moment the verdict on disk goes with the segmentation that it names.

    Raises:
        ReviewError: The earlier segmentation is gone.
        StorageError: The disk refuses.
    """
    review = kept.review
    place = layout.reviewed_segmentation(review.round_index, review.case_id)
    if review.segmentation is not None:
        _copy(layout.resolve(review.segmentation), place)
        review = replace(review, segmentation=layout.relative(place))
    save_review(layout.root, review)
    _remove(kept.file)
    if review.segmentation is None:
        _remove(place)
    return review


def require_segmentation(layout: ProjectLayout, review: Review) -> None:
    """Refuse a verdict whose segmentation is gone.

    Raises:
        ReviewError: It is.
    """
    if review.segmentation is not None and not layout.resolve(review.segmentation).is_file():
        raise ReviewError(
            f"The segmentation of the verdict on case '{review.case_id}' is gone "
            f"('{review.segmentation}').",
            "Restore it from a backup, or judge the proposal again.",
        )


def forget_verdict(layout: ProjectLayout, review: Review) -> None:
    """Remove the verdict that stands, once a copy of it lies in the history.

    Raises:
        StorageError: The disk refuses.
    """
    _remove(layout.review(review.round_index, review.case_id))
    _remove(layout.reviewed_segmentation(review.round_index, review.case_id))


def _read_review(file: Path) -> Review:
    value = read_json(file)
    if isinstance(value, dict):
        value = {name: item for name, item in value.items() if name != "schema_version"}
    return from_json(Review, value, f"{HISTORY_FOLDER}/{file.name}")


def _is_same(layout: ProjectLayout, one: Review, other: Review) -> bool:
    if one.verdict is not other.verdict:
        return False
    if replace(one, segmentation=other.segmentation) != other:
        return False
    if one.segmentation is None or other.segmentation is None:
        return True
    first, second = layout.resolve(one.segmentation), layout.resolve(other.segmentation)
    if not (first.is_file() and second.is_file()):
        return first == second
    return filecmp.cmp(first, second, shallow=False)


def _make_folders(folder: Path) -> None:
    try:
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _copy(source: Path, target: Path) -> None:
    with written_aside(target) as temporary:
        shutil.copyfile(source, temporary)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(file, error, action="removed") from error
