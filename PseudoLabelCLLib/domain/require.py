"""The check that every setting's limits are written with."""

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.text import Text


def require(holds: bool, name: str, expected: Text, got: object) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise a ProjectError that names the setting, unless it holds."""
    if not holds:
        raise ProjectError(
            Text(
                "The setting '{name}' must be {expected}; it is {got}.",
                name=name,
                expected=expected,
                got=got,
            )
        )


def require_fraction(value: float, name: str) -> None:
    """Raise a ProjectError unless the value lies in 0..1, 1 excluded."""
    require(0 <= value < 1, name, Text("a fraction in 0..1"), value)
