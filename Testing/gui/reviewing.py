"""A review in which a case is shown, and perhaps changed."""

from a_presenter import Stage, opened
from presenter_fakes import Disk

from PseudoLabelCLLib.domain.round import RoundState

SAVE, DISCARD, BACK = "Save as correction", "Discard my changes", "Cancel"
KEEP, DROP = "Keep them in the scene", "Discard"


def in_review(num_unlabelled: int = 3, num_closed: int = 0) -> Stage:
    """A project whose newest round is in review."""
    rounds = (*[RoundState.CLOSED] * num_closed, RoundState.IN_REVIEW)
    return opened(Disk.with_cases(num_unlabelled, rounds))


def shown(stage: Stage, case_id: str) -> Stage:
    stage.presenter.review.show_case(case_id)
    stage.settle()
    assert stage.state.review.case_id == case_id
    return stage


def edited(stage: Stage, case_id: str = "u0") -> Stage:
    shown(stage, case_id)
    stage.presenter.review.case_is_edited(True)
    return stage


def answers(stage: Stage) -> list[str]:
    return [one.text for one in stage.state.message.answers]


def left(stage: Stage) -> list[tuple[str, bool]]:
    """Which cases were left, and whether their changes were discarded."""
    return [heard[1:] for heard in stage.heard if heard[0] == "on_case_left"]


def written(stage: Stage, file: str = "/mine.seg.nrrd") -> None:
    """The panel writes the correction that is wanted."""
    assert stage.heard[-1][0] == "on_correction_wanted"
    stage.presenter.review.correct(file)
    stage.settle()
