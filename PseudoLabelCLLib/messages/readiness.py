"""What an interpreter can do: packages, whether PyTorch really computes, device, memory, disk."""

import re
from dataclasses import dataclass, field

from PseudoLabelCLLib.domain.text import NO_TEXT, Text


@dataclass(frozen=True)
class ReadinessReport:
    """What was found out about an interpreter by really trying it in a child process.

    Args:
        python: Path of the interpreter.
        version: Of Python, or empty if the interpreter could not be started.
        packages: The version of each package that is needed, None where it cannot be used.
        missing: What to install, as pip names it with the range that works ("torch>=2.10").
        torch_works: Whether PyTorch computed a convolution and its gradient right.
        device: The device in words, with its memory; empty while PyTorch does not work.
        device_kind: "cuda", "mps", "cpu" or empty.
        device_memory_bytes: Memory of a GPU; None without one.
        num_gpus: How many NVIDIA GPUs the computer has.
        device_reason: Why this device and no faster one, in one sentence.
        memory_bytes: Memory of the computer; None if it could not be read.
        free_disk_bytes: Free space where the project lies.
        minutes_per_round: How long a joint round of the profile quick would take; None while it
            was not measured.
        problem: What stands in the way of training, in one or two sentences; empty if nothing.
        remedy: What to do about it.
        log: Everything that the child said, for support.
        is_complete: Whether no further report of the same probe will follow; the first one comes
            before the time of a round was measured.
        broken: Names of packages that are installed but do not work; they have to be removed
            before they are installed again, and stand in `missing` too.
    """

    python: str
    version: str = ""
    packages: dict[str, str | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    torch_works: bool = False
    device: str = ""
    device_kind: str = ""
    device_memory_bytes: int | None = None
    num_gpus: int = 0
    device_reason: Text = NO_TEXT
    memory_bytes: int | None = None
    free_disk_bytes: int = 0
    minutes_per_round: float | None = None
    problem: Text = NO_TEXT
    remedy: Text = NO_TEXT
    log: str = ""
    is_complete: bool = True
    broken: tuple[str, ...] = ()

    @property
    def can_train(self) -> bool:
        """Whether nothing stands in the way of training."""
        return self.torch_works and not self.missing and not self.problem


@dataclass(frozen=True)
class Requirement:
    """A package that training needs.

    Args:
        name: As pip knows it.
        module: As Python imports it.
        at_least: The oldest version that works.
        needs_torch: Whether importing it imports PyTorch.
    """

    name: str
    module: str
    at_least: str
    needs_torch: bool = False

    def __str__(self) -> str:
        """Return what pip is asked for."""
        return f"{self.name}>={self.at_least}"

    def is_met_by(self, version: str) -> bool:
        """Tell whether a version is new enough; what follows the numbers does not count."""
        return version_numbers(version) >= version_numbers(self.at_least)


OLDEST_PYTHON = "3.10"
# Resources/requirements.txt and pyproject.toml say the same; a test compares them.
REQUIREMENTS = (
    Requirement("numpy", "numpy", "1.26"),
    # earlier ones read a DICOM slice that is cut off or has no pixels without an error
    Requirement("SimpleITK", "SimpleITK", "2.5.5"),
    Requirement("scipy", "scipy", "1.11"),
    Requirement("pillow", "PIL", "10"),
    Requirement("pydicom", "pydicom", "3.0.1"),  # highdicom 0.27 asks for it
    Requirement("highdicom", "highdicom", "0.27"),
    # before this one a model file could run a program although torch was told to read numbers alone
    # (CVE-2025-32434, mended in 2.6; another fault of the same reader, mended in 2.10)
    Requirement("torch", "torch", "2.10", needs_torch=True),
    Requirement("jinja2", "jinja2", "3.1"),  # comes with torch
    Requirement("safetensors", "safetensors", "0.5"),
    Requirement("monai", "monai", "1.4", needs_torch=True),
)


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers at the start of a version: (2, 13, 0) for "2.13.0+cpu"."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()
