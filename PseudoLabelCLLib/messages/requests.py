"""What a user interface asks of the service, the process that reads and changes a project for it.

Paths are absolute. What each request is answered with stands in its docstring; a request that
cannot be met is answered by a `Refused` and has changed nothing on disk.
"""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.question import GivenAnswer, Question
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.jobs import SegmentationFormat


@dataclass(frozen=True)
class NewVolume:
    """A volume to add.

    Args:
        case_id: Its name in the project.
        role: What it is used for.
        image: A file, or a folder of DICOM slices.
        series_uid: Which DICOM series of the folder, or None.
        annotation: A segmentation file, or None.
        copy_image: Whether the project keeps a copy of its own.
        answers: What a person answered to the questions that an earlier request was met with.
    """

    case_id: str
    role: CaseRole
    image: str
    series_uid: str | None = None
    annotation: str | None = None
    copy_image: bool = False
    answers: tuple[GivenAnswer, ...] = ()


@dataclass(frozen=True)
class CreateProject:
    """Make a project and open it; answered with a `ProjectView`."""

    root: str
    name: str
    profile: Profile
    labels: LabelSchema


@dataclass(frozen=True)
class OpenProject:
    """Open a project, which no other window may have open; answered with a `ProjectView`."""

    root: str


@dataclass(frozen=True)
class CloseProject:
    """Let go of the project; answered with `Done`."""


@dataclass(frozen=True)
class SignVerdicts:
    """Choose the name that verdicts bear which are given on this computer from now on.

    Answered with a `ProjectView`.
    """

    name: str


@dataclass(frozen=True)
class Refresh:
    """Read the project again, after a worker has changed it; answered with a `ProjectView`."""


@dataclass(frozen=True)
class FindVolumes:
    """Look for volumes in a file or folder; answered with `VolumesFound`.

    Args:
        path: The file or folder.
        answers: What a person answered to the questions that an earlier search was met with.
    """

    path: str
    answers: tuple[GivenAnswer, ...] = ()


@dataclass(frozen=True)
class AddVolumes:
    """Add volumes one by one; those that are unfit are told, the others stay: `VolumesAdded`.

    A volume that the project has as unlabelled, named again as annotated, gets its segmentation.
    """

    volumes: tuple[NewVolume, ...]


@dataclass(frozen=True)
class SetRole:
    """Give cases another role; answered with a `ProjectView`."""

    case_ids: tuple[str, ...]
    role: CaseRole


@dataclass(frozen=True)
class ChooseSlices:
    """Choose which slices of annotated cases count; answered with a `ProjectView`.

    Args:
        case_ids: The cases.
        only_drawn: Whether only the slices that were drawn do; the others get proposals.
    """

    case_ids: tuple[str, ...]
    only_drawn: bool


@dataclass(frozen=True)
class RemoveCases:
    """Take cases out of the project; what people drew stays in its history: a `ProjectView`."""

    case_ids: tuple[str, ...]


@dataclass(frozen=True)
class ChangeLabels:
    """Change names, colours and codes, and before round 0 the structures: a `ProjectView`."""

    labels: LabelSchema


@dataclass(frozen=True)
class ChangeSettings:
    """Change settings by name, such as {"training.joint.num_steps": "400"}: a `ProjectView`."""

    values: dict[str, str]


@dataclass(frozen=True)
class CheckCases:
    """Look at every case before training; answered with `CasesChecked`."""


@dataclass(frozen=True)
class AnswerQuestion:
    """Keep the answer to a question that `CheckCases` asked; answered with a `ProjectView`.

    Args:
        question: The question.
        value: One of its answers.
    """

    question: Question
    value: str


@dataclass(frozen=True)
class ShowCase:
    """Make the files from which a case is shown; answered with `CaseFiles`.

    Args:
        case_id: The case.
        round_index: The round whose proposal is shown; None takes the newest.
        with_image: Whether the image is wanted too; it is not if the scene has it.
    """

    case_id: str
    round_index: int | None = None
    with_image: bool = True


@dataclass(frozen=True)
class Accept:
    """Take proposals as they are; answered with a `ProjectView`.

    Args:
        proposals: What the person looked at, or what was listed to them; refused as a whole if
            one is not the newest proposal of its case.
        left_out: Label values of structures that are rejected; only with one proposal.
    """

    proposals: tuple[ProposalIdentity, ...]
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reject:
    """Leave proposals out of the next round; answered with a `ProjectView`.

    Args:
        proposals: As for `Accept`.
    """

    proposals: tuple[ProposalIdentity, ...]


@dataclass(frozen=True)
class Correct:
    """Take a person's segmentation in place of the proposal; answered with a `ProjectView`.

    Args:
        proposal: What the person changed.
        file: The corrected segmentation.
        extent: Which voxels count as human truth.
        left_out: Label values of structures that are rejected.
    """

    proposal: ProposalIdentity
    file: str
    extent: TruthExtent = TruthExtent.CHANGED_SLICES
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class PreviewCorrection:
    """Tell what of a correction would count as human truth; answered with `CorrectionPreview`.

    Args:
        proposal: What the person changed.
        file: The segmentation as it is now.
        left_out: Label values of structures that are rejected.
    """

    proposal: ProposalIdentity
    file: str
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class TakeBackVerdict:
    """Undo the newest verdict on a proposal; the one before it counts again: a `ProjectView`.

    Args:
        proposal: The proposal that the person looks at.
    """

    proposal: ProposalIdentity


@dataclass(frozen=True)
class ReadHistory:
    """Measure the rounds so far; answered with `History`."""


@dataclass(frozen=True)
class GoBack:
    """Make an earlier round the newest; later ones are put aside, not deleted: a `ProjectView`.

    Args:
        round_index: The round to go back to; -1 goes back to before round 0.
    """

    round_index: int


@dataclass(frozen=True)
class Export:
    """Write segmentations into a folder; answered with `Exported`.

    Args:
        output_folder: The folder.
        format: The kind of file.
        case_ids: The cases; empty takes all that can be exported.
        include_unreviewed: Whether proposals that nobody has reviewed go out too.
    """

    output_folder: str
    format: SegmentationFormat
    case_ids: tuple[str, ...] = ()
    include_unreviewed: bool = False


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
class CheckDicomExport:
    """Look for what would stop or surprise a DICOM export, and write nothing.

    Answered with `DicomExportChecked`.
    """

    choices: DicomChoices = DicomChoices()


@dataclass(frozen=True)
class ExportDicom:
    """Write verified DICOM segmentation objects into a folder; answered with `DicomExported`.

    A case that cannot go out does not stop the others.
    """

    output_folder: str
    choices: DicomChoices = DicomChoices()


@dataclass(frozen=True)
class SaveModel:
    """Copy the model of a round to a file of its own; answered with a `ModelCard`."""

    round_index: int
    file: str


@dataclass(frozen=True)
class ReadModel:
    """Tell what a model file can do; answered with a `ModelCard`."""

    file: str


@dataclass(frozen=True)
class MakeSampleData:
    """Make phantom volumes to try the program with; answered with `SampleVolumes`."""

    folder: str


Request = (
    CreateProject
    | OpenProject
    | CloseProject
    | SignVerdicts
    | Refresh
    | FindVolumes
    | AddVolumes
    | SetRole
    | ChooseSlices
    | RemoveCases
    | ChangeLabels
    | ChangeSettings
    | CheckCases
    | AnswerQuestion
    | ShowCase
    | Accept
    | Reject
    | Correct
    | PreviewCorrection
    | TakeBackVerdict
    | ReadHistory
    | GoBack
    | Export
    | CheckDicomExport
    | ExportDicom
    | SaveModel
    | ReadModel
    | MakeSampleData
)
