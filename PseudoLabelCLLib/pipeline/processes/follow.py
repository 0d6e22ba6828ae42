"""The first of several processes leads: the others wait until it needs them, and do their part."""

from abc import ABC, abstractmethod
from contextlib import suppress

from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.learning.process_group import ProcessGroup


class Task(ABC):
    """What all processes do together; it travels from the first to the others."""

    @abstractmethod
    def follow(self, group: ProcessGroup, report: Report) -> None:
        """Do the part of a process that is not the first."""


def lead(group: ProcessGroup, task: Task) -> None:
    """Let the other processes begin with a task; in one of these, nothing happens."""
    if group.size > 1 and group.is_first:
        group.as_first_has(task)


def dismiss(group: ProcessGroup) -> None:
    """Tell the other processes that all is done."""
    if group.size > 1 and group.is_first:
        group.as_first_has(None)


def follow(group: ProcessGroup, report: Report) -> None:
    """Do what the first process asks for, until it says that all is done."""
    while (task := group.as_first_has(_NOTHING)) is not None:
        with suppress(Cancelled):  # the first one has stopped too, and says what is next
            task.follow(group, report)


_NOTHING: Task | None = None
