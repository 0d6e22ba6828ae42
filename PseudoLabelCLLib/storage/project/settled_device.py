"""The device that a project was last trained on, as `device.json` keeps it."""

from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


@dataclass(frozen=True)
class SettledDevice:
    """A device in words, and its precision."""

    description: str
    half_precision: bool

    @property
    def is_cpu(self) -> bool:
        """Whether it has no memory of its own."""
        return self.description.startswith("CPU")


def read_settled_device(root: Path) -> SettledDevice | None:
    """Return what was settled, or None where it is absent or damaged: then it is settled again."""
    path = ProjectLayout(root).settled_device
    try:
        return from_json(SettledDevice, read_json(path), path.name) if path.exists() else None
    except PseudoLabelCLError:
        return None


def write_settled_device(root: Path, settled: SettledDevice) -> None:
    """Keep what was settled.

    Raises:
        StorageError: The disk refuses.
    """
    write_json(ProjectLayout(root).settled_device, to_json(settled))
