"""What the next round is expected to cost on this computer, from what was measured here before."""

from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round_estimate import cost_in_words, expected_seconds
from PseudoLabelCLLib.domain.round_memory import memory_of_round
from PseudoLabelCLLib.domain.round_work import (
    RoundWork,
    Standing,
    Work,
    work_of_round,
)
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.project.kept_paces import KeptPace, kept_paces
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.settled_device import SettledDevice, read_settled_device


@dataclass(frozen=True)
class Forecast:
    """What a round is expected to cost.

    Args:
        work: What it has to do.
        paces: What is known of the speed of each work.
        host_bytes: The most memory of the computer.
        seconds: How long it takes; None while the speed of some work is unknown.
    """

    work: RoundWork
    paces: dict[Work, KeptPace]
    host_bytes: int
    seconds: float | None

    @property
    def num_bytes(self) -> int:
        """The memory that is told: of the worker, or on a GPU the most that torch took of it."""
        trained = self.paces.get(Work.TRAINING)
        return (trained.gpu_bytes if trained else 0) or self.host_bytes


def forecast_round(
    root: Path,
    project: Project,
    settled: PreprocessConfig,
    device: SettledDevice,
    standing: Standing,
    *,
    torch: str | None = None,
) -> Forecast:
    """Return what a round is expected to cost.

    Args:
        root: The project folder.
        project: The project.
        settled: Its plan.
        device: What it is trained on.
        standing: Which round, and how many of its steps are done; files tell the rest.
        torch: Version of torch; None takes what was measured last.
    """
    layout = ProjectLayout(root)
    names = [case.id for case in project.cases]
    half = device.half_precision
    standing = replace(
        standing,
        prepared=[n for n in names if (layout.preprocessed(n) / "images.npy").exists()],
        proposed=[n for n in names if layout.doubt(standing.index, n).exists()],
    )
    work = work_of_round(project, settled, standing, half_precision=half)
    paces = kept_paces(work, device.description, torch)
    memory = memory_of_round(
        project, settled, is_joint=standing.is_joint, half_precision=half,
        on_gpu=not device.is_cpu,
    )  # fmt: skip
    known = {one: pace.seconds for one, pace in paces.items()}
    return Forecast(work, paces, memory.peak, expected_seconds(work, known))


def next_round_in_words(
    root: Path, project: Project, settled: PreprocessConfig, standing: Standing
) -> Text | None:
    """Return what the next round costs here, as it is said with the plan; None if unknown."""
    device = read_settled_device(root)
    if device is None:
        return None
    forecast = forecast_round(root, project, settled, device, standing)
    if forecast.seconds is None:
        return None
    return cost_in_words(forecast.seconds, forecast.num_bytes)
