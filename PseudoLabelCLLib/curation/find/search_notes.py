"""What a search for volumes found besides them: files that cannot be used, and why."""

from dataclasses import dataclass, field
from pathlib import Path

from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.answers import Problem


@dataclass
class SearchNotes:
    """What cannot be used, in the order in which it was found.

    Args:
        problems: All of it.
    """

    problems: list[Problem] = field(default_factory=list)

    def tell(self, message: Text, remedy: Text, *, is_error: bool = True) -> None:
        """Note what cannot be used."""
        self.problems.append(Problem("", is_error, message, remedy))

    def tell_together(self, files: tuple[Path, ...], found: Text, remedy: Text) -> None:
        """Note files with the same fate by the first of them, and count the others."""
        if not files:
            return
        more = Text(" So are {count} others.", count=len(files) - 1) if files[1:] else NO_TEXT
        self.tell(
            Text("'{file}' {found}.{more}", file=files[0], found=found, more=more),
            remedy,
            is_error=False,
        )
