"""Requests about what leaves the project: segmentations and models."""

from pathlib import Path

from PseudoLabelCLLib.curation.export.export_segmentations import (
    ExportedSegmentation,
    ExportFormat,
    export_segmentations,
)
from PseudoLabelCLLib.curation.export.model_card import read_model_card, save_model
from PseudoLabelCLLib.messages.answers import Exported, ExportedFile, ModelCard
from PseudoLabelCLLib.messages.jobs import SegmentationFormat
from PseudoLabelCLLib.messages.requests import Export, ReadModel, SaveModel
from PseudoLabelCLLib.project_service.handle_request import SayWorking
from PseudoLabelCLLib.project_service.open_project import OpenProjectHolder

_FORMATS: dict[SegmentationFormat, ExportFormat] = {
    SegmentationFormat.SEG_NRRD: ".seg.nrrd",
    SegmentationFormat.NIFTI: ".nii.gz",
}


def _export(holder: OpenProjectHolder, request: Export, working: SayWorking) -> Exported:
    exported = export_segmentations(
        holder.root,
        holder.project(),
        Path(request.output_folder).absolute(),
        _FORMATS[request.format],
        case_ids=request.case_ids or None,
        include_unreviewed=request.include_unreviewed,
        progress=working,
    )
    return Exported(
        tuple(ExportedFile(item.case_id, str(item.path), _source(item)) for item in exported)
    )


def _source(item: ExportedSegmentation) -> str:
    """Who confirmed a file, in words."""
    parts = []
    if item.human_fraction not in (0, 1):
        parts.append(f"{100 * item.human_fraction:.0f} % of the slices")
    if item.has_single_voxels and item.human_fraction < 1:
        parts.append("single voxels of others" if parts else "single voxels")
    return f"{item.source} on {' and '.join(parts)}" if parts else item.source


def _save_model(holder: OpenProjectHolder, request: SaveModel, _: object) -> ModelCard:
    return save_model(holder.root, holder.project(), request.round_index, Path(request.file))


def _read_model(_holder: OpenProjectHolder, request: ReadModel, _: object) -> ModelCard:
    return read_model_card(Path(request.file))


HANDLERS = {"Export": _export, "SaveModel": _save_model, "ReadModel": _read_model}
