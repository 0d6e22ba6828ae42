"""Round: one passage of training, pseudo-labelling and review, and its states."""

from dataclasses import dataclass, replace
from enum import Enum

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.plane import Plane
from PseudoLabelCLLib.domain.text import Text


class RoundState(Enum):
    """How far a round has come."""

    TRAINING = "training"
    PSEUDO_LABELLING = "pseudo-labelling"
    IN_REVIEW = "in review"
    CLOSED = "closed"

    @property
    def word(self) -> Text:
        """What a person reads."""
        return _STATE_WORDS[self]

    @property
    def is_open_to_review(self) -> bool:
        """Whether those proposals can be judged that are there: some of them, or all."""
        return self in (RoundState.PSEUDO_LABELLING, RoundState.IN_REVIEW)


_STATE_WORDS = {
    RoundState.TRAINING: Text("training"),
    RoundState.PSEUDO_LABELLING: Text("pseudo-labelling"),
    RoundState.IN_REVIEW: Text("in review"),
    RoundState.CLOSED: Text("closed"),
}


_NEXT_STATES = {
    RoundState.TRAINING: {RoundState.PSEUDO_LABELLING},
    RoundState.PSEUDO_LABELLING: {RoundState.IN_REVIEW},
    RoundState.IN_REVIEW: {RoundState.CLOSED},
    RoundState.CLOSED: set(),
}


@dataclass(frozen=True)
class RoundCost:
    """What a round was expected to cost, and what it did; of an interrupted one, its last part.

    Args:
        expected_s: Seconds that were said; None where nothing was known.
        expected_bytes: Largest memory that was said: of the worker, or what torch takes of a GPU;
            None where nothing was known.
        seconds: That it took; None while it is not finished.
        peak_bytes: The most memory that was used; None while it is not finished, or if the system
            does not say.
    """

    expected_s: float | None = None
    expected_bytes: int | None = None
    seconds: float | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Round:
    """One round.

    Args:
        index: 0 for the supervised round, 1, 2, ... for the joint rounds.
        state: How far it has come.
        config_hash: Which configuration it was trained with.
        num_truth_cases: Cases with human truth it was trained on.
        num_pseudo_cases: Cases that served as pseudo-labels.
        num_left_out_cases: Cases rejected for this round.
        started: When, ISO 8601 with zone.
        finished: When its pseudo-labels were ready, or empty.
        plane: In which plane volumes are cut from this round on; None where each has its own.
        outside_counts: Whether it learned from verdicts that leave structures out what lies outside
            the others: none of them. Before version 3, that was ignored.
        cost: Time and memory, expected and found; None before version 4.
    """

    index: int
    state: RoundState
    config_hash: str = ""
    num_truth_cases: int = 0
    num_pseudo_cases: int = 0
    num_left_out_cases: int = 0
    started: str = ""
    finished: str = ""
    plane: Plane | None = None
    outside_counts: bool = False
    cost: RoundCost | None = None

    def moved_to(self, state: RoundState) -> "Round":
        """Return the round in its next state.

        Raises:
            ProjectError: That state does not follow.
        """
        if state not in _NEXT_STATES[self.state]:
            raise ProjectError(
                Text(
                    "Round {index} is '{state}' and cannot become '{next}'.",
                    index=self.index,
                    state=self.state.word,
                    next=state.word,
                )
            )
        return replace(self, state=state)
