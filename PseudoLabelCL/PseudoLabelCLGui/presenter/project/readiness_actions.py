"""The actions around the computer: checked again, with another interpreter, what was found."""

from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLLib.messages.readiness import ReadinessReport


class ReadinessActions:
    """The actions around the computer that is to train.

    Args:
        core: What all parts share.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def probe(self) -> None:
        """Check this computer again."""
        core = self._core
        core.begin("project")
        core.facts.is_probing = True
        core.listeners.on_probe_wanted(core.facts.python)

    def set_python(self, path: str) -> None:
        """Choose the interpreter of the worker; empty takes Slicer's own."""
        self._core.facts.python = path
        self.probe()

    def set_most_gpus(self, number: int) -> None:
        """Choose how many GPUs the next job may use; 0 takes all of them."""
        self._core.facts.most_gpus = number
        self._core.is_dirty = True

    def found(self, report: ReadinessReport) -> None:
        """Take what a probe found; another one follows while the report is not complete."""
        self._core.facts.readiness = report
        self._core.facts.is_probing = not report.is_complete and not report.can_train
        self._core.is_dirty = True
