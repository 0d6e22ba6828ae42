"""A job in this process, or on several."""

import torch

from PseudoLabelCLLib.distributed.number import number_of_processes
from PseudoLabelCLLib.domain.errors import DeviceError
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.pipeline.run_job import run_job


def run_on_processes(job: Job, report: Report) -> dict[str, JsonValue]:
    """Do a job, on as many processes as it asks for, and return its result.

    Raises:
        PseudoLabelCLError: Something a person can fix; also that a process was lost.
        Cancelled: Asked to stop.
    """
    number = number_of_processes(job)
    if number == 1:
        return run_job(job, report)
    if not torch.distributed.is_available():
        raise DeviceError(
            Text("This build of PyTorch cannot connect processes (torch.distributed)."),
            Text("Ask for 1 process, or install a build of PyTorch that can."),
        )
    # slow to import, and most jobs do without
    from PseudoLabelCLLib.distributed.launch import launch  # noqa: PLC0415 - see above

    return launch(job, number, report)
