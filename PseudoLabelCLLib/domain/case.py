"""Case: one volume of a project, what it is used for, and who segmented it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from PseudoLabelCLLib.domain.channels import NamedImage, same_channel
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import GivenAnswer, KeptAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import NO_TEXT, Text

MAX_CASE_ID_LENGTH = 64
_FORBIDDEN_IN_ID = re.compile(r'[\x00-\x1f/\\:*?"<>|]')
# Windows opens a device by these names, whatever follows the first dot.
_DEVICE_NAME = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class CaseRole(Enum):
    """What a case is used for."""

    ANNOTATED = "annotated"
    UNLABELLED = "unlabelled"
    VALIDATION = "validation"
    IGNORED = "ignored"

    @property
    def word(self) -> Text:
        """What a person reads."""
        return _ROLE_WORDS[self]

    @property
    def needs_annotation(self) -> bool:
        """Whether a case can have this role only with a segmentation made by a person."""
        return self in (CaseRole.ANNOTATED, CaseRole.VALIDATION)


_ROLE_WORDS = {
    CaseRole.ANNOTATED: Text("annotated"),
    CaseRole.UNLABELLED: Text("unlabelled"),
    CaseRole.VALIDATION: Text("validation"),
    CaseRole.IGNORED: Text("ignored"),
}


@dataclass(frozen=True)
class FurtherImage:
    """An image of a patient besides the first one of the case.

    Args:
        channel: Which of the project's channels it is.
        image: Path of the volume, as in `Case`.
        geometry: Its own grid as it was when it was added.
        dicom_series_uid: Which series of a DICOM folder, or None.
    """

    channel: str
    image: str
    geometry: Geometry
    dicom_series_uid: str | None = None


@dataclass(frozen=True)
class Case:
    """One volume.

    Args:
        id: Name of the case, unique in the project (upper and lower case alike), fit for a file
            name.
        role: What the case is used for.
        image: Path of the volume: a file, or a folder of DICOM slices; relative to the project
            folder, with forward slashes, unless it lies on another drive.
        geometry: The grid of the volume as it was when the case was added.
        annotation: Path of the segmentation made by a person, in the project, or None.
        dicom_series_uid: Which series of a DICOM folder, or None.
        answers: What a person was asked about its files, and answered.
        drawn_slices: Indices along the slicing axis of the slices on which the annotation was
            drawn, if only these count; None if all do.
        further_images: The other images of the patient, by channel; the grid of `image` is that
            of the case.

    Raises:
        ProjectError: The id cannot be a file name, or the role needs an annotation.
    """

    id: str
    role: CaseRole
    image: str
    geometry: Geometry
    annotation: str | None = None
    dicom_series_uid: str | None = None
    answers: tuple[KeptAnswer, ...] = ()
    drawn_slices: tuple[int, ...] | None = None
    further_images: tuple[FurtherImage, ...] = ()

    def __post_init__(self) -> None:
        check_case_id(self.id)
        if self.role.needs_annotation and self.annotation is None:
            raise ProjectError(
                Text(
                    "Case '{case}' is meant to be {role} but has no segmentation.",
                    case=self.id,
                    role=self.role.word,
                ),
                Text("Give it a segmentation, or make it 'unlabelled'."),
            )
        numbers = self.drawn_slices or ()
        if min(numbers, default=0) < 0 or len(set(numbers)) < len(numbers):
            raise ProjectError(
                Text("Case '{case}' names a drawn slice twice, or below 0.", case=self.id)
            )

    @property
    def is_partly_drawn(self) -> bool:
        """Whether its annotation is truth on some slices only; the others are unlabelled."""
        return self.role is CaseRole.ANNOTATED and self.drawn_slices is not None

    @property
    def gets_proposals(self) -> bool:
        """Whether slices of it may have no human truth, so that rounds propose some."""
        return self.role is CaseRole.UNLABELLED or self.is_partly_drawn

    def further_image(self, channel: str) -> FurtherImage | None:
        """Return the image of a channel besides the first, or None if the case lacks it."""
        own = (one for one in self.further_images if same_channel(one.channel, channel))
        return next(own, None)

    def with_role(self, role: CaseRole) -> "Case":
        """Return the same case with another role."""
        return replace(self, role=role)

    def answer_to(self, kind: QuestionKind) -> str | None:
        """Return what a person answered to a question, or None."""
        found = [answer.value for answer in self.answers if answer.kind is kind]
        return found[-1] if found else None

    def with_answers(self, answers: Iterable[KeptAnswer]) -> "Case":
        """Return the same case with more answers; they replace those of the same kind."""
        new = tuple(answers)
        kinds = {answer.kind for answer in new}
        kept = tuple(answer for answer in self.answers if answer.kind not in kinds)
        return replace(self, answers=(*kept, *new))


def kept_answers(cases: Iterable[Case]) -> tuple[KeptAnswer, ...]:
    """Return what a person answered about cases, the newest case first."""
    return tuple(answer for case in reversed(tuple(cases)) for answer in case.answers)


@dataclass(frozen=True)
class NewCase:
    """A volume to add, as a person names it.

    Args:
        case_id: Its name in the project.
        role: What it is used for.
        image: A file, or a folder of DICOM slices.
        series_uid: Which DICOM series of the folder, or None.
        annotation: A segmentation file or DICOM segmentation object, or None.
        copy_image: Whether the project keeps a copy of its own.
        answers: What a person answered to questions about its files.
        kept: What a person answered when it was looked for, to be kept with the case.
        further_images: The other images of the patient, by channel.
        channel: Which channel `image` is; empty where the project has one unnamed image.
    """

    case_id: str
    role: CaseRole
    image: str
    series_uid: str | None = None
    annotation: str | None = None
    copy_image: bool = False
    answers: tuple[GivenAnswer, ...] = ()
    kept: tuple[KeptAnswer, ...] = ()
    further_images: tuple[NamedImage, ...] = ()
    channel: str = ""

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that it has, the first one first; empty for one unnamed image."""
        named = tuple(one.channel for one in self.further_images)
        return (self.channel, *named) if self.channel else named


def check_case_id(case_id: str) -> None:
    """Refuse names that cannot be a file name on every system.

    Raises:
        ProjectError: The name is empty, too long, or has a forbidden character.
    """
    problem = NO_TEXT
    if not case_id or case_id != case_id.strip() or case_id.startswith("."):
        problem = Text("is empty or begins or ends with a space or begins with a dot")
    elif case_id.endswith("."):
        problem = Text("ends with a dot")
    elif len(case_id) > MAX_CASE_ID_LENGTH:
        problem = Text(
            "is longer than {most} characters",
            most=MAX_CASE_ID_LENGTH,
        )
    elif _DEVICE_NAME.fullmatch(case_id):
        problem = Text("is the name of a device on Windows")
    elif _FORBIDDEN_IN_ID.search(case_id):
        problem = Text('contains one of / \\ : * ? " < > | or a control character')
    if problem:
        raise ProjectError(
            Text("The case name {case!r} {problem}.", case=case_id, problem=problem),
            Text("Choose another name."),
        )
