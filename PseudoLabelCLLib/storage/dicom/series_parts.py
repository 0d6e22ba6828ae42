"""Parts of a series that hold slices at the same places: echoes, time points, acquisitions."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
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
# Between the names of attributes that tell parts apart only together, and between their values.
_AND = "+"
_MOST_TOGETHER = 3
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


def told_apart(found: Text, parts: tuple[Part, ...]) -> SeveralPartsError:
    """Return the error that offers the parts of a series.

    Args:
        found: What was found, without a full stop.
        parts: One or more.
    """
    return SeveralPartsError(
        Text(
            "{found}: they differ in {attribute} ({values}).",
            found=found,
            attribute=parts[0][0],
            values=", ".join(value for _, value in parts),
        ),
        Text(
            "Take one of them: write '{series}' for the series (in a table of cases: the "
            "column series_uid).",
            series=with_part("UID", parts[0]),
        ),
        parts,
    )


def part_value(attributes: Mapping[str, str], name: str) -> str:
    """Return to which part a slice belongs, by one attribute or by several together."""
    return _AND.join(attributes.get(one, "") for one in name.split(_AND))


def parts_told_by(
    attributes: Sequence[Mapping[str, str]], heights: Sequence[float]
) -> tuple[Part, ...]:
    """Return the parts of a series, by the first attribute that tells all its slices apart.

    Where none does alone, several may do together, such as echo time and acquisition number. One
    that makes as many parts as slices lie at one place comes before others: the time at which each
    slice was taken tells them apart as well.

    Args:
        attributes: Of each slice.
        heights: Where each slice lies along the normal, in mm; equal ones are at one place.
    """
    at_places = [round(height, 3) for height in heights]
    most = max(Counter(at_places).values())
    fitting: list[tuple[Part, ...]] = []
    for name in names_apart(attributes):
        values = [part_value(one, name) for one in attributes]
        if len(set(zip(values, at_places, strict=True))) == len(values):
            fitting.append(parts_by(name, attributes))
            if len(fitting[-1]) == most:
                return fitting[-1]
    return next(iter(fitting), ())


def names_apart(attributes: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield the attributes in which slices differ, each alone first, then several together."""
    names = dict.fromkeys(name for one in attributes for name in one)
    apart = []
    for name in names:
        values = {one.get(name, "") for one in attributes}
        if len(values) > 1 and "" not in values:
            apart.append(name)
    for number in range(1, _MOST_TOGETHER + 1):
        yield from map(_AND.join, combinations(apart, number))


def parts_by(name: str, attributes: Sequence[Mapping[str, str]]) -> tuple[Part, ...]:
    """Return the parts of which a series consists by an attribute, in the order of its values."""
    values = Counter(part_value(one, name) for one in attributes)
    return tuple((name, value) for value in sorted(values, key=_counted))


def _counted(value: str) -> tuple[tuple[float, str], ...]:
    return tuple(map(_number_or_text, value.split(_AND)))


def _number_or_text(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return 0.0, value
