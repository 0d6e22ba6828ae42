"""Requests about the project as a whole: make, open, close, settings, structures, rounds."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import Done
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests.request import ChangesProject, Request, WritesFiles


@dataclass(frozen=True)
class CreateProject(WritesFiles[ProjectView]):
    """Make a project and open it."""

    activity = Text("making the project")

    root: str
    name: str
    profile: Profile
    labels: LabelSchema


@dataclass(frozen=True)
class OpenProject(Request[ProjectView]):
    """Open a project, which no other window may have open."""

    activity = Text("opening the project")

    root: str


@dataclass(frozen=True)
class CloseProject(Request[Done]):
    """Close the project."""

    activity = Text("closing the project")


@dataclass(frozen=True)
class Refresh(Request[ProjectView]):
    """Read the project again, after a worker has changed it."""

    activity = Text("reading the project")


@dataclass(frozen=True)
class ChangeLabels(ChangesProject[ProjectView]):
    """Change names, colours and codes, and before round 0 the structures."""

    activity = Text("changing the structures")

    labels: LabelSchema


@dataclass(frozen=True)
class ChangeSettings(ChangesProject[ProjectView]):
    """Change settings by name, such as {"training.joint.num_steps": "400"}."""

    activity = Text("changing settings")

    values: dict[str, str]


@dataclass(frozen=True)
class StartFrom(ChangesProject[ProjectView]):
    """Let round 0 start from a trained model.

    Args:
        model: Absolute path of the model file, which is copied; empty for random weights.
    """

    activity = Text("reading the model")

    model: str


@dataclass(frozen=True)
class GoBack(ChangesProject[ProjectView]):
    """Make an earlier round the newest; later ones are put aside, not deleted.

    Args:
        round_index: The round to go back to; -1 goes back to before round 0.
    """

    activity = Text("going back to an earlier round")

    round_index: int


@dataclass(frozen=True)
class SignVerdicts(WritesFiles[ProjectView]):
    """Choose the name for the verdicts that are given on this computer from now on."""

    activity = Text("choosing the name on verdicts")

    name: str
