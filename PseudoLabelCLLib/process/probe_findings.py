"""What a probe has found so far, and what that means in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PseudoLabelCLLib.domain.text import NO_TEXT, Text, joined
from PseudoLabelCLLib.messages.readiness import (
    OLDEST_PYTHON,
    REQUIREMENTS,
    ReadinessReport,
    Requirement,
    version_numbers,
)
from PseudoLabelCLLib.process.exit_codes import ending_in_words

# What a person can make use of; a package that talks for megabytes is cut.
_LONGEST_LOG = 400
_INSTALL = Text("Install the packages that are missing or too old.")
_INSTALL_AGAIN = Text("Install the package again.")
_OTHER_PYTHON = Text("Choose another interpreter, or use the default one.")
_NEWER_TORCH = Text("This PyTorch was built for an older NumPy. Install a newer PyTorch.")
_NOT_INSTALLED = Text("not installed")
_VISUAL_C = Text(
    "Install the Microsoft Visual C++ runtime for x64 from Microsoft's pages, restart the "
    "computer, then check again; if that does not help, install the package again."
)

# What a sentence calls the interpreter.
_IT = Text("it")


@dataclass(frozen=True)
class _Trial:
    """How the import of a package went: its version, and what went wrong or nothing."""

    version: str | None
    error: Text


class ProbeFindings:
    """Collects what the steps of a probe say.

    Args:
        python: Path of the interpreter.
    """

    def __init__(self, python: str) -> None:
        self.steps_done: set[str] = set()
        self._python = python
        self._found: dict[str, Any] = {}
        self._trials: dict[str, _Trial] = {}
        self._trying = ""
        self._why_not_python = NO_TEXT
        self._log: list[str] = []

    @property
    def is_python_new_enough(self) -> bool:
        """Whether the interpreter runs and is one that can be used."""
        return version_numbers(self._found.get("version", "")) >= version_numbers(OLDEST_PYTHON)

    @property
    def torch_works(self) -> bool:
        """Whether a device computed something right."""
        return bool(self._found.get("device_kind"))

    def untried(self, *, needs_torch: bool) -> list[Requirement]:
        """Return the packages of which it is not known yet whether they can be imported."""
        return [
            one
            for one in REQUIREMENTS
            if one.name != "torch"
            and one.needs_torch == needs_torch
            and one.name not in self._trials
        ]

    def hear(self, line: str) -> None:
        """Keep a line for support."""
        self._log.append(line)
        del self._log[:-_LONGEST_LOG]

    def take(self, found: Mapping[str, Any]) -> None:
        """Take in a finding of a step."""
        if "trying" in found:
            self._trying = str(found["trying"])
        elif "package" in found:
            self._trials[found["package"]] = _Trial(found["version"], Text(found["error"]))
        else:
            self._found.update(found)

    def cannot_start(self, error: OSError) -> None:
        """Note that the interpreter could not be started at all."""
        self._why_not_python = Text(
            "The Python interpreter '{python}' cannot be started: {reason}.",
            python=self._python,
            reason=error.strerror or error,
        )

    def end_step(self, name: str, exit_code: int | None, limit_s: float) -> None:
        """Note how a step ended.

        Args:
            name: The step.
            exit_code: None if it was ended because it took too long.
            limit_s: After how many seconds that was.
        """
        self.steps_done.add(name)
        ending = _ending_in_words(exit_code, limit_s)
        if name == "system" and not self._found.get("version"):
            self._why_not_python = Text(
                "'{python}' does not answer as Python does: {reason}.",
                python=self._python,
                reason=ending,
            )
        elif name == "packages":
            self._blame(ending)
        elif name == "torch":
            self._found["torch_ending"] = ending if exit_code != 0 else NO_TEXT
            if "torch" not in self._trials:
                self._trials["torch"] = _Trial(self._installed("torch"), ending)
        self._trying = ""

    def _blame(self, ending: Text) -> None:
        """Note which package ended a step, so that the next step goes on behind it."""
        left = [one.name for one in REQUIREMENTS if one.name not in self._trials]
        if self._trying in left:
            self._trials[self._trying] = _Trial(self._installed(self._trying), ending)

    def report(self, *, is_complete: bool) -> ReadinessReport:
        """Return what is known."""
        missing = [one for one in REQUIREMENTS if self._why_unfit(one)]
        problem, remedy = self._problem()
        found = self._found
        return ReadinessReport(
            python=self._python,
            version=found.get("version", ""),
            packages={one.name: self._usable_version(one) for one in REQUIREMENTS},
            missing=tuple(str(one) for one in missing),
            torch_works=self.torch_works,
            device=self._device(),
            device_kind=found.get("device_kind", ""),
            device_memory_bytes=found.get("device_memory_bytes"),
            num_gpus=int(found.get("num_gpus", 0)),
            device_reason=self._device_reason(),
            memory_bytes=found.get("memory_bytes"),
            free_disk_bytes=found.get("free_disk_bytes", 0),
            minutes_per_round=found.get("minutes_per_round"),
            problem=problem,
            remedy=remedy,
            log="\n".join(self._log),
            is_complete=is_complete,
            broken=tuple(one.name for one in missing if self._is_broken(one)),
        )

    def _installed(self, name: str) -> str | None:
        """Return the version that pip knows, whether it works or not."""
        version: str | None = self._found.get("installed", {}).get(name)
        return version

    def _usable_version(self, one: Requirement) -> str | None:
        trial = self._trials.get(one.name)
        return trial.version if trial and not self._why_unfit(one) else None

    def _why_unfit(self, one: Requirement) -> Text:
        """Return why a package is of no use as it is, or nothing."""
        trial = self._trials.get(one.name)
        if trial is None:
            # what needs PyTorch is not tried before that works
            is_absent = "torch" in self._trials and not self._installed(one.name)
            return _NOT_INSTALLED if is_absent else NO_TEXT
        if trial.error:
            return _NOT_INSTALLED if self._is_absent(one, trial) else trial.error
        if trial.version is None or (one.name == "torch" and self._found.get("incomplete")):
            return Text("its files are not complete, as if an installation had been interrupted")
        if not one.is_met_by(trial.version):
            return Text(
                "version {version} is too old, {oldest} or later is needed",
                version=trial.version,
                oldest=one.at_least,
            )
        return self._why_torch_fails() if one.name == "torch" else NO_TEXT

    def _is_absent(self, one: Requirement, trial: _Trial) -> bool:
        is_not_found = f"No module named '{one.module}'" in trial.error
        return is_not_found and self._installed(one.name) is None

    def _is_broken(self, one: Requirement) -> bool:
        reason = self._why_unfit(one)
        return bool(reason) and reason != _NOT_INSTALLED and "is too old" not in reason

    def _why_torch_fails(self) -> Text:
        if self.torch_works:
            return NO_TEXT
        refusals = self._found.get("refusals", [])
        on_cpu = [text for text in refusals if text.startswith("cpu: ")]
        reason = self._found.get("torch_ending") or (
            on_cpu[0][5:] if on_cpu else Text("it said nothing")
        )
        return Text("a small calculation failed: {reason}", reason=reason)

    def _problem(self) -> tuple[Text, Text]:
        """Return what stands in the way of training and what to do, or two empty texts."""
        if self._why_not_python:
            return self._why_not_python, _OTHER_PYTHON
        version = self._found.get("version")
        if version is None:
            return NO_TEXT, NO_TEXT
        if not self.is_python_new_enough:
            return (
                Text(
                    "Python {version} is too old: {oldest} or later is needed.",
                    version=version,
                    oldest=OLDEST_PYTHON,
                ),
                _OTHER_PYTHON,
            )
        broken = [one for one in REQUIREMENTS if self._is_broken(one)]
        if broken:
            # what PyTorch cannot do counts before what the others cannot
            first = max(broken, key=lambda one: one.name == "torch")
            reason = self._why_unfit(first)
            return (
                Text(
                    "{package} is installed but does not work: {reason}.",
                    package=_word(first),
                    reason=reason,
                ),
                _remedy(reason),
            )
        unfit = {one: self._why_unfit(one) for one in REQUIREMENTS if self._why_unfit(one)}
        if not unfit:
            return NO_TEXT, NO_TEXT
        absent = [_word(one) for one, reason in unfit.items() if reason == _NOT_INSTALLED]
        old = [
            Text("{package}: {reason}.", package=_word(one), reason=why)
            for one, why in unfit.items()
            if why != _NOT_INSTALLED
        ]
        told = Text("Not installed: {packages}.", packages=", ".join(absent)) if absent else NO_TEXT
        return joined(told, *old), _INSTALL

    def _device(self) -> str:
        memory_bytes = self._found.get("device_memory_bytes")
        memory = f", {memory_bytes / 2**30:.0f} GB" if memory_bytes else ""
        return f"{self._found.get('device', '')}{memory}"

    def _device_reason(self) -> Text:
        if not self.torch_works:
            return NO_TEXT
        refusals = [text for text in self._found["refusals"] if "no usable" not in text]
        told = "; ".join(refusals)
        if told:
            return Text(
                "A faster device is there but failed a small calculation ({refusals}).",
                refusals=told,
            )
        if self._found["device_kind"] == "cpu":
            return Text("PyTorch found no GPU that it can use.")
        return Text("It did a small calculation right.")


def _word(one: Requirement) -> str:
    return "PyTorch" if one.name == "torch" else one.name


def _ending_in_words(exit_code: int | None, limit_s: float) -> Text:
    """Return how a child ended, as the second half of a sentence."""
    if exit_code is None:
        return Text("it did not answer within {seconds:.0f} s and was ended", seconds=limit_s)
    if exit_code == 0:
        return Text("it ended without a word")
    return ending_in_words(exit_code, subject=_IT)[0]


def _remedy(reason: str) -> Text:
    is_library = any(
        word in reason for word in ("DLL load failed", "WinError 126", "WinError 1114")
    )
    if is_library:
        return _VISUAL_C
    return _NEWER_TORCH if "Numpy is not available" in reason else _INSTALL_AGAIN
