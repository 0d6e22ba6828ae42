"""A round is timed while it runs, and its cost foretold from what was measured; clocks are fake."""

from dataclasses import replace

import pytest
import torch
from learning_doubles import CPU, Listener
from small_projects import make_project

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.round_work import Standing, Work
from PseudoLabelCLLib.learning.training.training import StepReport
from PseudoLabelCLLib.pipeline.rounds import timed_training
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs, settle_training
from PseudoLabelCLLib.pipeline.rounds.round_watch import RoundWatch
from PseudoLabelCLLib.pipeline.rounds.timed_training import timed_steps
from PseudoLabelCLLib.pipeline.slices.case_slices import load_case_slices, preprocess_plan
from PseudoLabelCLLib.storage.files.own_seals import STATE_VARIABLE
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round
from PseudoLabelCLLib.storage.project.round_forecast import next_round_in_words
from PseudoLabelCLLib.storage.project.settled_device import SettledDevice, write_settled_device

FIRST = Standing(0, is_joint=False)
GIGABYTE = 10**9


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds

    def wait(self, seconds):
        self.seconds += seconds


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def inputs(tmp_path, clock):
    """The inputs of round 0 of a small project, with a watch on a fake clock."""
    root = make_project(tmp_path / "project")
    project = load_project(root)
    plan = preprocess_plan(root, project)
    write_settled_device(root, SettledDevice(CPU.description, CPU.half_precision))
    watch = RoundWatch(CPU, clock, lambda: 2 * GIGABYTE)
    return RoundInputs(
        root, project, plan_next_round(project), plan, settle_training(project, plan), watch
    )


class FakeTrainer:
    """Takes 30 seconds for its first step and 2 for each other."""

    def __init__(self, clock, num_steps=600):
        self.clock, self.num_steps, self.device = clock, num_steps, CPU
        self.state = type("State", (), {"step": 0, "average": None})()
        self.data = type("Data", (), {"is_joint": False})()

    def steps(self):
        for number in range(1, self.num_steps + 1):
            self.clock.wait(30 if number == 1 else 2)
            self.state.step = number
            yield StepReport(number, (), torch.zeros(0))


def prepared(inputs):
    for case in inputs.project.cases:
        load_case_slices(inputs.root, case, inputs.preprocess, ())
    return inputs


def outlook(inputs, standing=FIRST):
    return inputs.watch.expect(inputs.root, inputs.project, inputs.preprocess, standing)


def in_words(inputs):
    return next_round_in_words(inputs.root, inputs.project, inputs.preprocess, FIRST)


@pytest.fixture
def quick_trial(monkeypatch, clock):
    """A proposal of a few slices, which takes a millisecond for each voxel."""

    def tried(*_):
        clock.wait(5)
        return 1.0, 1000

    monkeypatch.setattr(timed_training, "seconds_of_proposal", tried)


def test_first_steps_and_a_few_slices_tell_what_the_whole_round_takes(
    inputs, clock, quick_trial, monkeypatch
):
    prepared(inputs)
    report, trainer = Listener(), FakeTrainer(clock)
    steps = timed_steps(inputs, trainer, report)
    for _ in range(4):
        next(steps)
    assert [told for told, _ in report.notices if "takes" in told] == []
    next(steps)
    (told,) = [told for told, _ in report.notices if "takes" in told]
    work = outlook(inputs, Standing(0, is_joint=False, steps_done=5)).forecast.work
    rest_s = 595 * 2 + work.amounts[Work.PROPOSING] * 0.001
    expected = (clock.seconds - 100 + rest_s) / 60
    assert told.startswith("Round 0 takes about ")
    assert f"about {5 * round(expected / 5)} minutes on this computer" in told


def test_first_step_of_a_process_does_not_count(inputs, clock):
    inputs.watch.add(Work.TRAINING, 30, 1)
    inputs.watch.add(Work.TRAINING, 2, 1)
    inputs.watch.add(Work.TRAINING, 4, 1)
    prepared(inputs)
    inputs.watch.add(Work.PROPOSING, 8, 4)
    inputs.watch.add(Work.CHECKING, 1, 1)
    found = outlook(inputs)
    assert found.seconds == pytest.approx(600 * 3 + found.forecast.work.amounts[Work.PROPOSING] * 2)


def test_what_was_validated_between_steps_is_no_part_of_a_step(inputs, clock, monkeypatch):
    prepared(inputs)
    monkeypatch.setattr(timed_training, "_measure_rest", lambda *_: None)
    watch = inputs.watch
    for step in timed_steps(inputs, FakeTrainer(clock, 10), Listener()):
        if step.step % 2 == 0:
            with inputs.timed(Work.VALIDATING, 50):
                clock.wait(1000)
    watch.add(Work.PROPOSING, 0, 1)
    found = outlook(inputs)
    assert found.seconds == pytest.approx(600 * 2)


def test_second_round_on_this_computer_knows_it_before_its_first_step(inputs, clock):
    prepared(inputs)
    assert in_words(inputs) is None
    first = inputs.watch
    outlook(inputs)
    for work, seconds in ((Work.TRAINING, 2.0), (Work.PROPOSING, 0.0), (Work.CHECKING, 0.0)):
        first.add(work, seconds, 1)
    first.finish(Listener())
    later = replace(inputs, watch=RoundWatch(CPU, clock))
    words, _ = later.watch.tell(outlook(later), 0)
    assert words.startswith("about 20 minutes a round on this computer, 0.")
    assert in_words(inputs) == words  # and so do `status` and the panel


def test_another_device_or_precision_knows_nothing_of_it(inputs, clock):
    prepared(inputs)
    outlook(inputs)
    for work in (Work.TRAINING, Work.PROPOSING, Work.CHECKING):
        inputs.watch.add(work, 1.0, 1)
    inputs.watch.finish(Listener())
    assert in_words(inputs) is not None
    write_settled_device(inputs.root, SettledDevice(CPU.description, half_precision=True))
    assert in_words(inputs) is None
    write_settled_device(inputs.root, SettledDevice("another CPU", half_precision=False))
    assert in_words(inputs) is None


def test_images_that_are_on_disk_need_no_preparation(inputs):
    assert Work.PREPARING in outlook(inputs).unknown
    prepared(inputs)
    assert Work.PREPARING not in outlook(inputs).unknown


def test_record_has_what_was_expected_beside_what_was_found(inputs, clock):
    prepared(inputs)
    watch = inputs.watch
    for work in (Work.TRAINING, Work.PROPOSING, Work.CHECKING):
        watch.add(work, 1e-9, 1)
    watch.tell(outlook(inputs), 0)
    clock.wait(100)
    with watch.elsewhere():
        clock.wait(10_000)  # a pre-training is no part of the round
    report = Listener()
    cost = watch.finish(report)
    assert cost.expected_s == pytest.approx(0, abs=1)
    assert (cost.seconds, cost.peak_bytes) == (100, 2 * GIGABYTE)
    (told,) = [told for told, _ in report.notices]
    assert told.startswith("The round took about 2 minutes, not less than a minute.")
    save_round(inputs.root, Round(0, RoundState.IN_REVIEW, cost=cost))
    assert load_project(inputs.root).rounds[0].cost == cost


def test_estimate_that_held_is_not_talked_about(inputs, clock):
    prepared(inputs)
    watch = inputs.watch
    watch._peak_bytes = lambda: outlook(inputs).forecast.num_bytes
    watch.add(Work.TRAINING, 2, 1)
    watch.add(Work.PROPOSING, 0, 1)
    watch.add(Work.CHECKING, 0, 1)
    watch.tell(outlook(inputs), 0)
    clock.wait(1000)  # 1200 were expected
    report = Listener()
    watch.finish(report)
    assert report.notices == []


def test_round_that_goes_on_elsewhere_forgets_the_speed_of_the_first_device(inputs):
    watch = inputs.watch
    watch.add(Work.TRAINING, 2, 1)
    watch.moved_to(replace(CPU, description="another device"))
    assert Work.TRAINING in outlook(inputs).unknown
