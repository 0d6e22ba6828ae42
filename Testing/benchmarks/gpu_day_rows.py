"""Rows of a part of a day at the GPU: measured once, kept at once, and printed as a table."""

import json
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NEEDS_GPU = "needs a GPU"
FAILED = "failed: "


@dataclass(frozen=True)
class Asked:
    """What a day is asked for.

    Args:
        pack: Folder with the packed slices.
        device: "cuda" or "cpu".
        tiny: Whether sizes are tiny, to see that everything runs through.
    """

    pack: Path
    device: str
    tiny: bool

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"


@dataclass(frozen=True)
class Found:
    """What a row found.

    Args:
        found: For a person.
        expected: What it should be; empty where nobody knows.
        is_fine: Whether it is so; None where nothing is expected.
        figures: For a program.
    """

    found: str
    expected: str = ""
    is_fine: bool | None = None
    figures: dict[str, Any] = field(default_factory=dict)


def at_most(value: float, most: float, text: str) -> Found:
    """Return a figure that should not exceed another one."""
    return Found(text, f"at most {most:g}", value <= most, {"value": value})


class Rows:
    """The rows of a part, in a file that is whole at any time.

    Args:
        path: The file; rows in it are not measured again, unless they failed.
        head: What the file says besides.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._path = path
        self._told = {**head, "is_finished": False, "seconds": 0.0, "rows": {}}
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            self._told["seconds"] = before["seconds"]
            self._told["rows"] = {
                name: row for name, row in before["rows"].items() if row["is_fine"] is not False
            }
        self._before_s, self._start_s = self._told["seconds"], time.monotonic()

    def once(self, name: str, measure: Callable[[], Found], *, needs: bool = True) -> None:
        """Measure a row, unless it is known; what fails does not keep the others from it.

        Args:
            name: Of the row.
            measure: Measures it.
            needs: Whether this computer has what it needs, a GPU.
        """
        rows = self._told["rows"]
        if name in rows:
            return
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        if not needs:
            rows[name] = asdict(Found(NEEDS_GPU))
        else:
            try:
                rows[name] = asdict(measure())
            except Exception as error:  # noqa: BLE001 - the table says so, the log has it all
                traceback.print_exc()
                text = f"{FAILED}{type(error).__name__}: {str(error).splitlines()[:1]}"
                rows[name] = asdict(Found(text, is_fine=False))
        print(f"    {rows[name]['found']}", flush=True)
        self._keep()

    def finish(self) -> None:
        """Say that the part is through."""
        self._told["is_finished"] = True
        self._keep()

    def _keep(self) -> None:
        self._told["seconds"] = self._before_s + time.monotonic() - self._start_s
        aside = self._path.with_suffix(".part")
        aside.write_text(json.dumps(self._told, indent=1), encoding="utf-8")
        aside.replace(self._path)


def table_of(results: Path, parts: Iterable[tuple[str, str]]) -> str:
    """Return the Markdown table of what was found.

    Args:
        results: Folder with a file for each part.
        parts: Name and description of each.
    """
    lines = []
    for name, description in parts:
        path, note = results / f"{name}.json", results / f"{name}.note"
        told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        lines.append(f"\n**{name}**: {description}" + _head(told))
        if note.exists():
            lines.append(f"\n{note.read_text(encoding='utf-8').strip()}")
        if told is not None:
            lines += ["", "| what | found | expected | |", "|---|---|---|---|"]
            for row, one in told["rows"].items():
                mark = {True: "yes", False: "**no**", None: ""}[one["is_fine"]]
                lines.append(f"| {row} | {one['found']} | {one['expected']} | {mark} |")
    return "\n".join(lines).strip()


def _head(told: dict[str, Any] | None) -> str:
    if told is None:
        return ". Not run."
    state = "" if told["is_finished"] else ", not finished"
    return f". {told['where']}, {told['seconds']:.0f} s{state}."
