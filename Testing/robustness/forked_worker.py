"""A worker as a fork of this program, which has loaded all that it needs: it starts at once."""

import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from PseudoLabelCLLib import worker
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.process.job_files import write_job
from PseudoLabelCLLib.process.worker_process import WorkerProcess


class Fork:
    """A fork with pipes for its standard streams; what `WorkerProcess` needs of a `Popen`."""

    def __init__(self, arguments: list[str]) -> None:
        pipes = [os.pipe() for _ in range(3)]
        theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
        self.pid = os.fork()
        if not self.pid:
            _be_worker(arguments, theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin = os.fdopen(pipes[0][1], "wb")
        self.stdout, self.stderr = (os.fdopen(pipe[0], "rb") for pipe in pipes[1:])
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended."""
        end = time.monotonic() + (timeout or 3600.0)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            time.sleep(0.01)
        return self.returncode or 0


def _be_worker(arguments: list[str], streams: tuple[int, int, int]) -> None:
    code = 1
    try:
        os.setsid()
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.closerange(3, 4096)  # a service's line that it held would keep the service alive
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.argv = ["worker", *arguments]
        code = worker.main()
    except BaseException:  # noqa: BLE001 - the fork ends here, whatever it was
        traceback.print_exc()
    os._exit(code)


def start_fork(job: Job, folder: Path) -> WorkerProcess:
    """Write a job into its folder and start a fork for it."""
    path = write_job(folder.absolute(), job)
    return WorkerProcess(Fork([str(path)]), path.parent.name)  # type: ignore[arg-type]
