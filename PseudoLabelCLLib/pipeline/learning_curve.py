"""The learning curve of a round: what training reported, kept as JSON lines."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import from_json, parse_json
from PseudoLabelCLLib.storage.files.atomic_files import MAX_JSON_BYTES, storage_error, write_text
from PseudoLabelCLLib.storage.files.regular_files import read_regular


@dataclass(frozen=True)
class CurvePoint:
    """What training reported at one step.

    Args:
        step: Steps done in this round; 0 is before the first.
        losses: Parts of the loss by name.
        validation_dice: Mean Dice on the validation cases, 0..1, where it was measured.
    """

    step: int
    losses: dict[str, float] = field(default_factory=dict)
    validation_dice: float | None = None


@dataclass(frozen=True)
class RoundCurve:
    """The learning curve of one round."""

    round_index: int
    points: tuple[CurvePoint, ...]


def write_learning_curve(path: Path, points: Sequence[CurvePoint]) -> None:
    """Write the points, one JSON object a line.

    Raises:
        StorageError: The disk refuses.
    """
    write_text(path, "".join(json.dumps(asdict(point)) + "\n" for point in points))


def read_learning_curve(path: Path) -> tuple[CurvePoint, ...]:
    """Read the points; none if the file is not there.

    Raises:
        ProjectDamagedError: A line is not what was written.
        StorageError: The disk refuses, or it is not a regular file.
    """
    if not path.exists():
        return ()
    try:
        lines = read_regular(path, MAX_JSON_BYTES).splitlines()
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    return tuple(_point(line, f"{path.name}, line {n}") for n, line in enumerate(lines, start=1))


def _point(line: bytes, where: str) -> CurvePoint:
    try:
        return from_json(CurvePoint, parse_json(line, where), where)
    except ProjectDamagedError as error:
        raise ProjectDamagedError(error.message, Text("Delete the file.")) from error
