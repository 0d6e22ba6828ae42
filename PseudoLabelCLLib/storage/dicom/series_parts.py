"""Parts of a series that hold slices at the same places: echoes, time points, acquisitions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text

# What can tell slices at one place apart, with its tag as ITK writes it; the plainest first.
APART = {
    "EchoTime": "0018|0081",
    "TemporalPositionIdentifier": "0020|0100",
    "AcquisitionNumber": "0020|0012",
    "TriggerTime": "0018|1060",
    "DiffusionBValue": "0018|9087",
    "InversionTime": "0018|0082",
    "FlipAngle": "0018|1314",
    "EchoNumbers": "0018|0086",
    "AcquisitionTime": "0008|0032",
}
_BEGIN = ";"
Part: TypeAlias = tuple[str, str]


class SeveralPartsError(VolumeError):
    """A series holds several slices at the same place, which an attribute tells apart.

    Args:
        message: What was found.
        remedy: What to do.
        parts: Each part as (attribute, value); none where no attribute tells them apart.
    """

    def __init__(self, message: Text, remedy: Text, parts: tuple[Part, ...]) -> None:
        super().__init__(message, remedy)
        self.parts = parts


def series_and_part(chosen: str | None) -> tuple[str | None, Part | None]:
    """Return the UID of a chosen series and which part of it: "1.2.3;EchoTime=4.6"."""
    if chosen is None:
        return None, None
    uid, mark, told = chosen.partition(_BEGIN)
    attribute, _, value = told.partition("=")
    return uid, (attribute, value) if mark else None


def with_part(series_uid: str, part: Part | None) -> str:
    """Return how a part of a series is named."""
    return series_uid if part is None else f"{series_uid}{_BEGIN}{part[0]}={part[1]}"


def parts_told_by(
    attributes: Sequence[Mapping[str, str]], heights: Sequence[float]
) -> tuple[Part, ...]:
    """Return the parts of a series, by the first attribute that tells all its slices apart.

    Args:
        attributes: Of each slice.
        heights: Where each slice lies along the normal, in mm; equal ones are at one place.
    """
    for name in APART:
        values = [one.get(name, "") for one in attributes]
        counts = Counter(values)
        places = {(value, round(height, 3)) for value, height in zip(values, heights, strict=True)}
        if len(counts) > 1 and "" not in counts and len(places) == len(values):
            return tuple((name, value) for value in sorted(counts, key=_counted))
    return ()


def _counted(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return 0.0, value
