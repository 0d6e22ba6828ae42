"""Requests about volumes: find them, add them, give them roles, check them, make samples."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.question import GivenAnswer, Question
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import (
    CasesChecked,
    SampleVolumes,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests.request import ChangesProject, Request, WritesFiles


@dataclass(frozen=True)
class FindVolumes(Request[VolumesFound]):
    """Look for volumes in a file or folder.

    Args:
        path: The file or folder.
        answers: What a person answered to the questions that an earlier search led to.
    """

    activity = Text("looking for volumes")

    path: str
    answers: tuple[GivenAnswer, ...] = ()


@dataclass(frozen=True)
class AddVolumes(ChangesProject[VolumesAdded]):
    """Add volumes one by one; those that are unfit are told, the others stay.

    A volume that the project has as unlabelled, named again as annotated, gets its segmentation.
    """

    activity = Text("adding volumes")

    volumes: tuple[NewCase, ...]


@dataclass(frozen=True)
class AddFurtherImage(ChangesProject[VolumesAdded]):
    """Give a case the image of another channel.

    Args:
        case_id: The case.
        image: What is added.
        first_channel: What the images that the cases have are called, where the project does not
            say so yet.
        answers: What a person answered to questions about its file.
        copy_image: Whether the project keeps a copy of its own.
    """

    activity = Text("adding an image")

    case_id: str
    image: NamedImage
    first_channel: str = ""
    answers: tuple[GivenAnswer, ...] = ()
    copy_image: bool = False


@dataclass(frozen=True)
class SetRole(ChangesProject[ProjectView]):
    """Give cases another role."""

    activity = Text("changing roles")

    case_ids: tuple[str, ...]
    role: CaseRole


@dataclass(frozen=True)
class ChooseSlices(ChangesProject[ProjectView]):
    """Choose which slices of annotated cases count.

    Args:
        case_ids: The cases.
        only_drawn: Whether only the slices that were drawn do; the others get proposals.
    """

    activity = Text("choosing the slices that count")

    case_ids: tuple[str, ...]
    only_drawn: bool


@dataclass(frozen=True)
class RemoveCases(ChangesProject[ProjectView]):
    """Take cases out of the project; what people drew stays in its history."""

    activity = Text("removing cases")

    case_ids: tuple[str, ...]


@dataclass(frozen=True)
class CheckCases(Request[CasesChecked]):
    """Look at every case before training."""

    activity = Text("checking the cases")


@dataclass(frozen=True)
class AnswerQuestion(ChangesProject[ProjectView]):
    """Keep the answer to a question that `CheckCases` asked.

    Args:
        question: The question.
        value: One of its answers.
    """

    activity = Text("keeping an answer")

    question: Question
    value: str


@dataclass(frozen=True)
class MakeSampleData(WritesFiles[SampleVolumes]):
    """Make phantom volumes to try the program with."""

    activity = Text("making sample volumes")

    folder: str
