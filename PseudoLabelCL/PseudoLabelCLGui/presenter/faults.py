"""What went wrong, in the words of the message line, and the step that goes on from there."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.messages.job_messages import JobFailed, WorkerCrashed
from PseudoLabelCLLib.messages.requests import (
    CheckDicomExport,
    CreateProject,
    Export,
    ExportDicom,
    FindVolumes,
    MakeSampleData,
    ReadModel,
    Request,
    SaveModel,
    SavePretrainedModel,
)
from PseudoLabelCLLib.messages.service_messages import Refused


class Step(Enum):
    """What the button of the message line does."""

    NONE = "none"
    GO_ON = "go on"
    ON_CPU = "on the CPU"
    CHECK = "check"
    OPEN_AGAIN = "open again"
    FOLDER = "folder"
    INSTALL = "install"
    PROBE = "probe"


@dataclass(frozen=True)
class Fault:
    """What happened, what to do, and the step that does it."""

    text: str
    remedy: str
    step: Step = Step.NONE


_STEP_OF_JOB_ERROR = {
    "OutOfMemoryError": Step.ON_CPU,
    "DeviceError": Step.ON_CPU,
    "StorageError": Step.GO_ON,
    "ProjectInUseError": Step.GO_ON,
    "TrainingError": Step.CHECK,
    "UnansweredError": Step.CHECK,
    "VolumeError": Step.CHECK,
    "AnnotationError": Step.CHECK,
    "ProjectDamagedError": Step.FOLDER,
    "InternalError": Step.FOLDER,
    "ProjectError": Step.OPEN_AGAIN,
    "WorkerError": Step.PROBE,
    "ProtocolVersionError": Step.PROBE,
}
_STEP_OF_REFUSAL = {
    "ProjectGoneError": Step.OPEN_AGAIN,
    "StorageError": Step.OPEN_AGAIN,
    "ProjectInUseError": Step.OPEN_AGAIN,
    "ProjectDamagedError": Step.FOLDER,
    "PackageError": Step.INSTALL,
}
# What these are refused for lies outside the project: opening it again would not help.
_ABOUT_OTHER_FILES = (
    CheckDicomExport, CreateProject, Export, ExportDicom, FindVolumes, MakeSampleData, ReadModel,
    SaveModel, SavePretrainedModel,
)  # fmt: skip
_PACKAGES_ARE_BROKEN = (
    "ModuleNotFoundError", "ImportError", "DLL load failed", "undefined symbol",
)  # fmt: skip
# Endings that come from too little memory; -9 is also what a system short of memory does.
_MEMORY = {-9, 137, 0xC0000017, 0xC000012D}


def fault_of_failure(failed: JobFailed, *, is_on_cpu: bool) -> Fault:
    """Return what a failed job means.

    Args:
        failed: As the worker reported it.
        is_on_cpu: Whether it ran on the CPU anyway.
    """
    step = _STEP_OF_JOB_ERROR.get(failed.error_type, Step.NONE)
    if step is Step.ON_CPU and is_on_cpu:
        step = Step.GO_ON
    if failed.error_type == "UnansweredError":  # its text names the flags of the command line
        return Fault(
            _("Some questions about the cases must be answered before training."),
            _("Check the cases, and choose the answers below their table."),
            step,
        )
    remedy = translated(failed.remedy)
    if failed.error_type == "WorkerError":  # a package does not load, whatever was found before
        remedy = _(
            "Check this computer again: that shows what is missing or broken and can install "
            "it. Then train again; nothing is lost."
        )
    return Fault(translated(failed.message), remedy, step)


def fault_of_crash(crash: WorkerCrashed, *, is_on_cpu: bool) -> Fault:
    """Return what the death of a worker means."""
    if any(word in crash.stderr_tail for word in _PACKAGES_ARE_BROKEN):
        last = crash.stderr_tail.strip().splitlines()[-1][:300]
        return Fault(
            _("The Python packages for training are missing or broken: {line}").format(line=last),
            _("Install them, then train again; nothing is lost."),
            Step.INSTALL,
        )
    is_short = crash.exit_code in _MEMORY or crash.exit_code & 0xFFFFFFFF in _MEMORY
    step = Step.ON_CPU if is_short and not is_on_cpu else Step.GO_ON
    saved = _("Everything up to the last checkpoint is kept.")
    return Fault(f"{translated(crash.message)} {saved}", translated(crash.remedy), step)


def fault_of_refusal(refused: Refused, request: Request[Any] | None) -> Fault:
    """Return what a refused request of the service means.

    Args:
        refused: As the service reported it.
        request: What was asked, if that is known.
    """
    step = _STEP_OF_REFUSAL.get(refused.error_type, Step.NONE)
    if isinstance(request, _ABOUT_OTHER_FILES) and step is not Step.INSTALL:
        step = Step.NONE
    return Fault(translated(refused.message), translated(refused.remedy), step)


def fault_of_start(error: PseudoLabelCLError | OSError) -> Fault:
    """Return what it means that a worker could not even be started."""
    if not isinstance(error, PseudoLabelCLError):
        text = _("The worker cannot be started: {error}.").format(error=error)
        return Fault(text, _("Free memory or restart the computer, then try again."), Step.GO_ON)
    step = _STEP_OF_JOB_ERROR.get(type(error).__name__, Step.GO_ON)
    return Fault(translated(error.message), translated(error.remedy), step)
