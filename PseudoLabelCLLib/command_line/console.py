"""What the command line shows: sentences, tables, a progress bar, or one JSON document."""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from PseudoLabelCLLib.messages.json_codec import JsonValue

_BAR_WIDTH = 24
# All but the end of a line: names may come from strangers. The second range hides in one byte, the
# third turns the direction of what follows.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")


class Console:
    """Writes for a person, or for a machine.

    Args:
        as_json: Whether standard output holds one JSON document and nothing else; sentences and
            progress then go nowhere.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._bar_shown = False
        self._is_terminal = sys.stderr.isatty()
        self._last_tenth: tuple[str, int] = ("", -1)

    def say(self, text: str = "") -> None:
        """Show one line."""
        if not self.as_json:
            self._clear_bar()
            _write(sys.stdout, without_escapes(text) + "\n")

    def warn(self, text: str) -> None:
        """Show one line that should not be missed."""
        if not self.as_json:
            self._clear_bar()
            _write(sys.stderr, f"Note: {without_escapes(text)}\n")

    def ask(self, question: str) -> bool | None:
        """Ask the person at the terminal something that is answered by yes or no.

        Returns:
            Whether they said yes, or None if nobody can be asked.
        """
        if self.as_json or not sys.stdin.isatty():
            return None
        self._clear_bar()
        _write(sys.stderr, f"{without_escapes(question)} [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def result(self, value: JsonValue) -> None:
        """Write the JSON document, where one is wanted."""
        if self.as_json:
            _write(sys.stdout, json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def error(self, error_type: str, message: str, remedy: str) -> None:
        """Show what went wrong and what to do next."""
        if self.as_json:
            told = {"error": {"type": error_type, "message": message, "remedy": remedy}}
            _write(sys.stdout, json.dumps(told, ensure_ascii=False, indent=2) + "\n")
            return
        self._clear_bar()
        _write(sys.stderr, f"Error: {without_escapes(message)}\n")
        if remedy:
            _write(sys.stderr, f"       {without_escapes(remedy)}\n")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table; the first column is flush left, the others flush right."""
        if self.as_json:
            return
        lines = [[without_escapes(cell) for cell in line] for line in (header, *rows)]
        widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
        for number, line in enumerate(lines):
            cells = [
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            self.say("  " + "  ".join(cells).rstrip())
            if number == 0:
                self.say("  " + "  ".join("-" * width for width in widths))

    def progress(
        self, stage: str, step: int, num_steps: int, seconds_left: float | None = None
    ) -> None:
        """Show how far a stage is: a bar in a terminal, a line every tenth elsewhere.

        Nothing is shown while the number of steps is not known (0). See `Progress` for the rest.
        """
        if self.as_json or not num_steps:
            return
        stage = without_escapes(stage)
        left = "" if seconds_left is None else f", {format_seconds(seconds_left)} left"
        done = step / num_steps
        if self._is_terminal:
            filled = round(done * _BAR_WIDTH)
            bar = "#" * filled + "." * (_BAR_WIDTH - filled)
            line = f"{stage} [{bar}] {step}/{num_steps}{left}"
            width = shutil.get_terminal_size().columns - 1
            _write(sys.stderr, "\r" + line[:width].ljust(width))
            self._bar_shown = True
        elif (stage, int(done * 10)) != self._last_tenth:
            self._last_tenth = (stage, int(done * 10))
            _write(sys.stderr, f"{stage}: {step} of {num_steps}{left}\n")

    def _clear_bar(self) -> None:
        if self._bar_shown:
            _write(sys.stderr, "\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self._bar_shown = False


def format_seconds(seconds: float) -> str:
    """Return a duration for a person: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def for_shell(path: object) -> str:
    """Return a path as it is typed: in quotes if it holds a space."""
    return f'"{path}"' if " " in str(path) else str(path)


def waiting_proposals(number: int, project: object) -> str:
    """Return the sentence about proposals that wait for review."""
    subject = "1 proposal waits" if number == 1 else f"{number} proposals wait"
    return f"{subject} for review: pseudolabelcl review {for_shell(project)}"


def without_escapes(text: str) -> str:
    """Return a text whose control characters a terminal shows instead of obeying them."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _write(stream: TextIO, text: str) -> None:
    """Write at once; characters that the terminal cannot show become question marks."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, errors="replace").decode(encoding))
    stream.flush()
