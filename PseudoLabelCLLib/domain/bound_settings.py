"""What the rounds and segmentations of a project are bound to: settings that cannot change now."""

from dataclasses import dataclass
from typing import Protocol

from PseudoLabelCLLib.domain.round import RoundState

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
        problem: A sentence; {name} stands for the setting.
        remedy: What to do about it.
    """

    problem: str
    remedy: str


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
            "The plane of the slices cannot be changed while only the drawn slices of a case "
            "count.",
            "First let all its slices count.",
        )
        found |= dict.fromkeys(_COUNTED_IN, plane)
    if latest is None:
        return found
    new_project = "Create a new project to use another value."
    begun = Bound("The setting '{name}' is fixed, since round 0 has begun.", new_project)
    found |= dict.fromkeys(("preprocess", "profile"), begun)
    if is_round_0_trained(latest):
        trained = Bound(
            "The setting '{name}' is fixed, since round 0 has been trained.", new_project
        )
        found |= dict.fromkeys(("network", "pretraining"), trained)
    if latest.state is RoundState.PSEUDO_LABELLING:
        found["pseudo_label"] = Bound(
            f"The setting '{{name}}' cannot change while round {latest.index} makes its proposals.",
            "Let 'train' finish the round first.",
        )
    return found


def why_bound(name: str, bound: dict[str, Bound]) -> Bound | None:
    """Return why a setting cannot change now, by itself or with its part; None if it can.

    Args:
        name: Its full name, such as "training.seed".
        bound: As `bound_settings` returned it.
    """
    return bound.get(name) or bound.get(name.partition(".")[0])
