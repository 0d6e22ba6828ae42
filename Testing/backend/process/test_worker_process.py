"""The worker and its parent, with real processes and exact sequences of events."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_jobs
import psutil
import pytest

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages import job_messages as protocol
from PseudoLabelCLLib.messages.job_messages import (
    PROTOCOL_VERSION,
    Artifact,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobStarted,
    Metrics,
    Notice,
    NoticeLevel,
    WorkerCrashed,
    is_terminal,
)
from PseudoLabelCLLib.messages.jobs import DoctorJob, TrainJob
from PseudoLabelCLLib.process import worker_process
from PseudoLabelCLLib.process.job_files import write_job
from PseudoLabelCLLib.process.process_tree import kept_memory, start_tree
from PseudoLabelCLLib.process.worker_process import WorkerProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the fakes use POSIX signals and libc"),
]

STARTED = JobStarted(protocol_version=PROTOCOL_VERSION, kind="train")
WAITING = Progress("Waiting", 0, 1)
ENVIRONMENT = {"PYTHONPATH": str(Path(fake_jobs.__file__).parent)}
# A worker starts in about 0.2 s here; a machine under full load may take a hundred times that.
PATIENCE_S = 30.0


@pytest.fixture
def start(tmp_path):
    """Starts workers by the name of their fake job, and leaves none behind."""
    workers = []

    def start_one(name, *, folder=tmp_path / "jobs" / "job_1", **options):
        options = {"environment": ENVIRONMENT, "module": "fake_jobs"} | options
        worker = WorkerProcess.start(TrainJob(project=name), folder, **options)
        workers.append(worker)
        return worker

    yield start_one
    for worker in workers:
        worker.kill()
        worker.close()


@pytest.fixture
def a_launcher(tmp_path):
    """Starts Python as a child that shares its streams, as Slicer's launcher does."""
    path = tmp_path / "a launcher"
    path.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def job_folder(tmp_path):
    return tmp_path / "jobs" / "job_1"


def all_events(worker):
    """Every event up to the end."""
    events = []
    until_s = time.monotonic() + PATIENCE_S
    while not worker.has_ended and time.monotonic() < until_s:
        event = worker.wait_event(0.5)
        events += [] if event is None else [event]
    assert worker.has_ended
    return events


def wait_until(condition):
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kept_lines(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_job_that_completes_tells_everything_in_order(start):
    events = all_events(start("complete"))
    # The time left of the last step is exactly 0: there is none left.
    assert events == [
        STARTED,
        Progress("Thinking", 1, 2, None),
        Metrics("Thinking", 1, {"loss": 0.25}),
        Notice(NoticeLevel.INFO, "Half way."),
        Artifact("report", "/somewhere/report.html"),
        Progress("Thinking", 2, 2, 0.0),
        JobCompleted({"dice": 0.5, "cases": ["a", "b"], "nothing": None}),
    ]


def test_worker_ends_with_exit_code_0_after_success_and_1_after_failure(start, tmp_path):
    for name, code in (("complete", 0), ("user_error", 1)):
        worker = start(name, folder=tmp_path / name)
        all_events(worker)
        worker.close()
        assert worker._process.returncode == code


def test_events_are_kept_in_the_job_folder_numbered_from_0(start, job_folder):
    all_events(start("complete"))
    lines = kept_lines(job_folder)
    assert [line["seq"] for line in lines] == list(range(7))
    assert {line["job_id"] for line in lines} == {"job_1"}
    assert lines[-1]["type"] == "JobCompleted"


def test_defect_fails_with_its_traceback(start, job_folder):
    *before, failed = all_events(start("defect"))
    assert before == [STARTED, Progress("Thinking", 1, 2)]
    assert failed.error_type == "InternalError"
    assert "ZeroDivisionError: over zero." in failed.message
    assert "second line" not in failed.message
    assert "log.txt" in failed.remedy
    assert "fake_jobs.py" in failed.traceback
    assert "ZeroDivisionError" in (job_folder / "log.txt").read_text()


def test_user_error_fails_with_remedy_and_keeps_its_traceback_in_the_log(start, job_folder):
    events = all_events(start("user_error"))
    failed = JobFailed("TrainingError", "The volume 'a' is empty.", "Choose another one.", "")
    assert events == [STARTED, failed]
    assert "Traceback" in (job_folder / "log.txt").read_text()


@pytest.mark.parametrize(
    ("name", "error_type", "words"),
    [
        ("memory_is_full", "OutOfMemoryError", "ran out of memory"),
        ("torch_memory_is_full", "OutOfMemoryError", "Tried to allocate 2.00 GiB"),
        ("disk_is_full", "StorageError", "the disk is full"),
        ("missing_package", "WorkerError", "no_such_package"),
        ("defective_import", "InternalError", "no_such_name"),
        ("exit_politely", "InternalError", "SystemExit: 3"),
        ("return_no_json", "InternalError", "finite"),
    ],
)
def test_failures_are_told_in_plain_words(start, name, error_type, words):
    started, failed = all_events(start(name))
    assert started == STARTED
    assert failed.error_type == error_type
    assert words in failed.message
    assert failed.remedy
    assert bool(failed.traceback) == (error_type == "InternalError")


def test_damaged_job_file_fails_without_a_start(tmp_path):
    path = tmp_path / "job.json"
    path.write_text('{"schema_version": 1, "kind": "dance"}')
    done = subprocess.run(
        [sys.executable, "-m", "PseudoLabelCLLib.worker", str(path)],
        cwd=Path(__file__).parents[3], capture_output=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    message = protocol.decode_line(line).message
    assert message.error_type == "ProjectDamagedError"
    assert "dance" in message.message
    assert done.returncode == 1


def test_missing_job_file_fails_in_plain_words(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "PseudoLabelCLLib.worker", str(tmp_path / "job.json")],
        cwd=Path(__file__).parents[3], capture_output=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert protocol.decode_line(done.stdout.strip()).message.error_type == "StorageError"


def test_worker_without_argument_shows_its_usage():
    done = subprocess.run(
        [sys.executable, "-m", "PseudoLabelCLLib.worker"],
        cwd=Path(__file__).parents[3], capture_output=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"usage" in done.stderr


def test_death_before_start_is_a_crash_with_the_last_words(start):
    (crashed,) = all_events(start("complete", module="no_such_module"))
    assert isinstance(crashed, WorkerCrashed)
    assert crashed.exit_code == 1
    assert "No module named no_such_module" in crashed.stderr_tail


def test_interpreter_that_does_not_exist_is_refused_at_once(tmp_path):
    with pytest.raises(WorkerError, match="no python here"):
        WorkerProcess.start(TrainJob("x"), tmp_path / "job", python=tmp_path / "no python here")


def test_end_without_a_word_is_a_crash_even_with_exit_code_0(start):
    started, crashed = all_events(start("exit_abruptly"))
    assert started == STARTED
    assert crashed.exit_code == 0
    assert "without reporting" in crashed.message


def test_worker_killed_in_mid_task_is_a_crash(start):
    worker = start("wait_for_cancel")
    assert worker.wait_event(PATIENCE_S) == STARTED
    assert worker.wait_event(PATIENCE_S) == WAITING
    os.kill(worker.pid, signal.SIGKILL)
    (crashed,) = all_events(worker)
    assert crashed.exit_code == -signal.SIGKILL
    assert "killed from outside" in crashed.message
    assert "checkpoint" in crashed.remedy


def test_native_crash_shows_where_it_happened(start):
    *_, crashed = all_events(start("crash_natively"))
    assert crashed.exit_code == -signal.SIGSEGV
    assert "memory that it does not own" in crashed.message
    assert "crash_natively" in crashed.stderr_tail


def test_stray_prints_break_no_line_and_reach_the_standard_error(start):
    worker = start("print_stray_text")
    assert all_events(worker) == [STARTED, JobCompleted({})]
    worker.close()
    for source in ("Python", "the first stdout", "printf", "a child"):
        assert f"from {source}" in worker.stderr_tail


def test_job_that_reads_the_standard_input_finds_it_empty(start):
    assert all_events(start("read_stdin"))[-1] == JobCompleted({"read": ""})


def test_thousands_of_events_arrive_complete_and_in_order(start):
    _, *notices, _ = all_events(start("report_many"))
    expected = [Notice(NoticeLevel.INFO, str(n)) for n in range(fake_jobs.NUM_MANY)]
    assert notices == expected


def test_fast_progress_is_thinned_but_keeps_the_last_of_each_stage(start):
    _, *progress, _ = all_events(start("report_fast_progress"))
    # 5700 calls in far less than a second per thousand: about ten a second are left.
    assert len(progress) < 100
    last_of = {event.stage: event.step for event in progress}
    assert last_of == {"One": 5000, "Two": 699}


def test_huge_event_arrives_whole(start):
    _, notice, completed = all_events(start("report_huge"))
    assert notice.text == fake_jobs.HUGE_TEXT
    assert completed.result == {"text": fake_jobs.HUGE_TEXT}


def test_odd_text_and_paths_arrive_unchanged(start, tmp_path):
    folder = tmp_path / "Größe mit Leerzeichen 日本" / "Auftrag Ü 1"
    _, notice, artifact, completed = all_events(start("report_odd_text", folder=folder))
    assert notice.text == fake_jobs.ODD_TEXT
    assert artifact.path.endswith("Größe 日本 \udcff.nrrd")
    assert completed.result == {"project": "report_odd_text"}
    assert kept_lines(folder)[0]["job_id"] == "Auftrag Ü 1"


def test_metrics_that_are_no_number_are_named_once_and_left_out(start):
    _, notice, first, second, _ = all_events(start("report_not_finite"))
    assert notice.level is NoticeLevel.WARNING
    assert "'loss' is not a finite number" in notice.text
    assert (first.values, second.values) == ({"dice": 0.5}, {"dice": 0.5})


def test_cancel_by_message_ends_the_job_resumable(start):
    worker = start("wait_for_cancel")
    assert worker.wait_event(PATIENCE_S) == STARTED
    worker.request_cancel()
    worker.request_cancel()
    assert all_events(worker) == [WAITING, JobCancelled(resumable=True)]
    worker.close()
    assert worker._process.returncode == 0


def test_cancel_before_the_worker_is_up_is_not_lost(start):
    worker = start("wait_for_cancel")
    worker.request_cancel()
    assert all_events(worker) == [STARTED, WAITING, JobCancelled(resumable=True)]


def test_cancel_after_the_end_does_nothing(start):
    worker = start("complete")
    all_events(worker)
    worker.close()
    worker.request_cancel()
    assert worker.poll_events() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_polite_signal_is_a_cancel(start, number):
    worker = start("wait_for_cancel")
    assert worker.wait_event(PATIENCE_S) == STARTED
    assert worker.wait_event(PATIENCE_S) == WAITING
    os.kill(worker.pid, number)
    assert all_events(worker) == [JobCancelled(resumable=True)]


def test_closed_standard_input_is_a_cancel(start):
    worker = start("wait_for_cancel")
    worker._process.stdin.close()
    started, *between, cancelled = all_events(worker)
    assert (started, cancelled) == (STARTED, JobCancelled(resumable=True))
    # the job and the listener to the parent speak independently: either may be first
    assert WAITING in between
    (notice,) = (event for event in between if event != WAITING)
    assert "closed its line" in notice.text


def test_broken_order_is_ignored_with_a_notice(start):
    worker = start("wait_for_cancel")
    worker._process.stdin.write(b'{"type": "Canc\n')
    worker._process.stdin.flush()
    assert worker.wait_event(PATIENCE_S) == STARTED
    events = [worker.wait_event(PATIENCE_S), worker.wait_event(PATIENCE_S)]
    assert WAITING in events
    (notice,) = (event for event in events if event != WAITING)
    assert notice.level is NoticeLevel.WARNING
    assert "Not understood" in notice.text
    worker.request_cancel()
    assert all_events(worker) == [JobCancelled(resumable=True)]


def test_job_that_hangs_after_the_parent_left_is_ended_at_the_deadline(start, job_folder):
    worker = start("hang")
    assert worker.wait_event(PATIENCE_S) == STARTED
    worker._process.stdin.close()
    *_, crashed = all_events(worker)
    assert crashed.exit_code == 1
    assert "in hang" in (job_folder / "log.txt").read_text()


PARENT = """
import sys, time
from pathlib import Path
from PseudoLabelCLLib.messages.jobs import DoctorJob, TrainJob
from PseudoLabelCLLib.process.worker_process import WorkerProcess
name, folder, path = sys.argv[1:]
worker = WorkerProcess.start(
    TrainJob(name), Path(folder), environment={"PYTHONPATH": path}, module="fake_jobs")
worker.wait_event(30)
worker.wait_event(30)
print(worker.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("name", ["wait_for_cancel_printing", "hang"])
def test_no_worker_outlives_a_killed_parent(job_folder, name):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, name, str(job_folder), ENVIRONMENT["PYTHONPATH"]],
        cwd=Path(__file__).parents[3], stdout=subprocess.PIPE,
    )  # fmt: skip
    with parent:
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
    wait_until(lambda: is_gone(pid))
    if name != "hang":
        assert kept_lines(job_folder)[-1]["type"] == "JobCancelled"


def test_kill_ends_the_worker_and_what_it_started(start):
    worker = start("start_grandchild")
    assert worker.wait_event(PATIENCE_S) == STARTED
    grandchild = int(worker.wait_event(PATIENCE_S).text)
    assert not is_gone(grandchild)
    worker.kill()
    (crashed,) = all_events(worker)
    assert crashed.message == "The worker was ended on request."
    wait_until(lambda: is_gone(grandchild))


def test_what_a_dead_worker_started_is_swept_up(start):
    worker = start("start_grandchild_and_die")
    _, notice, crashed = all_events(worker)
    assert crashed.exit_code == 9
    wait_until(lambda: is_gone(int(notice.text)))


def test_worker_behind_a_launcher_can_be_cancelled(start, a_launcher):
    worker = start("wait_for_cancel", python=a_launcher)
    worker.request_cancel()
    assert all_events(worker) == [STARTED, WAITING, JobCancelled(resumable=True)]


@pytest.mark.parametrize("end", [WorkerProcess.kill, lambda w: os.kill(w.pid, signal.SIGKILL)])
def test_worker_behind_a_launcher_ends_with_it(start, a_launcher, end):
    worker = start("hang", python=a_launcher)
    assert worker.wait_event(PATIENCE_S) == STARTED
    (real_worker,) = psutil.Process(worker.pid).children()
    end(worker)
    *_, crashed = all_events(worker)
    assert crashed.exit_code == -signal.SIGKILL
    wait_until(lambda: is_gone(real_worker.pid))


def test_worker_of_another_version_is_refused_and_ended(start):
    worker = start("speak_another_version")
    (failed,) = all_events(worker)
    assert failed.error_type == "ProtocolVersionError"
    assert "version 2" in failed.message
    wait_until(lambda: not worker.is_alive)


def test_unknown_messages_are_skipped_with_a_notice_and_nothing_follows_the_end(start):
    started, unknown, broken, completed = all_events(start("speak_of_the_future"))
    assert (started, completed) == (STARTED, JobCompleted({}))
    assert "no message of the type 'Applause'" in unknown.text
    assert "no message" in broken.text


def test_worker_that_falls_silent_for_good_is_ended(start, monkeypatch):
    monkeypatch.setattr(worker_process, "_MUTE_S", 0.1)
    (crashed,) = all_events(start("close_line_and_stay"))
    assert crashed.exit_code == -signal.SIGKILL


def test_polling_returns_at_once_while_the_worker_is_busy(start):
    worker = start("wait_for_cancel")
    assert worker.wait_event(PATIENCE_S) == STARTED
    before_s = time.monotonic()
    for _ in range(100):
        worker.poll_events()
    # 100 polls take about 1 ms; a single wait for the worker would last for ever.
    assert time.monotonic() - before_s < 1.0


def test_polling_and_waiting_see_each_event_once(start):
    worker = start("complete")
    events = [worker.wait_event(PATIENCE_S)]
    while not worker.has_ended:
        events += worker.poll_events()
    assert len(events) == 7
    assert [is_terminal(event) for event in events] == [False] * 6 + [True]
    assert worker.wait_event(0.0) is None


def test_closing_a_running_worker_cancels_it(start, job_folder):
    with start("wait_for_cancel") as worker:
        worker.wait_event(PATIENCE_S)
    assert not worker.is_alive
    assert kept_lines(job_folder)[-1]["type"] == "JobCancelled"


def test_job_folder_that_refuses_its_events_gives_a_notice(start, job_folder):
    (job_folder / "events.jsonl").mkdir(parents=True)
    notice, started, *_ = all_events(start("complete"))
    assert notice.level is NoticeLevel.WARNING
    assert "cannot be kept" in notice.text
    assert started == STARTED


def test_second_run_of_a_job_goes_on_in_the_same_files(start, job_folder):
    for _ in range(2):
        all_events(start("complete"))
    assert [line["seq"] for line in kept_lines(job_folder)] == [*range(7), *range(7)]


def test_worker_gives_way_to_the_user(start):
    worker = start("wait_for_cancel")
    worker.wait_event(PATIENCE_S)
    own = psutil.Process().nice()
    assert psutil.Process(worker.pid).nice() == min(own + 5, 19)


FAULTS_OF_FRESH_BLOCKS = """
import resource
for number in range(20):
    if number == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(64 << 20)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_worker_uses_freed_memory_again():
    with start_tree([sys.executable, "-c", FAULTS_OF_FRESH_BLOCKS], {}) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    # Ten fresh blocks would have 163840 pages of 4 kB, or 320 of 2 MB; used ones have none.
    assert int(out) < 32


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has glibc")
class TestKeptMemory:
    NAMES = ("glibc.malloc.hugetlb", "glibc.malloc.mmap_threshold", "glibc.malloc.trim_threshold")

    def settings(self, environment):
        """The settings by name, each said once."""
        pairs = [part.split("=") for part in kept_memory(environment)["GLIBC_TUNABLES"].split(":")]
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def test_is_asked_for_where_the_user_says_nothing(self):
        assert tuple(self.settings({})) == self.NAMES

    def test_joins_what_the_user_says_of_other_things(self):
        settings = self.settings({"GLIBC_TUNABLES": "glibc.pthread.rseq=0:glibc.malloc.check=1"})
        others = {"glibc.pthread.rseq": "0", "glibc.malloc.check": "1"}
        assert settings == others | self.settings({})

    @pytest.mark.parametrize("name", NAMES)
    def test_leaves_what_the_user_says_of_the_same(self, name):
        settings = self.settings({"GLIBC_TUNABLES": f"{name}=0"})
        assert settings == self.settings({}) | {name: "0"}

    @pytest.mark.parametrize("name", NAMES[1:])
    def test_leaves_what_the_user_says_by_the_older_name(self, name):
        older = name.removeprefix("glibc.").replace(".", "_").upper() + "_"
        assert self.settings({older: "131072"}) == {
            other: value for other, value in self.settings({}).items() if other != name
        }

    def test_passes_over_empty_parts(self):
        assert self.settings({"GLIBC_TUNABLES": ":"}) == self.settings({})


def test_memory_settings_can_be_made_for_the_environment_of_this_process(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert kept_memory(os.environ) == kept_memory(dict(os.environ))


def test_no_memory_setting_elsewhere_than_on_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert kept_memory({"GLIBC_TUNABLES": "x=1"}) == {}


def test_importing_the_parents_side_loads_no_torch_and_no_numpy(tmp_path):
    code = (
        "import sys, PseudoLabelCLLib.process.worker_process, PseudoLabelCLLib.process.job_files;"
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True)


def test_worker_refuses_an_older_pytorch_in_a_sentence(job_folder):
    code = (
        "import sys, torch; torch.__version__ = '2.9.1+cu128';"
        "from PseudoLabelCLLib.worker import main; sys.exit(main())"
    )
    path = write_job(job_folder, DoctorJob())
    process = start_tree([sys.executable, "-c", code, str(path)], {})
    with WorkerProcess(process, path.parent.name) as worker:
        ending = all_events(worker)[-1]
    assert isinstance(ending, JobFailed)
    assert ending.message.startswith("PyTorch 2.9.1+cu128 is too old: 2.10 or later is needed")
    assert "Install" in ending.remedy


def test_job_is_written_where_the_worker_finds_it(job_folder):
    path = write_job(job_folder, TrainJob("p"))
    assert path == job_folder / "job.json"
