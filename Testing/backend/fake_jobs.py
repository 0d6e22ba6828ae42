"""A worker with small fake jobs; the job's `project` names the one to do."""

import ctypes
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.reporting import Cancelled
from PseudoLabelCLLib.messages.job_messages import PROTOCOL_VERSION
from PseudoLabelCLLib.process.job_files import read_job
from PseudoLabelCLLib.worker import serve

DEADLINE_S = 0.5
NUM_MANY = 3000
HUGE_TEXT = "ä" * 2_000_000
ODD_TEXT = "Größe 日本 \udcff \u2028 \x00"


def complete(job, report):
    report.progress("Thinking", 1, 2)
    report.metrics("Thinking", 1, {"loss": 0.25})
    report.notice("Half way.")
    report.artifact("report", Path("/somewhere/report.html"))
    report.progress("Thinking", 2, 2)
    return {"dice": 0.5, "cases": ["a", "b"], "nothing": None}


def defect(job, report):
    report.progress("Thinking", 1, 2)
    raise ZeroDivisionError("over zero\nsecond line")


def user_error(job, report):
    raise TrainingError("The volume 'a' is empty.", "Choose another one.")


def memory_is_full(job, report):
    raise MemoryError


def torch_memory_is_full(job, report):
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore words")


def disk_is_full(job, report):
    raise OSError(errno.ENOSPC, "No space left on device", "/a/b.nrrd")


def exit_politely(job, report):
    sys.exit(3)


def exit_abruptly(job, report):
    os._exit(0)


def crash_natively(job, report):
    ctypes.string_at(0)


def wait_for_cancel(job, report):
    report.progress("Waiting", 0, 1)
    while not report.is_cancelled():
        time.sleep(0.005)
    raise Cancelled(resumable=True)


def wait_for_cancel_printing(job, report):
    report.progress("Waiting", 0, 1)
    while not report.is_cancelled():
        print("still here")
    for _ in range(20):  # saving takes a while, and libraries print
        print("saving")
        time.sleep(0.005)
    raise Cancelled(resumable=True)


def hang(job, report):
    report.progress("Hanging", 0, 1)
    time.sleep(600)


def print_stray_text(job, report):
    print("from Python")
    sys.__stdout__.write("from the first stdout\n")
    sys.__stdout__.flush()
    os.write(1, b'{"type": "JobCompleted", "job_id": "x", "seq": 0, "result": {}}\n')
    libc = ctypes.CDLL(None)
    libc.printf(b"from printf\n")
    libc.fflush(None)
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    return {}


def read_stdin(job, report):
    return {"read": sys.stdin.read()}


def report_many(job, report):
    for n in range(NUM_MANY):
        report.notice(str(n))
    return {}


def report_fast_progress(job, report):
    for stage, num_steps in (("One", 5000), ("Two", 700)):
        for step in range(num_steps):  # the last call of stage Two is not its last step
            report.progress(stage, step + (stage == "One"), num_steps)
    return {}


def report_huge(job, report):
    report.notice(HUGE_TEXT)
    return {"text": HUGE_TEXT}


def report_odd_text(job, report):
    report.notice(ODD_TEXT)
    report.artifact("file", Path(__file__).parent / "Größe 日本 \udcff.nrrd")
    return {"project": job.project}


def report_not_finite(job, report):
    for step in (1, 2):
        report.metrics("Training", step, {"loss": float("nan"), "dice": 0.5})
    return {}


def return_no_json(job, report):
    return {"number": float("inf")}


def start_grandchild(job, report):
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    report.notice(str(grandchild.pid))
    time.sleep(600)


def start_grandchild_and_die(job, report):
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    report.notice(str(grandchild.pid))
    os._exit(9)


def speak_another_version():
    version = f'"protocol_version": {PROTOCOL_VERSION + 1}'
    print(f'{{"type": "JobStarted", "job_id": "j", "seq": 0, {version}, "new": 1}}')
    time.sleep(600)


def speak_of_the_future():
    version = f'"protocol_version": {PROTOCOL_VERSION}'
    print(f'{{"type": "JobStarted", "job_id": "j", "seq": 0, {version}, "kind": "train"}}')
    print('{"type": "Applause", "job_id": "j", "seq": 1, "volume": 11}')
    print("no message")
    print('{"type": "JobCompleted", "job_id": "j", "seq": 2, "result": {}}')
    print('{"type": "JobFailed", "job_id": "j", "seq": 3, "error_type": "X", "message": "late"}')


def close_line_and_stay():
    os.close(1)
    time.sleep(600)


UNGUARDED = (speak_another_version, speak_of_the_future, close_line_and_stay)


def load(name):
    if name == "missing_package":
        import no_such_package  # noqa: F401, PLC0415
    if name == "defective_import":
        from PseudoLabelCLLib import no_such_name  # noqa: F401, PLC0415
    return globals()[name]


def main():
    path = Path(sys.argv[1])
    # A job that cannot be read is for `serve` to refuse.
    name = read_job(path).project if b'"project"' in path.read_bytes() else ""
    if name in {worker.__name__ for worker in UNGUARDED}:
        return globals()[name]()
    return serve(path, lambda: load(name), deadline_s=DEADLINE_S)


if __name__ == "__main__":
    sys.exit(main())
