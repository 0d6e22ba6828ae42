"""Training: rounds, pause, stop, what is shown meanwhile, and what goes wrong."""

from pathlib import Path

import pytest
from a_presenter import Stage, opened
from presenter_fakes import ROOT, Disk
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.facts.training_facts import NUM_POINTS, Points, TrainingMonitor
from PseudoLabelCLGui.presenter.train.training_actions import stalled

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.job_messages import (
    JobFailed,
    Metrics,
    Notice,
    NoticeLevel,
    WorkerCrashed,
)
from PseudoLabelCLLib.messages.jobs import ALL_GPUS, DeviceChoice, PretrainJob, TrainJob
from PseudoLabelCLLib.messages.project_view import RoundFigures
from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.messages.requests import Accept, GoBack, Refresh, SavePretrainedModel


def training(stage: Stage, num_rounds: int = 1, **how) -> Stage:
    stage.presenter.train.start(num_rounds, **how)
    stage.settle()
    stage.worker.begin()
    stage.settle()
    return stage


def test_train_says_which_round_and_why_not(stage):
    assert stage.state.train.train.text == "Train round 0"
    nothing = opened(Disk.with_cases(0, ()))
    nothing.disk.roles.clear()
    nothing.presenter.project.open(ROOT)
    nothing.settle()
    assert "Add volumes" in nothing.state.train.train.tool_tip
    undrawn = Disk.with_cases(2)
    del undrawn.roles["a"]
    assert "Segment at least one volume" in opened(undrawn).state.train.train.tool_tip


def test_training_starts_one_round_in_a_job_folder_of_the_project(stage):
    training(stage)
    assert stage.worker.job == TrainJob(ROOT, 1, DeviceChoice.AUTO, ALL_GPUS)
    assert stage.worker.folder.parent == Path(ROOT) / "jobs"


def test_training_waits_for_every_verdict_on_its_way():
    stage = opened(Disk.with_cases(2, (RoundState.IN_REVIEW,)))
    stage.presenter.review.show_case("u0")
    stage.settle()
    stage.service.by_hand = True
    stage.presenter.review.accept()
    assert stage.state.train.train.tool_tip == "A verdict is being saved."
    stage.presenter.train.start()
    stage.settle()
    assert stage.workers == []
    stage.service.handle(5)
    stage.settle()
    stage.presenter.train.start()
    stage.service.handle(5)
    stage.settle()
    kinds = [type(r) for r in stage.service.asked]
    assert kinds.index(Accept) < len(kinds) - 1
    assert kinds[-1] is Refresh
    assert len(stage.workers) == 1


def test_while_a_round_is_trained_nothing_of_it_can_change_and_the_reasons_are_told(stage):
    training(stage)
    state = stage.state
    assert state.train.is_running
    assert state.train.train.tool_tip == "A round is being trained."
    assert state.cases.add.tool_tip == "Pause the training first."
    assert state.train.pause.enabled
    assert state.train.stop.enabled
    assert state.train.can_change == frozenset()


def test_a_second_train_while_one_runs_starts_no_second_worker(stage):
    training(stage)
    stage.presenter.train.start()
    stage.settle()
    assert len(stage.workers) == 1
    assert stage.state.message.text == "A round is being trained."


def test_progress_time_left_and_curves_come_from_the_worker(stage):
    training(stage)
    worker = stage.worker
    worker.step(10, 0.5)
    worker.step(20, 0.25)
    worker.events += [
        Metrics("Round: training", 20, {"validation Dice": 0.7}),
        Notice(NoticeLevel.WARNING, "The memory is short."),
        Progress("Round: training", 5, 10, 190.0),
    ]
    stage.settle()
    train = stage.state.train
    assert (train.stage, train.fraction) == ("Round: training", 0.5)
    assert train.time_left == "about 3 min left"
    assert (train.loss.x, train.loss.y) == ((10.0, 20.0), (0.5, 0.25))
    assert train.validation.y == (0.7,)
    assert train.log == ("! The memory is short.",)


def test_the_measurement_after_a_round_does_not_wipe_its_curve():
    monitor = TrainingMonitor()
    monitor.hear(Metrics("Round 0: training", 10, {"segmentation": 0.5}))
    monitor.hear(Metrics("Round 0: measuring", 1, {"validation Dice": 0.9}))
    assert monitor.loss.y == [0.5]
    monitor.hear(Metrics("Round 1: training", 10, {"segmentation": 0.3, "consistency": 0.1}))
    assert monitor.loss.y == [0.3]


def test_a_long_curve_stays_small_and_keeps_its_newest_point():
    points = Points()
    for step in range(50_000):
        points.add(step, step / 2)
        assert points.x[-1] == step
    assert len(points.x) <= NUM_POINTS
    assert points.x == sorted(points.x)
    assert points.x[0] < 100


def test_a_round_that_is_done_invites_to_its_review(stage):
    training(stage)
    stage.worker.finish()
    stage.settle()
    assert stage.state.message.text == "Round 0 is done."
    assert "3" in stage.state.message.remedy
    assert len(stage.state.review.queue) == 3
    assert stage.state.train.train.text == "Train round 1"
    assert stage.worker.is_closed
    stage.presenter.message_step()
    stage.settle()
    assert stage.state.review.case_id == "u0"


def test_several_rounds_follow_each_other_and_no_more(stage):
    training(stage, 2)
    stage.worker.finish()
    stage.settle()
    assert len(stage.workers) == 2
    assert not stage.state.train.train.enabled
    stage.train_round()
    assert len(stage.workers) == 2
    assert stage.disk.rounds == [RoundState.CLOSED, RoundState.IN_REVIEW]


@pytest.mark.parametrize(("second", "num_workers"), [(0.804, 2), (0.805, 3), (0.7, 2), (None, 3)])
def test_the_stop_rule_ends_the_run_unless_dice_rises_by_half_a_hundredth(second, num_workers):
    stage = training(opened(Disk.with_cases(2)), 3, stop_when_no_better=True)
    stage.worker.finish(0.8)
    stage.settle()
    stage.train_round(second)
    assert len(stage.workers) == num_workers
    if num_workers == 2:
        assert "0.800" in stage.state.message.text


def test_the_stop_rule_needs_two_measured_rounds():
    def figures(index, dice):
        return RoundFigures(index, dice, None, 0, None)

    assert stalled(()) == ""
    assert stalled((figures(0, 0.9),)) == ""
    assert stalled((figures(0, None), figures(1, 0.1))) == ""
    assert stalled((figures(0, 0.9), figures(1, 0.9)))


def test_pretraining_comes_first_if_it_is_chosen_and_only_once(stage):
    stage.presenter.train.set_pretraining("positional")
    stage.settle()
    stage.presenter.train.start()
    stage.settle()
    assert isinstance(stage.worker.job, PretrainJob)
    stage.worker.finish()
    stage.settle()
    assert isinstance(stage.worker.job, TrainJob)
    stage.train_round()
    stage.presenter.train.start()
    stage.settle()
    assert [type(w.job) for w in stage.workers] == [PretrainJob, TrainJob, TrainJob]


def test_round_0_can_start_from_a_model_until_it_has_begun(stage):
    start = stage.state.train.start
    assert (start.text, stage.state.train.has_start) == ("Start from a model...", False)
    stage.presenter.train.start_from("/models/colon.plcl")
    stage.settle()
    told = "Round 0 starts from colon.plcl."
    assert (stage.state.train.start.text, stage.state.train.start.tool_tip) == (
        "Start without the model", told,
    )  # fmt: skip
    assert stage.state.train.has_start
    assert told in stage.state.train.sentence
    stage.presenter.train.start_from("")
    stage.settle()
    assert not stage.state.train.has_start
    assert told not in stage.state.train.sentence
    training(stage).train_round()
    start = stage.state.train.start
    assert start.tool_tip == "Cannot be changed once the first round has started."
    assert not start.enabled
    stage.presenter.train.start_from("/models/colon.plcl")
    stage.settle()
    assert stage.disk.start == ""


def test_what_round_0_started_from_is_not_told_of_later_rounds(stage):
    stage.presenter.train.start_from("/models/colon.plcl")
    stage.settle()
    training(stage).train_round()
    assert "colon" not in stage.state.train.sentence


def test_pretraining_alone_trains_no_round(stage):
    stage.presenter.train.pretrain()
    stage.settle()
    assert stage.state.message.text == "Choose a pre-training method first."
    stage.presenter.train.set_pretraining("positional")
    stage.settle()
    stage.presenter.train.pretrain()
    stage.settle()
    stage.worker.finish()
    stage.settle()
    assert len(stage.workers) == 1
    assert stage.state.message.light is Light.GREEN


def test_the_pretrained_network_is_saved_once_there_is_one(stage):
    stage.presenter.train.save_pretrained("/start.plcl")
    assert stage.service.requests(SavePretrainedModel) == []
    assert stage.state.train.save_pretrained.tool_tip == "The network has not been pre-trained yet."
    stage.presenter.train.set_pretraining("positional")
    stage.settle()
    stage.presenter.train.pretrain()
    stage.settle()
    stage.worker.finish()
    stage.settle()
    assert stage.state.train.save_pretrained.enabled
    stage.presenter.train.save_pretrained("/start.plcl")
    stage.settle()
    assert stage.service.requests(SavePretrainedModel) == [SavePretrainedModel("/start.plcl")]
    assert stage.state.message.text == "Pre-trained network saved: /start.plcl"


def pretraining(stage):
    stage.presenter.train.set_pretraining("positional")
    stage.settle()
    stage.presenter.train.start()
    stage.settle()
    stage.worker.begin()
    stage.settle()
    return stage


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_stop_gives_the_pretraining_up_for_good(stage, has_checkpoint):
    pretraining(stage)
    assert "pre-training" in stage.state.train.stop.tool_tip
    stage.presenter.train.stop()
    assert stage.state.train.stage == "Discarding the pre-training"
    if not has_checkpoint:
        stage.service.refuse(GoBack, "ProjectError", "There is no round -1 to go back to.")
    stage.worker.stop()
    stage.settle()
    assert stage.service.requests(GoBack) == [GoBack(-1)]
    said = stage.state.message
    assert said.text == "The pre-training was discarded."
    assert ("no longer used" in said.remedy) is has_checkpoint
    assert said.remedy.endswith("to train without it, choose no pre-training.")
    assert len(stage.workers) == 1
    assert stage.state.train.train.enabled


def test_pause_keeps_the_pretraining(stage):
    pretraining(stage)
    stage.presenter.train.pause()
    stage.worker.stop()
    stage.settle()
    assert not stage.service.requests(GoBack)
    assert stage.state.message.text == "The pre-training is paused."


def test_a_pretraining_that_crashed_while_it_was_stopped_is_given_up(stage):
    pretraining(stage)
    stage.presenter.train.stop()
    stage.worker.end_with(WorkerCrashed(-11, "The worker crashed (SIGSEGV).", "Look at the log."))
    stage.settle()
    assert stage.service.requests(GoBack) == [GoBack(-1)]
    assert stage.state.message.text == "The pre-training was discarded."


def test_pause_saves_and_train_then_continues_the_round(stage):
    training(stage)
    stage.presenter.train.pause()
    assert stage.worker.is_cancel_asked
    assert stage.state.train.stage == "Saving"
    assert stage.state.train.pause.tool_tip == "The training is being saved."
    assert stage.state.train.is_running
    stage.worker.stop()
    stage.settle()
    assert not stage.state.train.is_running
    assert stage.state.train.train.text == "Continue round 0"
    assert "paused" in stage.state.message.text
    stage.presenter.message_step()
    stage.settle()
    assert len(stage.workers) == 2
    assert not stage.service.requests(GoBack)


def test_stop_gives_the_round_up_and_goes_back_to_the_one_before():
    stage = training(opened(Disk.with_cases(2, (RoundState.IN_REVIEW,))))
    stage.presenter.train.stop()
    stage.worker.stop()
    stage.settle()
    assert stage.service.requests(GoBack) == [GoBack(0)]
    assert stage.disk.rounds == [RoundState.IN_REVIEW]
    assert stage.state.train.train.text == "Train round 1"
    assert "was discarded" in stage.state.message.text


def test_stop_before_the_round_was_opened_changes_nothing(stage):
    stage.presenter.train.start()
    stage.settle()
    stage.presenter.train.stop()
    stage.worker.stop()
    stage.settle()
    assert not stage.service.requests(GoBack)
    assert stage.disk.rounds == []


def test_a_round_that_ended_before_it_could_be_stopped_stays_and_this_is_said(stage):
    training(stage)
    stage.presenter.train.stop()
    stage.worker.finish()
    stage.settle()
    assert not stage.service.requests(GoBack)
    assert "before it could be stopped" in stage.state.message.text


def test_a_paused_round_can_be_given_up(stage):
    training(stage)
    stage.presenter.train.pause()
    stage.worker.stop()
    stage.settle()
    assert stage.state.train.stop.enabled
    stage.presenter.train.stop()
    stage.settle()
    assert stage.service.requests(GoBack) == [GoBack(-1)]
    assert stage.state.train.train.text == "Train round 0"


def test_going_back_asks_the_service_and_shows_what_it_says():
    stage = opened(Disk.with_cases(2, (RoundState.CLOSED, RoundState.IN_REVIEW)))
    stage.presenter.train.go_back(0)
    stage.settle()
    assert len(stage.state.rounds.rows) == 1
    assert stage.state.train.train.text == "Train round 1"


CRASH = WorkerCrashed(-11, "The worker crashed (SIGSEGV).", "Look at the log.", "")
FAULTS = [
    (CRASH, "Continue"),
    (WorkerCrashed(-9, "The worker was killed.", "Close other programs."), "Continue on the CPU"),
    (WorkerCrashed(0xC0000017 - 2**32, "No memory.", ""), "Continue on the CPU"),
    (
        WorkerCrashed(1, "It ended.", "", "ModuleNotFoundError: No module named 'torch'"),
        "Install the packages",
    ),
    (
        JobFailed("OutOfMemoryError", "The computer ran out of memory.", "Close programs."),
        "Continue on the CPU",
    ),
    (JobFailed("StorageError", "The disk is full.", "Free some space."), "Continue"),
    (JobFailed("DeviceError", "No device.", ""), "Continue on the CPU"),
    (JobFailed("TrainingError", "The loss is no number.", "Check."), "Check the cases"),
    (JobFailed("UnansweredError", "Answer it: --answer a=b", "Check."), "Check the cases"),
    (JobFailed("VolumeError", "'u0' cannot be read.", ""), "Check the cases"),
    (JobFailed("ProjectError", "There is no folder.", ""), "Open again"),
    (JobFailed("ProjectDamagedError", "round.json is no JSON.", ""), "Show the folder"),
    (JobFailed("InternalError", "KeyError: 3.", "Report it.", "Traceback ..."), "Show the folder"),
    (JobFailed("ProtocolVersionError", "Another version.", ""), "Check this computer again"),
    (JobFailed("ProjectNewerError", "A newer program.", "Update."), ""),
]


@pytest.mark.parametrize(("event", "step"), FAULTS)
def test_every_end_of_a_worker_says_what_happened_and_offers_what_helps(stage, event, step):
    training(stage)
    stage.worker.end_with(event)
    stage.settle()
    message = stage.state.message
    assert message.light is Light.RED
    assert message.text
    assert "Traceback" not in message.text + message.remedy
    assert message.next_step.text == step
    assert message.next_step.enabled is bool(step)
    assert stage.state.train.train.text == "Continue round 0"
    assert stage.state.train.train.enabled


def test_the_traceback_of_a_defect_is_in_the_log(stage):
    training(stage)
    stage.worker.end_with(JobFailed("InternalError", "Oops.", "", "Traceback: line 3"))
    stage.settle()
    assert "Traceback: line 3" in stage.state.train.log[-1]


def test_continue_after_a_crash_goes_on_and_on_the_cpu_means_the_cpu(stage):
    training(stage)
    stage.worker.end_with(CRASH)
    stage.settle()
    stage.presenter.message_step()
    stage.settle()
    assert stage.worker.job.device is DeviceChoice.AUTO
    stage.worker.begin()
    stage.worker.end_with(JobFailed("OutOfMemoryError", "Full.", ""))
    stage.settle()
    stage.presenter.message_step()
    stage.settle()
    assert stage.worker.job.device is DeviceChoice.CPU
    stage.worker.end_with(JobFailed("OutOfMemoryError", "Full.", "Smaller settings."))
    stage.settle()
    assert stage.state.message.next_step.text == "Continue"


def test_a_crash_in_the_middle_of_several_rounds_continues_with_the_rounds_that_are_left(stage):
    training(stage, 2)
    stage.worker.finish()
    stage.settle()
    stage.worker.begin()
    stage.worker.end_with(CRASH)
    stage.settle()
    stage.presenter.message_step()
    stage.settle()
    stage.train_round()
    assert len(stage.workers) == 3
    assert stage.state.message.text == "Round 1 is done."


def test_a_worker_that_cannot_be_started_is_told(stage):
    stage.start_error = WorkerError("The interpreter is gone.", "Choose another.")
    stage.presenter.train.start()
    stage.settle()
    assert stage.state.message.text == "The interpreter is gone."
    assert stage.state.message.next_step.text == "Check this computer again"
    assert stage.state.train.train.enabled


def test_packages_that_are_missing_disable_train_with_the_reason(stage):
    stage.presenter.readiness.found(ReadinessReport("python", missing=("torch>=2.4",)))
    assert stage.state.train.train.tool_tip == "Install the missing packages first."
    stage.presenter.readiness.found(
        ReadinessReport("python", torch_works=True, device="CPU", device_kind="cpu")
    )
    assert stage.state.train.train.enabled


def test_closing_the_project_pauses_the_training_and_the_worker_may_save_in_peace(stage):
    training(stage)
    stage.presenter.project.close()
    stage.settle()
    assert stage.worker.is_cancel_asked
    assert stage.state.message.next_step.text == "Open again"
    stage.presenter.message_step()
    stage.settle()
    assert stage.state.project.root == ROOT
    assert not stage.state.train.train.enabled
    stage.worker.stop()
    stage.settle()
    assert stage.state.train.train.text == "Continue round 0"
    assert stage.state.train.train.enabled


def test_in_another_project_training_waits_until_the_one_before_is_saved(stage):
    training(stage)
    stage.presenter.project.close()
    stage.presenter.project.open("/q")
    stage.settle()
    stage.presenter._core.facts.work.root = "/elsewhere"
    stage.presenter._core.is_dirty = True
    assert "another project" in stage.state.train.train.tool_tip
    stage.worker.stop()
    stage.settle()
    assert stage.state.train.train.enabled


def test_shutting_down_lets_the_worker_save_and_waits_for_the_service_only(stage):
    training(stage)
    stage.presenter.shut_down()
    assert stage.worker.is_cancel_asked
    assert not stage.worker.is_closed
    assert stage.service.closed_after_s == 2.0


def test_after_the_last_event_of_a_worker_it_is_let_go_only_when_it_has_left(stage):
    training(stage)
    worker = stage.worker
    worker.finish()
    worker.is_alive = True
    stage.settle()
    assert not worker.is_closed
    worker.is_alive = False
    stage.presenter.tick()
    assert worker.is_closed
