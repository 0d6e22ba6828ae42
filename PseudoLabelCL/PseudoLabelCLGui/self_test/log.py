"""The part of the self-test in Slicer that reads Slicer's own log."""

import re
from pathlib import Path

_BEGIN = re.compile(r"^\[(?P<level>[A-Z]+)\]\[\w+\] \S+ \S+ \[[^]]*\] \(.*?\) - ?(?P<text>.*)$")
_ERRORS = {"ERROR", "CRITICAL", "FATAL"}
_OURS = "PseudoLabelCL"
_CHANGING = re.compile(r"0x[0-9a-fA-F]+|\d+")
# What Slicer logs of the computer that it runs on, whoever uses it, told apart by what it says.
_OF_COMPUTER = (
    "glx", "libgl", "mesa", "opengl", "egl", "swrast", "xdg_runtime_dir", "dbus", "qt.qpa",
    "gtk-", "gdk-", "fontconfig", "pulseaudio", "vkcreate", "libva",
)  # fmt: skip


class LogWatch:
    """Tells which lines of trouble came into Slicer's log since it was made.

    Args:
        file: The log; what it holds already, this Slicer logs by itself.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        before = self._read()
        self._num_before = len(before)
        self._own = {_without_numbers(entry) for entry in entries_of(before)}

    def troubles(self) -> tuple[list[str], list[str]]:
        """Return the new entries that tell of trouble, and those that Slicer logs by itself.

        Trouble is an error from anywhere, and a warning of this extension.
        """
        troubles: list[str] = []
        passed_over: list[str] = []
        for entry in entries_of(self._read()[self._num_before :]):
            if _is_trouble(entry):
                is_own = _without_numbers(entry) in self._own or _is_of_computer(entry)
                (passed_over if is_own else troubles).append(entry)
        return troubles, passed_over

    def _read(self) -> list[str]:
        return self._file.read_text(encoding="utf-8", errors="replace").splitlines()


def entries_of(lines: list[str]) -> list[str]:
    """Return the entries of a log: a line that names a level, and those that go on after it."""
    entries: list[str] = []
    for line in lines:
        if _BEGIN.match(line):
            entries.append(line)
        elif entries:
            entries[-1] += f"\n{line}"
    return entries


def _is_trouble(entry: str) -> bool:
    match = _match(entry)
    level = match["level"]
    return level in _ERRORS or (level == "WARNING" and _OURS in entry)


def _is_of_computer(entry: str) -> bool:
    """Tell whether an entry is of the computer's libraries, or says nothing at all."""
    text = _text(entry).lower()
    return not text or (_OURS not in entry and any(word in text for word in _OF_COMPUTER))


def _text(entry: str) -> str:
    first, _, rest = entry.partition("\n")
    return f"{_match(first)['text']}\n{rest}".strip()


def _match(entry: str) -> re.Match[str]:
    match = _BEGIN.match(entry.partition("\n")[0])
    assert match is not None  # entries begin with such a line
    return match


def _without_numbers(entry: str) -> str:
    return _CHANGING.sub("#", _text(entry))
