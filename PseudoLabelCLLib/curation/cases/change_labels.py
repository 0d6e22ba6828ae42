"""Changing the structures of a project: their words at any time, themselves before round 0."""

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.grids.stored_files import read_segments
from PseudoLabelCLLib.domain.errors import AnnotationError, ProjectError, VolumeError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import save_cases
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.segments.segment_matching import match_segments
from PseudoLabelCLLib.storage.segments.slicer_segments import Segment


def change_labels(root: Path, project: Project, labels: LabelSchema) -> Project:
    """Give the project other labels.

    Names, colours, codes and clean-up may change at any time. Structures with their values and
    identities may come, go or change only before round 0, and none goes that a person has drawn.
    No change may let a segmentation of the project be read as another structure than before.

    Raises:
        ProjectError: The structures are settled, or a segmentation would change its meaning.
        ProjectInUseError: A training runs while structures change.
        VolumeError: A person's segmentation cannot be read.
        StorageError: The disk refuses.
    """
    is_other = _structures(labels) != _structures(project.schema)
    if is_other:
        _require_unsettled(project)
    lock = project_lock(ProjectLayout(root).worker_lock, Text("changing the structures"))
    with lock if is_other else nullcontext():
        if is_other:
            _require_undrawn(root, project, labels)
        if _words(labels) != _words(project.schema):
            for path in _segmentations(root, project):
                _require_same_meaning(path, project.schema, labels)
        changed = replace(project, schema=labels)
        save_cases(root, changed)
    return changed


def _structures(labels: LabelSchema) -> list[tuple[int, str]]:
    """What the network's classes and the files depend on, in the order of the classes."""
    return [(label.value, label.segment_id) for label in labels]


def _words(labels: LabelSchema) -> list[tuple[object, ...]]:
    """What a segment in a file is recognised by."""
    return [(label.value, label.segment_id, label.name, label.terminology) for label in labels]


def _require_unsettled(project: Project) -> None:
    if project.rounds:
        raise ProjectError(
            Text(
                "The structures are fixed since round 0 began; names, colours and codes can "
                "still change."
            ),
            Text("Go back to before round 0, or make a new project."),
        )


def _require_undrawn(root: Path, project: Project, labels: LabelSchema) -> None:
    """Refuse to take out a structure that a person's segmentation holds."""
    layout = ProjectLayout(root)
    going = [label for label in project.schema if label.value not in labels.values]
    for case in project.cases if going else ():
        if case.annotation is None:
            continue
        drawn = read_segmentation(layout.own(case.annotation), project.schema)[0]
        held = [label.name for label in going if np.any(drawn.array == label.value)]
        if held:
            names = ", ".join(f"'{name}'" for name in held)
            raise ProjectError(
                Text(
                    "The segmentation of case '{case}' holds {names}, which would no longer "
                    "be a structure of the project.",
                    case=case.id,
                    names=names,
                ),
                Text("Keep the structure, or take that case out of the project first."),
            )


def _segmentations(root: Path, project: Project) -> Iterator[Path]:
    """Yield every segmentation that counts, or that can count again."""
    layout = ProjectLayout(root)
    for case in project.cases:
        if case.annotation is not None:
            yield layout.own(case.annotation)
    yield from map(layout.checked, layout.rounds.glob("*/proposals/*.seg.nrrd"))
    yield from map(layout.checked, layout.reviews.rglob("*.seg.nrrd"))


def _require_same_meaning(path: Path, before: LabelSchema, after: LabelSchema) -> None:
    """Refuse labels by which the segments of a file would be read as other structures.

    A file that cannot be read now is reported by whatever needs it.
    """
    segments: tuple[Segment, ...] = ()
    matched: dict[int, Segment] = {}
    with suppress(VolumeError, AnnotationError):
        segments = read_segments(path)
        matched = match_segments(path.name, segments, {}, before)[0]
    try:
        found = match_segments(path.name, segments, {}, after)[0] if segments else {}
    except AnnotationError as error:
        raise ProjectError(
            Text("The structures cannot be changed this way. {reason}", reason=error.message),
            Text("Choose other names or codes."),
        ) from error
    for label in before:
        segment = matched.get(label.value)
        if segment and label.value in after.values and found.get(label.value) is not segment:
            raise ProjectError(
                Text(
                    "With this change, '{segment}' in '{file}' would no longer be read as "
                    "'{structure}', which it is now.",
                    segment=segment.name,
                    file=path.name,
                    structure=label.name,
                ),
                Text("Choose other names or codes, which no other structure has or has had."),
            )
