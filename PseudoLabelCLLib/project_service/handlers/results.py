"""Requests about what leaves the project: segmentations and models."""

from pathlib import Path

from PseudoLabelCLLib.curation.export.export_segmentations import (
    ExportedSegmentation,
    export_segmentations,
)
from PseudoLabelCLLib.curation.export.export_source import SOURCE_WORDS
from PseudoLabelCLLib.curation.export.model_card import (
    read_model_card,
    save_model,
    save_pretrained_model,
)
from PseudoLabelCLLib.domain.reporting import ReportProgress
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import Done, Exported, ExportedFile, ModelSummary
from PseudoLabelCLLib.messages.requests import (
    Export,
    ReadModel,
    SaveModel,
    SavePretrainedModel,
)
from PseudoLabelCLLib.project_service.handle_request import handler
from PseudoLabelCLLib.project_service.project_session import ProjectSession


@handler
def _export(session: ProjectSession, request: Export, progress: ReportProgress) -> Exported:
    exported = export_segmentations(
        session.root,
        session.project(),
        Path(request.output_folder).absolute(),
        request.format,
        case_ids=request.case_ids or None,
        include_unreviewed=request.include_unreviewed,
        progress=progress,
    )
    return Exported(
        tuple(ExportedFile(item.case_id, str(item.path), _source(item)) for item in exported)
    )


def _source(item: ExportedSegmentation) -> Text:
    """Who confirmed a file, in words."""
    source = SOURCE_WORDS[item.source]
    parts: list[Text] = []
    if item.human_fraction not in (0, 1):
        parts.append(Text("{percent:.0f} % of the slices", percent=100 * item.human_fraction))
    if item.has_single_voxels and item.human_fraction < 1:
        parts.append(Text("single voxels of others") if parts else Text("single voxels"))
    if not parts:
        return source
    told = parts[0]
    if parts[1:]:
        told = Text("{one} and {other}", one=parts[0], other=parts[1])
    return Text("{source} on {extent}", source=source, extent=told)


@handler
def _save_model(session: ProjectSession, request: SaveModel, _: object) -> ModelSummary:
    return save_model(session.root, session.project(), request.round_index, Path(request.file))


@handler
def _save_pretrained_model(
    session: ProjectSession, request: SavePretrainedModel, _: object
) -> Done:
    session.project()  # says so where the folder is gone
    save_pretrained_model(session.root, Path(request.file))
    return Done()


@handler
def _read_model(_session: ProjectSession, request: ReadModel, _: object) -> ModelSummary:
    return read_model_card(Path(request.file))
