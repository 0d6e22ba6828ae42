"""Requests about DICOM segmentation objects: what would stop their export, and the export."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import DicomExportChecked, DicomExported
from PseudoLabelCLLib.messages.requests.request import Request, WritesFiles


@dataclass(frozen=True)
class DicomChoices:
    """What a person chooses for a DICOM export.

    Args:
        case_ids: The cases; empty takes all that can be exported.
        include_unreviewed: Whether proposals that nobody has reviewed go out too, named so.
        look_in: A folder in or below which the series lie now, or None for where they lay.
        accept_losses: Whether voxels without a place on the grid of the series may be lost.
        creator: Who answers for the content ("family^given"), or empty for the program.
        volume_kind: What volumes are that did not come from DICOM: "MR", "CT" or "OT"; they then
            go out as DICOM series first. None writes no volume.
    """

    case_ids: tuple[str, ...] = ()
    include_unreviewed: bool = False
    look_in: str | None = None
    accept_losses: bool = False
    creator: str = ""
    volume_kind: str | None = None


@dataclass(frozen=True)
class CheckDicomExport(Request[DicomExportChecked]):
    """Look for what would stop or surprise a DICOM export, and write nothing."""

    activity = Text("checking a DICOM export")

    choices: DicomChoices = DicomChoices()


@dataclass(frozen=True)
class ExportDicom(WritesFiles[DicomExported]):
    """Write verified DICOM segmentation objects into a folder.

    A case that cannot go out does not stop the others.
    """

    activity = Text("exporting to DICOM")

    output_folder: str
    choices: DicomChoices = DicomChoices()
