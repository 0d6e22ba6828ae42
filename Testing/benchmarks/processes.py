"""Two processes beside one: the same curve, how fast both predict, and their memory.

    python Testing/benchmarks/processes.py [--only curve predict] [--steps 50] [--side 128] \
        [--volumes 16] [--slices 32] [--repeats 3]

"curve" trains with AdamW in float32, on synthetic slices with the network and losses of profile
`quick` and its contrastive loss, in one process and in two with gloo, and prints by how much the
losses differ. Training blows rounding up in one process too, so the same is printed for a second
run of one process whose weights begin with a relative change of 1e-7. The seconds of a step are the
median.

"predict" segments the same volumes through the worker: one process with one thread, one process
with two, and two processes of one thread each. What counts is the time from the first to the last
of the volumes but those that are finished first, so neither starting nor loading is in it. Memory
is the most that each process had resident, as the system tells; the launcher is the worker itself.

What several GPUs would exchange: communication.py.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from own_process import print_table
from phantom_slices import NUM_CLASSES, phantom_slices

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.process_group import ALONE, ProcessGroup
from PseudoLabelCLLib.learning.training.sampling import SlicePool
from PseudoLabelCLLib.learning.training.training import RoundData, Trainer, start_training
from PseudoLabelCLLib.messages.job_messages import JobCompleted
from PseudoLabelCLLib.messages.jobs import DeviceChoice, PredictJob
from PseudoLabelCLLib.pipeline.prediction.model_file import (
    ModelCard,
    TrainedModel,
    TrainingSummary,
    write_model,
)
from PseudoLabelCLLib.process.worker_process import WorkerProcess
from PseudoLabelCLLib.storage.volume_io import write_volume

FLOAT32 = ComputeDevice("cpu", "CPU", Text("chosen by the benchmark"), half_precision=False)
SHOWN_STEPS = (1, 2, 5, 10, 20, 30, 40, 50)
ROUNDING = 1e-7


def curve_of(
    group: ProcessGroup, arguments, rounding: float = 0.0, threads: int = 1
) -> tuple[torch.Tensor, float]:
    """Train some steps; return the losses, shape (steps, losses), and the seconds of a step."""
    torch.set_num_threads(threads)
    config = config_for(Profile.QUICK)
    training = replace(
        config.training,
        joint=replace(config.training.joint, num_steps=arguments.steps),
        contrastive=replace(config.training.contrastive, weight=0.1),
    )
    network = SegmentationNetwork(config.network, NUM_CLASSES, torch.Generator().manual_seed(0))
    with torch.no_grad():
        noise = torch.Generator().manual_seed(1)
        for weight in network.parameters():
            weight.mul_(1 + rounding * torch.randn(weight.shape, generator=noise))
    pools = [
        SlicePool((phantom_slices(10, arguments.side, seed=seed),), NUM_CLASSES) for seed in (1, 2)
    ]
    state = start_training(network, training.joint, FLOAT32, seed=0)
    trainer = Trainer(state, RoundData(*pools), training, FLOAT32, group)
    losses, done_s = [], []
    for step in trainer.steps():
        losses.append(list(step.losses.values()))
        done_s.append(time.perf_counter())
    return torch.tensor(losses), statistics.median(b - a for a, b in pairwise(done_s))


def show_curves(arguments) -> None:
    """Print by how much the losses of two processes differ from those of one."""
    one, one_s = curve_of(ALONE, arguments)
    rounded, _ = curve_of(ALONE, arguments, ROUNDING)
    _, both_s = curve_of(ALONE, arguments, threads=2)
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            multiprocessing.get_context("spawn").Process(
                target=_curve_in_group, args=(rank, Path(folder), arguments)
            )
            for rank in range(2)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        two, two_s = torch.load(Path(folder) / "curve.pt")
    rows = []
    for step in (step for step in SHOWN_STEPS if step <= len(one)):
        differences = [(other - one)[step - 1].abs().max().item() for other in (two, rounded)]
        rows.append((step, f"{one[step - 1].sum():.4f}", *(f"{one:.1e}" for one in differences)))
    print_table(
        (
            "step", "losses of one process", "largest difference of two processes",
            "of one process with other rounding",
        ),
        rows,
    )  # fmt: skip
    _show_paces(one_s, both_s, two_s)


def _show_paces(one_s: float, both_s: float, two_s: float) -> None:
    rows = (
        ("one process, one core", one_s),
        ("one process, both cores", both_s),
        ("two processes, one core each", two_s),
    )
    print_table(
        ("", "seconds of a step", "times"),
        [(name, f"{seconds:.3f}", f"{one_s / seconds:.2f}") for name, seconds in rows],
    )


def _curve_in_group(rank: int, folder: Path, arguments) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    control = torch.distributed.new_group(backend="gloo")
    found = curve_of(ProcessGroup(rank, 2, control=control), arguments)
    if rank == 0:
        torch.save(found, folder / "curve.pt")
    torch.distributed.destroy_process_group()


@dataclass
class Prediction:
    """A run of the worker.

    Args:
        volumes_per_s: How many volumes it segmented in a second.
        memory_mb: The most that each process had resident.
    """

    volumes_per_s: float = 0.0
    memory_mb: dict[str, float] = field(default_factory=dict)


# Name of a row: processes, threads of each.
PREDICTIONS = {
    "one process, one core": (1, 1),
    "one process, both cores": (1, 2),
    "two processes, one core each": (2, 1),
}


def show_predictions(arguments) -> None:
    """Print how fast volumes are segmented, and the memory of each process."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        job = _job(folder, arguments)
        best: dict[str, Prediction] = {}
        for turn in range(arguments.repeats):
            for name, (processes, threads) in PREDICTIONS.items():
                print(f"turn {turn + 1} of {arguments.repeats}: {name}", file=sys.stderr)
                own = folder / f"{turn}-{processes}-{threads}"
                found = _predict(replace(job, processes=processes), own, threads)
                if name not in best or found.volumes_per_s > best[name].volumes_per_s:
                    best[name] = found
    first = next(iter(best.values())).volumes_per_s
    print_table(
        ("", "volumes a second", "times", "most memory of each process, MB"),
        [
            (
                name, f"{one.volumes_per_s:.2f}", f"{one.volumes_per_s / first:.2f}",
                ", ".join(f"{which} {mb:.0f}" for which, mb in sorted(one.memory_mb.items())),
            )
            for name, one in best.items()
        ],
    )  # fmt: skip


def _job(folder: Path, arguments) -> PredictJob:
    """Write a model of profile `quick` with random weights, and volumes for it."""
    config = config_for(Profile.QUICK)
    network = SegmentationNetwork(config.network, NUM_CLASSES, torch.Generator().manual_seed(0))
    card = ModelCard(
        schema=LabelSchema.from_values(tuple(range(1, NUM_CLASSES))),
        preprocess=replace(config.preprocess, in_plane_spacing_mm=1.0),
        network=config.network,
        pseudo_label=config.pseudo_label,
        mirror_copies=False,
        seed=0,
        training=TrainingSummary("benchmark", 0, 1, 0, (1.0, 1.0), None, 0, 0, "quick", "CPU", ""),
    )
    write_model(folder / "model.plcl", TrainedModel(network, card).network, card)
    side, number = arguments.side, arguments.slices
    grid = Geometry((side, side, number), (1.0, 1.0, 5.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    images = []
    for seed in range(arguments.volumes):
        slices = phantom_slices(number, side, seed=seed).images[:, 0]
        images.append(str(folder / f"volume-{seed}.nrrd"))
        write_volume(Path(images[-1]), Volume((1000 * slices).astype(np.float32), grid))
    return PredictJob(str(folder / "model.plcl"), tuple(images), "", DeviceChoice.CPU)


def _predict(job: PredictJob, folder: Path, threads: int) -> Prediction:
    """Let a worker segment the volumes."""
    finished_s: list[tuple[float, int]] = []
    found = Prediction()
    job = replace(job, output_folder=str(folder / "out"))
    environment = {"OMP_NUM_THREADS": str(threads)}
    with WorkerProcess.start(job, folder / "job", environment=environment) as worker:
        is_over = threading.Event()
        watch = threading.Thread(target=_watch_memory, args=(worker.pid, found, is_over))
        watch.start()
        event = None
        while not worker.has_ended:
            event = worker.wait_event(timeout_s=0.05) or event
            if isinstance(event, Progress) and (not finished_s or event.step > finished_s[-1][1]):
                finished_s.append((time.perf_counter(), event.step))
        is_over.set()
        watch.join()
    assert isinstance(event, JobCompleted), event
    # each process has its first volume, in which it is slow, behind it
    (first_s, first), (last_s, last) = finished_s[job.processes - 1], finished_s[-1]
    found.volumes_per_s = (last - first) / (last_s - first_s)
    return found


def _watch_memory(worker: int, found: Prediction, is_over: threading.Event) -> None:
    """Note the most memory of a worker and of the processes that it starts, until it is over."""
    while not is_over.wait(0.2):
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, StopIteration):
                status = (folder / "status").read_text().splitlines()
                values = dict(line.split(":", 1) for line in status)
                is_worker = int(folder.name) == worker
                if not (is_worker or int(values["PPid"]) == worker):
                    continue
                name = "worker" if is_worker else _rank_of(folder)
                peak_mb = int(values["VmHWM"].split()[0]) / 1024
                found.memory_mb[name] = max(peak_mb, found.memory_mb.get(name, 0.0))


def _rank_of(folder: Path) -> str:
    said = (folder / "environ").read_bytes().split(b"\0")
    rank = next(one for one in said if one.startswith(b"RANK="))
    return f"process {int(rank.removeprefix(b'RANK=')) + 1}"


PARTS = {"curve": show_curves, "predict": show_predictions}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--side", type=int, default=128, help="rows and columns of a slice")
    parser.add_argument("--volumes", type=int, default=16)
    parser.add_argument("--slices", type=int, default=32, help="slices of a volume")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many runs counts")
    arguments = parser.parse_args()
    for name in arguments.only:
        PARTS[name](arguments)


if __name__ == "__main__":
    main()
