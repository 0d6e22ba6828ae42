"""Every step of the panel in every state that changes what is laid out, for tests and pictures."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import panel_states as states
from PseudoLabelCLGui.case_row import QuestionRow
from PseudoLabelCLGui.panel_state import Action, Light, Message, PanelState
from PseudoLabelCLGui.step_state import NextThing, StatusState, StepState

from PseudoLabelCLLib.messages.answers import FoundVolume, VolumesFound

LONG_NAME = "hippocampus_left_1.2.840.113619.2.55.3.604688119.971.1.nii"


def steps(*done: str) -> tuple[StepState, ...]:
    """The four steps, some of them done."""
    summaries = {
        "cases": ("Cases", "1 annotated, 5 unlabelled, 1 validation"),
        "train": ("Train", "Round 1 trained, validation Dice 0.79"),
        "review": ("Review", "3 of 3 reviewed: 1 accepted, 1 corrected, 1 rejected"),
        "use": ("Use and export", "2 volumes segmented"),
    }
    return tuple(
        StepState(name, title, summary, name in done)
        for name, (title, summary) in summaries.items()
    )


def headed(state: PanelState, text: str, step: str, *done: str, **more: Any) -> PanelState:
    """A state with the next thing and the steps."""
    return replace(state, next_thing=NextThing(step, text), steps=steps(*done), **more)


QUESTION = Message(
    Light.AMBER,
    "Your changes to the proposal for 'heart 4' are not saved.",
    "Save them as a correction before round 2 is trained?",
    answers=(
        Action(enabled=True, text="Save correction"),
        Action(enabled=True, text="Discard"),
        Action(enabled=True, text="Cancel"),
    ),
)
LONG_MESSAGE = Message(
    Light.RED,
    "The volume '/data/studies/2024/hearts/long names/heart 12 with contrast.nrrd' of case "
    "'heart 12' has 40 slices of 512 x 512, and its segmentation has 38.",
    "Segment the volume itself, or resample the segmentation with Slicer's module Resample.",
    Action(enabled=True, text="Continue round 1"),
)
WORKING = StatusState(
    "Round 1: training, step 300 of 600", 0.45, is_running=True, time_left="about 3 min left"
)
NEW = headed(states.NEW, "Create or open a project", "cases")
OPEN = headed(states.OPEN, "Check the cases", "cases", "cases")
ASKED = headed(states.ASKED, "Check the cases", "cases", "cases")
CHECKED = headed(states.CHECKED, "Train round 0", "train", "cases")
TRAINING = replace(
    headed(states.TRAINING, "Training round 1", "train", "cases"),
    status=WORKING,
    rounds=states.REVIEW.rounds,
)
REVIEW = headed(states.REVIEW, "Review 2 proposals", "review", "cases", "train")
EDITED = headed(states.EDITED, "Review 2 proposals", "review", "cases", "train")
EXPORT_CHECKED = headed(states.EXPORT_CHECKED, "Train round 2", "train", "cases", "train", "review")
EXPORTING = replace(
    headed(states.EXPORTING, "Train round 2", "train", "cases", "train", "review"),
    status=StatusState("Writing 'heart 6' and reading it back (3 of 3)", 0.8, is_running=True),
)
USING = replace(
    headed(states.USING, "Train round 2", "train", "cases", "train", "review"),
    status=StatusState("heart 8: slice 20 of 40", 0.5, is_running=True),
)
LONG_NAMES = replace(
    REVIEW,
    project=replace(REVIEW.project, name=LONG_NAME, root=f"/projects/{LONG_NAME}"),
    cases=replace(
        REVIEW.cases,
        rows=tuple(
            replace(row, case_id=f"{n} {LONG_NAME}", cells=(f"{n} {LONG_NAME}", *row.cells[1:]))
            for n, row in enumerate(OPEN.cases.rows)
        ),
    ),
    review=replace(
        REVIEW.review,
        queue=tuple(replace(row, case_id=f"{n} {LONG_NAME}") for n, row in enumerate(states.QUEUE)),
        reason=f"{LONG_NAME}: slices 3 to 5 are unsure, and the myocardium has a gap in slice 7",
    ),
)


def with_recent(state: PanelState) -> PanelState:
    """A state with projects that were open before."""
    recent = tuple(f"/home/someone/projects/{name}" for name in ("Hearts", LONG_NAME))
    return replace(state, project=replace(state.project, recent=recent))


@dataclass(frozen=True)
class Shown:
    """One step of the panel in one state.

    Args:
        page: The page.
        state: The state.
        prepare: What else is done before it is looked at.
        may_be_higher: Whether it may need more than 620 pixels.
    """

    page: str
    state: PanelState
    prepare: Callable[[Any], None] = lambda _panel: None
    may_be_higher: bool = False


def found(panel: Any) -> None:
    """A folder with volumes was looked through."""
    volumes = tuple(
        FoundVolume(f"{n} {LONG_NAME}", f"/data/{n}.nii", "", "40 slices") for n in range(9)
    )
    panel.presenter.listeners.on_found(VolumesFound(volumes, ()))


def check(*names: str) -> Callable[[Any], None]:
    """Buttons that stay pressed, or parts that are unfolded."""

    def pressed(panel: Any) -> None:
        for name in names:
            if not panel.widget(name).isChecked():
                panel.widget(name).click()

    return pressed


def export_to_database(panel: Any) -> None:
    """Export as DICOM, to a folder and the database."""
    check("exportChoiceButton")(panel)
    panel.ui.exportFormatCombo.setCurrentIndex(2)
    panel.ui.exportDestinationCombo.setCurrentIndex(2)


def edit(panel: Any) -> None:
    """A case is shown and a person paints in it."""
    panel.ui.editorFrame.setVisible(True)
    panel.ui.segmentEditor.setActiveEffectByName("Paint")


def show_editor(panel: Any) -> None:
    """A case is shown."""
    panel.ui.editorFrame.setVisible(True)


FRAMES_ASKED = tuple(
    QuestionRow(
        f"'{name}' holds 30 volumes of 256 x 256 x 12 voxels (frames of a cine, or channels), and "
        "a model segments one at a time. 3D Slicer shows the first.",
        tuple((str(n), f"Number {n}", "") for n in range(1, 31)),
    )
    for name in ("cine 1.nii.gz", LONG_NAME)
)

EVERYTHING: dict[str, Shown] = {
    "start": Shown("cases", with_recent(NEW)),
    "new-project": Shown("newProject", NEW),
    "computer": Shown("computer", states.MISSING),
    "cases": Shown("cases", OPEN),
    "cases-adding": Shown("cases", CHECKED, check("addToggle")),
    "cases-structures": Shown("cases", CHECKED, check("structuresToggle")),
    "cases-found": Shown("cases", OPEN, found),
    "cases-asked": Shown("cases", ASKED),
    "cases-long-names": Shown("cases", LONG_NAMES),
    "cases-fault": Shown("cases", replace(CHECKED, message=LONG_MESSAGE)),
    "train": Shown("train", CHECKED),
    "train-advanced": Shown("train", CHECKED, check("advancedToggle")),
    "train-fault": Shown("train", headed(states.FAULT, "Continue round 1", "train", "cases")),
    "training": Shown("train", TRAINING),
    "training-log": Shown("train", TRAINING, check("logToggle")),
    "training-advanced": Shown("train", TRAINING, check("advancedToggle")),
    "train-history": Shown("train", REVIEW, check("historyToggle")),
    "review": Shown("review", REVIEW),
    "review-shown": Shown("review", REVIEW, show_editor, may_be_higher=True),
    "review-editing": Shown("review", EDITED, edit, may_be_higher=True),
    "review-question": Shown("review", replace(EDITED, message=QUESTION), edit, may_be_higher=True),
    "review-long-names": Shown("review", LONG_NAMES),
    "use": Shown("use", REVIEW),
    "use-asked": Shown("use", replace(REVIEW, use=replace(REVIEW.use, questions=FRAMES_ASKED))),
    "segmenting": Shown("use", USING),
    "export": Shown("use", OPEN, check("exportChoiceButton")),
    "export-checked": Shown("use", EXPORT_CHECKED, export_to_database),
    "exporting": Shown("use", EXPORTING, export_to_database),
}
