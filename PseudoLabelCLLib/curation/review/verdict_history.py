"""Verdicts that were replaced, and verdicts that were taken back: both stay in the history."""

import filecmp
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.curation.review.history import keep_in_history
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.review import Review
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error, written_aside
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import read_review, save_review

TAKEN_BACK_FOLDER = "taken_back"


@dataclass(frozen=True)
class KeptVerdict:
    """A verdict in the history.

    Args:
        file: Where it lies.
        review: What it says; its files lie in the history too.
    """

    file: Path
    review: Review


def replaced_verdicts(layout: ProjectLayout, standing: Review) -> tuple[KeptVerdict, ...]:
    """Return the verdicts that this one replaced on the same proposal, oldest first.

    A kill between two files can leave the standing verdict in the history as well; it is no
    earlier one and is left out.

    Raises:
        ProjectDamagedError: A verdict is not what was written there, or is another case's.
        StorageError: It cannot be read.
    """
    folder = layout.review_history(standing.round_index)
    numbered = re.compile(re.escape(standing.case_id) + r"\.(\d+)\.json", re.IGNORECASE)
    found = {
        int(match.group(1)): file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if (match := numbered.fullmatch(file.name))
    }
    case_id, index = standing.case_id, standing.round_index
    kept = [
        KeptVerdict(file, read_review(layout, file, case_id, index))
        for _, file in sorted(found.items())
    ]
    while kept and _is_same(layout, kept[-1].review, standing):
        kept.pop()
    return tuple(kept)


def files_of_verdict(layout: ProjectLayout, round_index: int, case_id: str) -> tuple[Path, ...]:
    """Return where the segmentation of a verdict lies, and the mask of what counts of it."""
    return (
        layout.reviewed_segmentation(round_index, case_id),
        layout.truth_mask(round_index, case_id),
    )


def with_files_at(review: Review, places: Mapping[str, str]) -> Review:
    """Return a verdict whose files lie elsewhere.

    Args:
        review: The verdict.
        places: Where they lie now by where they lay, as the project stores paths.
    """
    segmentation, mask = review.segmentation, review.truth_mask
    return replace(
        review,
        segmentation=segmentation and places.get(segmentation, segmentation),
        truth_mask=mask and places.get(mask, mask),
    )


def keep_taken_back(layout: ProjectLayout, review: Review) -> None:
    """Copy the standing verdict with its files to `history/taken_back/`.

    The standing verdict points to the copies afterwards, so that its files can be written over. A
    file that is gone keeps nothing from being taken back.

    Raises:
        StorageError: The disk refuses.
    """
    folder = layout.review_history(review.round_index, TAKEN_BACK_FOLDER)
    _make_folders(folder)
    number = 1
    while any(folder.glob(f"{_escaped(review.case_id)}.{number}.*")):
        number += 1
    places = files_of_verdict(layout, review.round_index, review.case_id)
    for place in places:
        if place.exists() and layout.relative(place) not in review.files:
            keep_in_history(layout, place)  # a kill between two files left it without its verdict
    copies = {}
    for file, place in zip((review.segmentation, review.truth_mask), places, strict=True):
        if file is not None and layout.own(file).is_file():
            suffix = place.name[len(review.case_id) :]
            copy = folder / f"{review.case_id}.{number}{suffix}"
            _copy(layout.own(file), copy)
            copies[file] = layout.relative(copy)
    if copies:
        save_review(layout.root, with_files_at(review, copies))
    _copy(
        layout.review(review.round_index, review.case_id),
        folder / f"{review.case_id}.{number}.json",
    )


def put_verdict_back(layout: ProjectLayout, kept: KeptVerdict) -> Review:
    """Let an earlier verdict count again, in its own words and with its own files.

    The one that stands must have been copied to the history, see `keep_taken_back`; then at every
    moment the verdict on disk goes with the files that it names.

    Raises:
        ReviewError: An earlier file is gone.
        StorageError: The disk refuses.
    """
    review, places = kept.review, {}
    own = files_of_verdict(layout, review.round_index, review.case_id)
    for file, place in zip((review.segmentation, review.truth_mask), own, strict=True):
        if file is not None:
            _copy(layout.own(file), place)
            places[file] = layout.relative(place)
    review = with_files_at(review, places)
    save_review(layout.root, review)
    remove_file(kept.file)
    for place in own:
        if layout.relative(place) not in review.files:
            remove_file(place)
    return review


def require_files(layout: ProjectLayout, review: Review) -> None:
    """Refuse a verdict whose segmentation, or the mask of what counts of it, is gone.

    Raises:
        ReviewError: It is.
    """
    for file in review.files:
        if not layout.own(file).is_file():
            what = Text("segmentation") if file == review.segmentation else Text("mask")
            raise ReviewError(
                Text(
                    "The {what} of the verdict on case '{case}' is missing ('{file}').",
                    what=what,
                    case=review.case_id,
                    file=file,
                ),
                Text("Restore it from a backup, or review the proposal again."),
            )


def forget_verdict(layout: ProjectLayout, review: Review) -> None:
    """Remove the verdict that stands, once a copy of it lies in the history.

    Raises:
        StorageError: The disk refuses.
    """
    remove_file(layout.review(review.round_index, review.case_id))
    for place in files_of_verdict(layout, review.round_index, review.case_id):
        remove_file(place)


def _is_same(layout: ProjectLayout, one: Review, other: Review) -> bool:
    if _without_files(one) != _without_files(other) or len(one.files) != len(other.files):
        return False
    pairs = zip(one.files, other.files, strict=True)
    return all(_is_same_file(layout.own(a), layout.own(b)) for a, b in pairs)


def _without_files(review: Review) -> tuple[object, ...]:
    return (
        review.case_id, review.round_index, review.verdict, review.truth_slices, review.time,
        review.left_out, review.author, review.origin,
    )  # fmt: skip


def _is_same_file(first: Path, second: Path) -> bool:
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


def remove_file(file: Path) -> None:
    """Remove a file of a verdict, if it is there.

    Raises:
        StorageError: The disk refuses.
    """
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(file, error, action="removed") from error
