"""What the service answers, besides a whole `ProjectView`."""

from dataclasses import dataclass
from enum import Enum

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import KeptAnswer, Question
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.domain.segmentation import LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.project_view import ProjectView, RoundFigures


@dataclass(frozen=True)
class Done:
    """It is done, and there is nothing to tell."""


@dataclass(frozen=True)
class Problem:
    """One thing that a person should know about a case or the project.

    Args:
        case_id: The case, or empty.
        is_error: Whether it stands in the way; otherwise it is a note.
        message: What was found.
        remedy: What to do.
        question: What a person has to answer first, or None.
    """

    case_id: str
    is_error: bool
    message: Text
    remedy: Text
    question: Question | None = None


@dataclass(frozen=True)
class FoundVolume:
    """A volume that could be added.

    Args:
        case_id: A name for it that the open project does not have yet.
        image: A file, or a folder of DICOM slices.
        series_uid: Which DICOM series of the folder, or None.
        description: What it is, in a few words: size, or the series' description.
        annotation: A segmentation that lies beside it and bears its name, or None.
        kept: What a person answered when it was looked for, to be kept with the case.
        channel: Which channel `image` is; empty for one unnamed image.
        further_images: The other images of the patient.
    """

    case_id: str
    image: str
    series_uid: str | None
    description: Text
    annotation: str | None = None
    kept: tuple[KeptAnswer, ...] = ()
    channel: str = ""
    further_images: tuple[NamedImage, ...] = ()


@dataclass(frozen=True)
class VolumesFound:
    """What `FindVolumes` found, and what it could not use."""

    volumes: tuple[FoundVolume, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class VolumesAdded:
    """The project afterwards, and what is to be told about single volumes."""

    view: ProjectView
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class CasesChecked:
    """What `CheckCases` found, errors first."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class CaseFiles:
    """From what a case is shown: raw arrays (numpy .npy), (k, j, i), all on one grid.

    Args:
        case_id: The case.
        round_index: The round whose proposal this is; None if it has none.
        geometry: The grid (LPS).
        image: The volume in its own data type, or None if it was not asked for.
        proposal: Label values (int16) as the network proposed them, or None.
        reviewed: Label values as the person's verdict on that proposal left them, or None.
        annotation: Label values of the person's own segmentation of an annotated or validation
            case, or None.
        previous: Label values of the proposal of the round before, or None.
        uncertainty: How unsure each voxel is, float32, 0..1, or None.
        slicing_axis: 0, 1 or 2 for i, j, k.
        doubtful_slices: Indices along the slicing axis, most doubtful first; none if sure.
        identity: Of the proposal, which every verdict on it must name; None without one.
    """

    case_id: str
    round_index: int | None
    geometry: Geometry
    image: str | None
    proposal: str | None
    reviewed: str | None
    annotation: str | None
    previous: str | None
    uncertainty: str | None
    slicing_axis: int
    doubtful_slices: tuple[int, ...]
    identity: ProposalIdentity | None = None


@dataclass(frozen=True)
class CorrectionPreview:
    """What of a correction would count as human truth, for each extent.

    Args:
        proposal: The proposal that was changed.
        changed_slices: Indices along the slicing axis of the slices that differ, ascending.
        num_changed_voxels: Voxels that differ.
        num_near_voxels: Voxels that differ or lie within 3 mm of one that does.
        near: Array (uint8 .npy, (k, j, i)) with 1 at those, or None if nothing differs.
    """

    proposal: ProposalIdentity
    changed_slices: tuple[int, ...]
    num_changed_voxels: int
    num_near_voxels: int
    near: str | None


@dataclass(frozen=True)
class History:
    """The figures of every round, round 0 first."""

    rounds: tuple[RoundFigures, ...]


@dataclass(frozen=True)
class ExportedFile:
    """One line of the export's result.

    Args:
        case_id: The case.
        file: Absolute path.
        source: Who confirmed it, in words.
    """

    case_id: str
    file: str
    source: Text


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[ExportedFile, ...]


class ExportFix(Enum):
    """What mends a finding about a DICOM export, as far as a button can.

    INCLUDE_UNREVIEWED belongs to what a user interface finds by itself.
    """

    NONE = "none"
    CHOOSE_CODES = "choose codes"
    FIND_SERIES = "find series"
    NOT_FROM_DICOM = "not from dicom"
    ACCEPT_LOSSES = "accept losses"
    INCLUDE_UNREVIEWED = "include unreviewed"


@dataclass(frozen=True)
class ProposedCodes:
    """What a structure may be, by its name: in words for a person, and as codes."""

    words: str
    terminology: Terminology


@dataclass(frozen=True)
class DicomFinding:
    """One thing that a person should know or mend before a DICOM export.

    Args:
        case_id: The case, or empty where it concerns all.
        stops: Whether nothing is written for the case (or at all) until it is mended.
        message: What was found.
        remedy: What to do, or empty.
        fix: What a button can do about it.
        label_value: Which structure it concerns, or None.
        proposals: What that structure may be, best first.
    """

    case_id: str
    stops: bool
    message: Text
    remedy: Text = NO_TEXT
    fix: ExportFix = ExportFix.NONE
    label_value: int | None = None
    proposals: tuple[ProposedCodes, ...] = ()


@dataclass(frozen=True)
class DicomExportChecked:
    """What `CheckDicomExport` found; nothing if all is well."""

    findings: tuple[DicomFinding, ...]


@dataclass(frozen=True)
class DicomExportResult:
    """What became of one case.

    Args:
        case_id: The case.
        source: Who confirmed the segmentation, in words.
        file: Absolute path of the verified object, or None if nothing was written.
        message: Why nothing was written, or empty.
        remedy: What to do about it, or empty.
        notices: What a person should know about the object.
        volume_files: The slices of its volume where that went out as a DICOM series of its own.
    """

    case_id: str
    source: Text
    file: str | None
    message: Text = NO_TEXT
    remedy: Text = NO_TEXT
    notices: tuple[Text, ...] = ()
    volume_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class DicomExported:
    """What became of each case."""

    lines: tuple[DicomExportResult, ...]


@dataclass(frozen=True)
class ModelSummary:
    """What a model file can do.

    Args:
        file: Absolute path.
        fingerprint: Content hash.
        labels: The structures that it segments.
        trained_on: What it was trained on, in one sentence.
        channels: The images of a patient that it needs, the first one first; empty for one unnamed
            image.
    """

    file: str
    fingerprint: str
    labels: LabelSchema
    trained_on: Text
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class SampleVolume:
    """A phantom; its segmentation is None unless it is meant to be annotated."""

    case_id: str
    role: CaseRole
    image: str
    annotation: str | None


@dataclass(frozen=True)
class SampleVolumes:
    """The phantoms that were made."""

    volumes: tuple[SampleVolume, ...]
    labels: LabelSchema
