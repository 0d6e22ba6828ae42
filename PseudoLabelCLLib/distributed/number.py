"""How many processes of this computer do a job."""

import os

import torch

from PseudoLabelCLLib.domain.errors import DeviceError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.jobs import ALL_GPUS, DeviceChoice, Job, PredictJob, TrainJob


def number_of_processes(job: Job) -> int:
    """Return how many processes share a job; those that cannot be shared have one.

    Raises:
        DeviceError: The computer has fewer GPUs, or fewer cores, than were asked for.
    """
    if not isinstance(job, TrainJob | PredictJob) or job.processes == 1:
        return 1
    num_gpus = _num_gpus(job.device)
    if job.processes == ALL_GPUS:
        most = len(job.images) if isinstance(job, PredictJob) else num_gpus
        return max(1, min(num_gpus, most))
    if num_gpus:
        _require(job.processes, num_gpus, Text("GPU"))
    elif job.device is DeviceChoice.MPS:
        _require(job.processes, 1, Text("GPU"))
    else:
        _require(job.processes, num_cores(), Text("core"))
    return job.processes


def num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _num_gpus(device: DeviceChoice) -> int:
    return torch.cuda.device_count() if device in {DeviceChoice.AUTO, DeviceChoice.CUDA} else 0


def _require(number: int, available: int, what: Text) -> None:
    if number > available:
        raise DeviceError(
            Text(
                "{number} processes were asked for; this computer has room for {available}, one "
                "for each {what}.",
                number=number,
                available=available,
                what=what,
            ),
            Text("Ask for at most {available} processes.", available=available),
        )
