"""Whether an interpreter can train, found out in children that may crash, hang or lie.

A user interface calls `poll` from a timer; nothing here waits.
"""

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.messages.readiness import REQUIREMENTS, ReadinessReport, Requirement
from PseudoLabelCLLib.process.line_process import LineProcess
from PseudoLabelCLLib.process.probe_findings import ProbeFindings
from PseudoLabelCLLib.process.probe_steps import MARK

# A first import from a cold disk with a virus scanner takes a minute; beyond these it hangs.
STEP_LIMITS_S = {"system": 30.0, "packages": 90.0, "torch": 180.0, "speed": 120.0}
_STEPS_SCRIPT = Path(__file__).with_name("probe_steps.py")


@dataclass(frozen=True)
class _Step:
    name: str
    arguments: tuple[str, ...]


def probe_python(
    python: str | Path,
    environment: Mapping[str, str] | None = None,
    *,
    folder: str | Path | None = None,
    limits_s: Mapping[str, float] = STEP_LIMITS_S,
) -> "ProbeProcess":
    """Start to find out what an interpreter can do.

    Args:
        python: The interpreter; inside Slicer that is PythonSlicer.
        environment: Variables to set beside those of this process.
        folder: Where free disk space is looked at; None takes the home folder.
        limits_s: After how many seconds a step is taken for hanging, by its name.
    """
    return ProbeProcess(
        str(python), environment or {}, str(Path(folder) if folder else Path.home()), limits_s
    )


class ProbeProcess:
    """A running probe: steps in children of their own, one after the other.

    Two reports come: the first as soon as packages and PyTorch were tried, the second with the
    minutes of a round. If something stands in the way of training, the first is the only one.
    """

    def __init__(
        self,
        python: str,
        environment: Mapping[str, str],
        folder: str,
        limits_s: Mapping[str, float],
    ) -> None:
        self._python = python
        self._environment = environment
        self._folder = folder
        self._limits_s = limits_s
        self._findings = ProbeFindings(python)
        self._step = self._next_step()
        self._child: LineProcess | None = None
        self._deadline_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether a report is still to come."""
        return self._step is not None

    def poll(self) -> ReadinessReport | None:
        """Return a report if there is a new one, at once."""
        if self._step is None:
            return None
        if self._child is None:
            return self._begin(self._step)
        for line in self._child.poll():
            self._take(line)
        exit_code = self._child.exit_code
        if exit_code is None and time.monotonic() < self._deadline_s:
            return None
        return self._end(self._step, exit_code)

    def kill(self) -> None:
        """Stop the probe; no report follows."""
        if self._child is not None:
            self._child.kill()
        self._child, self._step = None, None

    def _next_step(self) -> _Step | None:
        findings = self._findings
        if "system" not in findings.steps_done:
            names = (one.name for one in REQUIREMENTS)
            return _Step("system", (self._folder, *names))
        if not findings.is_python_new_enough:
            return None
        if untried := findings.untried(needs_torch=False):
            return _packages_step(untried)
        if "torch" not in findings.steps_done:
            return _Step("torch", ())
        if findings.torch_works and (untried := findings.untried(needs_torch=True)):
            return _packages_step(untried)
        is_ready = findings.report(is_complete=True).can_train
        return _Step("speed", ()) if is_ready and "speed" not in findings.steps_done else None

    def _begin(self, step: _Step) -> ReadinessReport | None:
        command = [self._python, "-u", str(_STEPS_SCRIPT), step.name, *step.arguments]
        try:
            self._child = LineProcess.start(command, self._environment)
        except OSError as error:
            self._findings.cannot_start(error)
            self._step = None
            return self._findings.report(is_complete=True)
        self._deadline_s = time.monotonic() + self._limits_s[step.name]
        return None

    def _take(self, line: str) -> None:
        found = None
        if line.startswith(MARK):
            with contextlib.suppress(ValueError):
                found = json.loads(line[len(MARK) :])
        if isinstance(found, dict):
            self._findings.take(found)
        self._findings.hear(line.removeprefix(MARK))

    def _end(self, step: _Step, exit_code: int | None) -> ReadinessReport | None:
        """Close the step, and tell what is known when it is time; None ran out of time."""
        assert self._child is not None  # a step ends only while its child is there
        self._child.kill()
        self._child = None
        self._findings.end_step(step.name, exit_code, self._limits_s[step.name])
        self._step = self._next_step()
        if self._step is None:
            return self._findings.report(is_complete=True)
        return self._findings.report(is_complete=False) if self._step.name == "speed" else None


def _packages_step(requirements: Sequence[Requirement]) -> _Step:
    return _Step("packages", tuple(f"{one.name}={one.module}" for one in requirements))
