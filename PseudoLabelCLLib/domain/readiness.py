"""What an interpreter can do: packages, whether PyTorch really computes, device, memory, disk."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReadinessReport:
    """What was found out about an interpreter by really trying it in a child process.

    Args:
        python: Path of the interpreter.
        version: Of Python, or empty if the interpreter could not be started.
        packages: The version of each package that is needed, None where it cannot be used.
        missing: What to install, as pip names it with the range that works ("torch>=2.4").
        torch_works: Whether PyTorch computed a convolution and its gradient right.
        device: The device in words, with its memory; empty while PyTorch does not work.
        device_kind: "cuda", "mps", "cpu" or empty.
        device_memory_bytes: Memory of a GPU; None without one.
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
    """

    python: str
    version: str = ""
    packages: dict[str, str | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    torch_works: bool = False
    device: str = ""
    device_kind: str = ""
    device_memory_bytes: int | None = None
    device_reason: str = ""
    memory_bytes: int | None = None
    free_disk_bytes: int = 0
    minutes_per_round: float | None = None
    problem: str = ""
    remedy: str = ""
    log: str = ""
    is_complete: bool = True

    @property
    def can_train(self) -> bool:
        """Whether nothing stands in the way of training."""
        return self.torch_works and not self.missing and not self.problem
