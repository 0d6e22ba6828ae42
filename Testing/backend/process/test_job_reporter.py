"""What a running job's reports become."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages.job_messages import (
    JobCancelled,
    JobCompleted,
    Metrics,
    Notice,
    NoticeLevel,
    decode_line,
)
from PseudoLabelCLLib.process.job_reporter import PROGRESS_INTERVAL_S, EventWriter, JobReporter


class Stage:
    """A reporter with a clock that is turned by hand."""

    def __init__(self):
        self.now_s = 100.0
        self.events = []
        self.reporter = JobReporter(self.events.append, lambda: False, lambda: self.now_s)

    def progress(self, step, num_steps=100, *, after_s=0.0, stage="Training"):
        self.now_s += after_s
        self.reporter.progress(stage, step, num_steps)

    @property
    def steps(self):
        return [(event.stage, event.step) for event in self.events]


@pytest.fixture
def a_stage():
    return Stage()


@pytest.fixture
def a_pipe():
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)


def events_in(descriptor):
    return [decode_line(line) for line in os.read(descriptor, 65_536).splitlines()]


@given(
    duration_s=st.floats(0.2, 100.0), first=st.integers(0, 50), steps=st.integers(2, 40)
)  # fmt: skip
def test_time_left_of_even_steps_is_steps_left_times_duration(duration_s, first, steps):
    stage = Stage()
    for n in range(steps):
        stage.progress(first + n, 100, after_s=duration_s)
    left = stage.events[-1].seconds_left
    expected = (100 - first - (steps - 1)) * duration_s
    # Rounded to 0.1 s, beside the rounding of sums of floats of 1 part in 10**13.
    assert left == pytest.approx(expected, abs=0.0501)
    assert stage.events[0].seconds_left is None


def test_each_stage_has_its_own_rate(a_stage):
    for n in range(3):
        a_stage.progress(n, 10, after_s=1.0)
    for n in range(3):
        a_stage.progress(n, 10, after_s=5.0, stage="Predicting")
    assert [e.seconds_left for e in a_stage.events] == [None, 9.0, 8.0, None, 45.0, 40.0]


def test_stage_that_starts_again_measures_again(a_stage):
    for step in (0, 1, 0, 1):
        a_stage.progress(step, 10, after_s=1.0)
    assert [e.seconds_left for e in a_stage.events] == [None, 9.0, None, 9.0]


def test_steps_within_the_interval_are_held_back(a_stage):
    for step in range(50):
        a_stage.progress(step, after_s=PROGRESS_INTERVAL_S / 5.5)
    # Every sixth step is the first that lies an interval or more after the one sent before.
    assert [e.step for e in a_stage.events] == list(range(0, 50, 6))


def test_last_step_is_always_sent(a_stage):
    for step in range(101):
        a_stage.progress(step)
    assert [e.step for e in a_stage.events] == [0, 100]


def test_step_held_back_is_sent_before_the_next_stage_and_on_flush(a_stage):
    a_stage.progress(0)
    a_stage.progress(7)
    a_stage.progress(0, stage="Predicting")
    a_stage.progress(3, stage="Predicting")
    a_stage.reporter.flush()
    a_stage.reporter.flush()
    assert a_stage.steps == [
        ("Training", 0), ("Training", 7), ("Predicting", 0), ("Predicting", 3),
    ]  # fmt: skip


def test_metrics_without_any_number_are_a_notice_alone(a_stage):
    a_stage.reporter.metrics("Training", 3, {"loss": float("inf")})
    (notice,) = a_stage.events
    assert notice.level is NoticeLevel.WARNING
    assert "step 3" in notice.text
    assert "inf" in notice.text


def test_metrics_become_plain_numbers(a_stage):
    a_stage.reporter.metrics("Training", 3, {"loss": 1})
    (metrics,) = a_stage.events
    assert metrics == Metrics("Training", 3, {"loss": 1.0})
    assert type(metrics.values["loss"]) is float


def test_nothing_follows_a_terminal_event(a_pipe, tmp_path):
    read_end, write_end = a_pipe
    writer = EventWriter(write_end, tmp_path / "events.jsonl", "j", lambda: None)
    writer.write(JobCompleted({}))
    writer.write(JobCancelled(resumable=True))
    writer.close()
    writer.write(Notice(NoticeLevel.INFO, "late"))
    assert [line.message for line in events_in(read_end)] == [JobCompleted({})]


def test_refused_event_leaves_no_gap_in_the_numbers(a_pipe, tmp_path):
    read_end, write_end = a_pipe
    writer = EventWriter(write_end, tmp_path / "events.jsonl", "j", lambda: None)
    with pytest.raises(ValueError, match="finite"):
        writer.write(Metrics("s", 0, {"x": float("nan")}))
    writer.write(Progress("s", 0, 1))
    writer.close()
    assert [line.seq for line in events_in(read_end)] == [0]


def test_broken_pipe_is_told_once_and_events_are_still_kept(tmp_path):
    read_end, write_end = os.pipe()
    os.close(read_end)
    calls = []
    path = tmp_path / "events.jsonl"
    writer = EventWriter(write_end, path, "j", lambda: calls.append("broken"))
    writer.write(Notice(NoticeLevel.INFO, "one"))
    writer.write(Notice(NoticeLevel.INFO, "two"))
    writer.close()
    assert calls == ["broken"]
    kept = [decode_line(line).message.text for line in path.read_bytes().splitlines()]
    assert kept == ["one", "two"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full disk at hand")  # noqa: PTH110
def test_full_disk_stops_the_keeping_but_not_the_telling(a_pipe, tmp_path):
    read_end, write_end = a_pipe
    path = tmp_path / "events.jsonl"
    path.symlink_to("/dev/full")
    writer = EventWriter(write_end, path, "j", lambda: None)
    for n in range(3):
        writer.write(Notice(NoticeLevel.INFO, str(n)))
    writer.close()
    told = [line.message.text for line in events_in(read_end)]
    assert [told[0], *told[2:]] == ["0", "1", "2"]
    assert "cannot be kept" in told[1]
