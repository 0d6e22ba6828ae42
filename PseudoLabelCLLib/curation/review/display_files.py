"""The raw arrays from which a case is shown, kept in the folder `view` while nothing changes."""

import contextlib
import filecmp
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.grids.stored_files import read_doubt, read_labels
from PseudoLabelCLLib.curation.review.proposals import ProposalFingerprints, is_proposed
from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import ReviewError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import ProposalIdentity, Review, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import CaseFiles
from PseudoLabelCLLib.messages.json_codec import JsonValue, to_json
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, storage_error, written_aside
from PseudoLabelCLLib.storage.files.own_seals import SealedFiles, sealing
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.volume_io import read_volume

_own = SealedFiles()
Array = npt.NDArray[Any]
_NPY: Any = np.lib.format  # its functions have no types

MAX_KEPT_CASES = 3
# A slice is doubtful if a tenth of what the fullest slice holds may be wrong in it, and half as
# much as in the worst slice: in a poor volume the list must not name every slice.
LEAST_DOUBT = 0.1
SHARE_OF_WORST = 0.5
# Closer slices show the same thing once more.
APART_MM = 5.0


def write_case_files(
    root: Path,
    project: Project,
    case_id: str,
    round_index: int | None,
    with_image: bool,  # noqa: FBT001 - as the request has it
    fingerprints: ProposalFingerprints | None = None,
) -> CaseFiles:
    """Make the arrays of a case, or find those that were made from the same files before.

    They lie under `view/`, where the three cases that were shown last are kept.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_id: The case.
        round_index: The round whose proposal is shown; None takes the newest that has one.
        with_image: Whether the image is wanted too.
        fingerprints: What is known of unchanged proposals.

    Raises:
        ProjectError: There is no such case.
        ReviewError: That round has no proposal for the case.
        VolumeError: An image or a segmentation is unreadable or not the one that was added.
        StorageError: The disk refuses.
    """
    case = project.case(case_id)
    index = _round_to_show(root, project, case, round_index)
    view = CaseArrays(root, project, case)
    review = _review_of(project, case, index)
    layout = ProjectLayout(root)
    # The fingerprint before the voxels: of a file that changes in between, a verdict is refused.
    identity = None if index is None else _identity(layout, case, index, fingerprints)
    proposal = None if index is None else view.labels(f"proposal_{index:02d}", index)
    files = CaseFiles(
        case_id=case.id,
        round_index=index,
        geometry=case.geometry,
        image=view.image() if with_image else None,
        proposal=proposal,
        reviewed=view.reviewed(review, proposal),
        annotation=view.annotation(),
        previous=view.labels(f"proposal_{index - 1:02d}", index - 1) if index else None,
        uncertainty=None if index is None else view.uncertainty(index),
        slicing_axis=project.slicing_axis_of(case.id),
        doubtful_slices=() if index is None else _doubtful(layout, project, case, index),
        identity=identity,
    )
    view.mark_as_shown()
    _remove_old_views(layout, project)
    return files


def doubtful_slices(doubt_per_slice: Sequence[float], spacing_mm: float) -> tuple[int, ...]:
    """Return the slices that a person should look at, most doubtful first.

    Those are at least as doubtful as `LEAST_DOUBT` and as `SHARE_OF_WORST` of the worst; of slices
    less than `APART_MM` apart, and of direct neighbours, the most doubtful stands for all.

    Args:
        doubt_per_slice: 0..1 for each slice.
        spacing_mm: Distance between slices.
    """
    least = max(LEAST_DOUBT, SHARE_OF_WORST * max(doubt_per_slice, default=0.0))
    doubtful = [number for number, doubt in enumerate(doubt_per_slice) if doubt >= least]
    reach = max(1, int(APART_MM / spacing_mm))
    chosen: list[int] = []
    for number in sorted(doubtful, key=lambda number: -doubt_per_slice[number]):
        if all(abs(number - other) > reach for other in chosen):
            chosen.append(number)
    return tuple(chosen)


class CaseArrays:
    """The arrays of one case under `view/`, each made only if its source has changed.

    An array's name holds a key of the source's path, time and size, and of what it was read as. It
    ends in this computer's own seal: those of a project that was elsewhere are made again.
    """

    def __init__(self, root: Path, project: Project, case: Case) -> None:
        self._layout = ProjectLayout(root)
        self._schema = project.schema
        self._case = case
        self._folder = self._layout.shown_case(case.id)
        make_folder(self._folder)

    def image(self) -> str:
        """Return the image in its own data type."""
        case = self._case
        path = self._layout.resolve(case.image)

        def read() -> Array:
            volume = read_volume(path, case.dicom_series_uid, case.geometry)
            return _on_grid(volume.array, volume.geometry, case, Text("image"))

        return self.kept("image", [stamp_of(path), case.dicom_series_uid], read)

    def labels(self, name: str, index: int) -> str | None:
        """Return the proposal of a round, or None if there is none."""
        path = self._layout.proposal(index, self._case.id)
        return self._labels_in(name, path) if path.exists() else None

    def reviewed(self, review: Review | None, proposal: str | None) -> str | None:
        """Return what a verdict left of a proposal; it may be the proposal itself."""
        if review is None or review.segmentation is None:
            return None
        path = self._layout.own(review.segmentation)
        source = self._layout.proposal(review.round_index, self._case.id)
        is_as_proposed = review.verdict is Verdict.ACCEPTED and proposal is not None
        if is_as_proposed and path.exists() and filecmp.cmp(path, source, shallow=False):
            return proposal
        return self._labels_in(f"reviewed_{review.round_index:02d}", path)

    def annotation(self) -> str | None:
        """Return a person's own segmentation of an annotated or validation case."""
        if self._case.annotation is None or not self._case.role.needs_annotation:
            return None
        return self._labels_in("annotation", self._layout.own(self._case.annotation))

    def uncertainty(self, index: int) -> str | None:
        """Return how unsure a round was, or None if that was not written."""
        path = self._layout.uncertainty(index, self._case.id)
        if not path.exists():
            return None

        def read() -> Array:
            volume = read_volume(path)
            array = volume.array.astype(np.float32, copy=False)
            return _on_grid(array, volume.geometry, self._case, Text("uncertainty"))

        return self.kept(f"uncertainty_{index:02d}", [stamp_of(path)], read)

    def mark_as_shown(self) -> None:
        """Note that this case was shown last."""
        with contextlib.suppress(OSError):
            os.utime(self._folder)

    def _labels_in(self, name: str, path: Path) -> str:
        def read() -> Array:
            labels = read_labels(path, self._schema)
            return _on_grid(labels.array, labels.geometry, self._case, Text("segmentation"))

        return self.kept(name, [stamp_of(path), to_json(self._schema)], read)

    def kept(self, name: str, made_of: list[JsonValue], read: Callable[[], Array]) -> str:
        """Return the path of an array, made now if what it is made of has changed.

        Args:
            name: What its file name begins with; earlier arrays of that name are deleted.
            made_of: What the array depends on.
            read: Makes it.
        """
        text = json.dumps([made_of, to_json(self._case.geometry)])
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self._layout.shown_case(self._case.id, f"{name}-{key}.npy")
        what = json.dumps([self._case.id, name, text])
        if not _own.has_own(path, what):
            _write_array(path, read(), what)
            for earlier in self._folder.glob(f"{name}-*.npy"):
                if earlier != path:
                    with contextlib.suppress(OSError):  # Windows deletes no file that is read
                        earlier.unlink()
        return str(path)


def _round_to_show(root: Path, project: Project, case: Case, round_index: int | None) -> int | None:
    layout = ProjectLayout(root)
    shown = [
        round_.index
        for round_ in project.rounds
        if round_.state is not RoundState.TRAINING and is_proposed(layout, round_, case.id)
    ]
    if round_index is None:
        return shown[-1] if shown else None
    if round_index not in shown:
        told = ", ".join(map(str, shown)) or Text("none")
        raise ReviewError(
            Text(
                "Round {index} has no proposal for case '{case}' (rounds with one: {rounds}).",
                index=round_index,
                case=case.id,
                rounds=told,
            ),
            Text("Choose another round."),
        )
    return round_index


def _identity(
    layout: ProjectLayout, case: Case, index: int, fingerprints: ProposalFingerprints | None
) -> ProposalIdentity:
    known = fingerprints or ProposalFingerprints()
    return ProposalIdentity(case.id, index, known.of(layout.proposal(index, case.id)))


def _review_of(project: Project, case: Case, index: int | None) -> Review | None:
    return next((r for r in project.reviews_of(case.id) if r.round_index == index), None)


def _doubtful(layout: ProjectLayout, project: Project, case: Case, index: int) -> tuple[int, ...]:
    doubt = read_doubt(layout.doubt(index, case.id))
    spacing_mm = case.geometry.spacing_mm[project.slicing_axis_of(case.id)]
    return () if doubt is None else doubtful_slices(doubt.doubt_per_slice, spacing_mm)


def _on_grid(array: Array, found: Geometry, case: Case, what: Text) -> Array:
    if not found.is_close_to(case.geometry):
        raise VolumeError(
            Text(
                "The {what} of case '{case}' is not the one that belongs to it: it has "
                "{found}, expected {expected}, or lies elsewhere.",
                what=what,
                case=case.id,
                found=found.describe(),
                expected=case.geometry.describe(),
            ),
            Text("Restore the file, or add the case again."),
        )
    return array


def stamp_of(path: Path) -> JsonValue:
    """Return what changes when a file, or a file in a folder, is rewritten."""
    try:
        if not path.is_dir():
            stat = path.stat()
            return [str(path), stat.st_mtime_ns, stat.st_size]
        with os.scandir(path) as entries:
            stats: list[JsonValue] = [
                [entry.name, entry.stat().st_mtime_ns, entry.stat().st_size]
                for entry in sorted(entries, key=lambda entry: entry.name)
            ]
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    return [str(path), stats]


def _write_array(path: Path, array: Array, what: str) -> None:
    array = np.ascontiguousarray(array)
    with written_aside(path) as temporary, temporary.open("wb") as file:
        # numpy's own writer does not say why a disk refuses
        header = io.BytesIO()
        _NPY.write_array_header_1_0(header, _NPY.header_data_from_array_1_0(array))
        content, seal = array.reshape(-1).view(np.uint8).data, sealing(what)
        for part in (header.getbuffer(), content):
            seal.update(part)
            file.write(part)
        file.write(seal.digest())
    _own.remember(path, what)


def _remove_old_views(layout: ProjectLayout, project: Project) -> None:
    """Delete the views of cases that were shown longest ago; all can be made again.

    What has no case's name is not the program's, and stays.
    """
    with contextlib.suppress(OSError):
        ids = {case.id for case in project.cases}
        names = [entry.name for entry in layout.view.iterdir() if entry.name in ids]
        views = [view for name in names if (view := layout.shown_case(name)).is_dir()]
        views.sort(key=lambda view: -view.stat().st_mtime_ns)
        for view in views[MAX_KEPT_CASES:]:
            shutil.rmtree(view, ignore_errors=True)
