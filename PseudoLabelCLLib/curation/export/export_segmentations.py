"""Segmentations out of a project, into a folder that others can use, with where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.export.compose_segmentations import (
    compose,
    recipes_of,
)
from PseudoLabelCLLib.curation.export.export_source import ExportSource
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, StorageError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import ReportProgress, silent
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import (
    make_folder,
    read_json,
    remove_leftovers,
    write_json,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

RECORD_NAME = "export.json"
_SCHEMA_VERSION = 2


@dataclass(frozen=True)
class ExportedSegmentation:
    """One exported file.

    Args:
        case_id: The case.
        path: The file.
        source: Who confirmed it.
        round_index: The newest round with a part in it; None if a person drew all of it.
        human_fraction: Share of the slices on which a person confirmed every structure, 0..1.
        left_out: Names of structures that a person rejected while confirming the others. On
            those slices, nothing of them is in the file, or what a newer proposal says where
            unreviewed proposals were asked for.
        has_single_voxels: Whether there are corrections of which single voxels count, in slices
            that no person confirmed or over those of an earlier round.
    """

    case_id: str
    path: Path
    source: ExportSource
    round_index: int | None
    human_fraction: float
    left_out: tuple[str, ...] = ()
    has_single_voxels: bool = False


@dataclass(frozen=True)
class _RecordLine:
    file: str
    case_id: str
    source: ExportSource
    round: int | None
    human_fraction: float
    left_out: tuple[str, ...] = ()
    has_single_voxels: bool = False


@dataclass(frozen=True)
class _Record:
    schema_version: int
    project: str
    segmentations: tuple[_RecordLine, ...]


def export_segmentations(  # noqa: PLR0913 - everything a person can choose
    root: Path,
    project: Project,
    output_folder: Path,
    format_: SegmentationFormat = SegmentationFormat.SEG_NRRD,
    *,
    case_ids: Sequence[str] | None = None,
    include_unreviewed: bool = False,
    progress: ReportProgress = silent,
) -> list[ExportedSegmentation]:
    """Write segmentations and a record of where each comes from (`export.json`).

    On a partly corrected case, the corrected slices or voxels lie over the newest proposal.
    Structures that a person left out are not written as that person's: their voxels are background
    there, or those of a newer proposal with `include_unreviewed`. A file that is there already
    stays if it holds the same segmentation.

    Args:
        root: The project folder.
        project: The project as it is now.
        output_folder: Where to; made if it is not there.
        format_: Of the files; the one of Slicer has names, colours and codes.
        case_ids: Which cases; by default all that take part.
        include_unreviewed: Whether proposals that nobody judged go out too, named so.
        progress: Called before each case with the number of finished ones.

    Raises:
        ProjectError: There is nothing to export, or an unknown case.
        StorageError: Another file is in the way, or the disk refuses.
    """
    recipes = recipes_of(root, project, case_ids, include_unreviewed=include_unreviewed)
    schema, record_file = project.schema, output_folder / RECORD_NAME
    layout = ProjectLayout(root)
    earlier = _read_record(record_file)
    targets = {
        recipe.case.id: output_folder / f"{recipe.file_stem}{format_.suffix}" for recipe in recipes
    }
    there = [recipe for recipe in recipes if targets[recipe.case.id].exists()]
    to_write = [recipe for recipe in recipes if not targets[recipe.case.id].exists()]
    for number, recipe in enumerate(there):
        progress(
            Text("Comparing '{case}' with what is there", case=recipe.case.id), number, len(recipes)
        )
        _require_same(targets[recipe.case.id], compose(root, project, recipe), schema)
    make_folder(output_folder)
    remove_leftovers(output_folder, deep=False)
    for number, recipe in enumerate(to_write, start=len(there)):
        progress(Text("Writing '{case}'", case=recipe.case.id), number, len(recipes))
        labels = compose(root, project, recipe)
        write_segmentation(
            targets[recipe.case.id], labels, schema, layout.resolve(recipe.case.image)
        )
    exported = [
        ExportedSegmentation(
            recipe.case.id, targets[recipe.case.id], recipe.source, recipe.round_index,
            recipe.human_fraction, recipe.left_out(schema), recipe.has_single_voxels,
        )
        for recipe in recipes
    ]  # fmt: skip
    _write_record(record_file, project.name, earlier, exported)
    return exported


def _require_same(path: Path, labels: LabelVolume, schema: LabelSchema) -> None:
    try:
        found = read_segmentation(path, schema, near=labels.geometry)[0]
        same = found.geometry.is_close_to(labels.geometry) and np.array_equal(
            found.array, labels.array
        )
    except PseudoLabelCLError:
        same = False
    if not same:
        raise StorageError(
            Text("'{path}' already exists with different contents.", path=path),
            Text("Choose another folder, or move that file away."),
        )


def _read_record(path: Path) -> tuple[_RecordLine, ...]:
    if not path.exists():
        return ()
    try:
        value = read_json(path)
        version = value.get("schema_version") if isinstance(value, dict) else None
        is_newer = isinstance(version, int) and version > _SCHEMA_VERSION
        found = () if is_newer else from_json(_Record, value, path.name).segmentations
    except PseudoLabelCLError as error:
        raise StorageError(
            Text("'{path}' already exists and is not a record of an earlier export.", path=path),
            Text("Choose another folder, or move that file away."),
        ) from error
    if is_newer:
        raise StorageError(
            Text("A newer version of PseudoLabelCL wrote '{path}'.", path=path),
            Text("Choose another folder, or update PseudoLabelCL."),
        )
    return found


def _write_record(
    path: Path, project_name: str, earlier: tuple[_RecordLine, ...],
    exported: list[ExportedSegmentation],
) -> None:  # fmt: skip
    """Write the record; lines of earlier exports stay while their files are there."""
    lines = {
        line.file: line for line in earlier if path.with_name(line.file).exists()
    }  # fmt: skip
    for item in exported:
        lines[item.path.name] = _RecordLine(
            item.path.name, item.case_id, item.source, item.round_index, item.human_fraction,
            item.left_out, item.has_single_voxels,
        )  # fmt: skip
    write_json(path, to_json(_Record(_SCHEMA_VERSION, project_name, tuple(lines.values()))))
