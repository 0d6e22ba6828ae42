"""What the rounds and segmentations of a project are bound to: settings that cannot change now."""

from dataclasses import dataclass
from typing import Protocol

from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import Text, names_in, pattern

_COUNTED_IN = ("preprocess.plane", "preprocess.slicing_axis")


class HasState(Protocol):
    """A round, or what is shown of one."""

    @property
    def index(self) -> int:
        """0 for the supervised round."""
        ...

    @property
    def state(self) -> RoundState:
        """How far it has come."""
        ...


@dataclass(frozen=True)
class Bound:
    """Why a setting cannot change now.

    Args:
        pattern: A sentence; {name} stands for the setting, {index} for the round.
        remedy: What to do about it.
        index: The round that keeps it as it is.
    """

    pattern: str
    remedy: Text
    index: int = 0

    def problem(self, name: str) -> Text:
        """Return the sentence for one setting."""
        known: dict[str, object] = {"name": name, "index": self.index}
        return Text(self.pattern, **{one: known[one] for one in names_in(self.pattern)})


def is_round_0_trained(latest: HasState | None) -> bool:
    """Return whether the weights of round 0 are fixed.

    Args:
        latest: The newest round, or None.
    """
    return latest is not None and (latest.index > 0 or latest.state is not RoundState.TRAINING)


def bound_settings(latest: HasState | None, *, counts_drawn_slices: bool) -> dict[str, Bound]:
    """Return why settings cannot change now, by the name of one or of a part such as "network".

    The grid is fixed once round 0 has begun, network and pre-training once it is trained.

    Args:
        latest: The newest round, or None.
        counts_drawn_slices: Whether only the drawn slices of any case count.
    """
    found: dict[str, Bound] = {}
    if counts_drawn_slices:
        plane = Bound(
            pattern(
                "The plane of the slices cannot be changed while only the drawn slices of a "
                "case count."
            ),
            Text("First let all its slices count."),
        )
        found |= dict.fromkeys(_COUNTED_IN, plane)
    if latest is None:
        return found
    new_project = Text("Create a new project to use another value.")
    begun = Bound(pattern("The setting '{name}' is fixed, since round 0 has begun."), new_project)
    found |= dict.fromkeys(("preprocess", "profile"), begun)
    if is_round_0_trained(latest):
        trained = Bound(
            pattern("The setting '{name}' is fixed, since round 0 has been trained."), new_project
        )
        found |= dict.fromkeys(("network", "pretraining"), trained)
    if latest.state is RoundState.PSEUDO_LABELLING:
        found["pseudo_label"] = Bound(
            pattern("The setting '{name}' cannot change while round {index} makes its proposals."),
            Text("Let 'train' finish the round first."),
            latest.index,
        )
    return found


def why_bound(name: str, bound: dict[str, Bound]) -> Bound | None:
    """Return why a setting cannot change now, by itself or with its part; None if it can.

    Args:
        name: Its full name, such as "training.seed".
        bound: As `bound_settings` returned it.
    """
    return bound.get(name) or bound.get(name.partition(".")[0])
