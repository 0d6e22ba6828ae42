"""Segmenting new volumes, model files."""

from pathlib import Path

from a_presenter import Stage, opened
from presenter_fakes import Disk
from PseudoLabelCLGui.panel_state import Light

from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.question import GivenAnswer, Question
from PseudoLabelCLLib.domain.question_kinds import LEAVE_OUT, Choice, QuestionKind
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    JobCompleted,
    JobFailed,
    Notice,
    NoticeLevel,
    WorkerCrashed,
)
from PseudoLabelCLLib.messages.requests import ReadModel, SaveModel


def with_model() -> Stage:
    stage = Stage(Disk())
    stage.presenter.use.load_model("/m.plcl")
    stage.settle()
    return stage


def applied(stage: Stage, *images: str) -> Stage:
    stage.presenter.use.apply(images, "/out", SegmentationFormat.NIFTI)
    stage.settle()
    return stage


def test_a_model_file_can_be_used_without_a_project():
    stage = with_model()
    assert stage.state.use.model == "Segments liver. Trained on 3 volumes."
    applied(stage, "x.nrrd")
    assert stage.worker.job.model == "/m.plcl"
    assert stage.worker.job.format is SegmentationFormat.NIFTI
    assert stage.worker.folder.parent == Path("/tmp-of-scene")


def test_without_a_model_the_button_says_so():
    assert "Choose a model first" in Stage(Disk()).state.use.apply.tool_tip


def test_the_newest_model_is_that_of_the_last_round():
    stage = opened(Disk.with_cases(1, (RoundState.CLOSED, RoundState.IN_REVIEW)))
    stage.presenter.use.load_newest_model()
    stage.settle()
    assert stage.service.requests(ReadModel)[-1] == ReadModel("/m1.plcl")
    stage.presenter.use.save_model("/mine.plcl")
    stage.settle()
    assert stage.service.requests(SaveModel) == [SaveModel(1, "/mine.plcl")]
    assert stage.state.use.results == ("Model saved: /mine.plcl",)


def test_volumes_are_segmented_in_order_and_each_is_told():
    stage = applied(with_model(), "x", "y")
    assert stage.state.use.is_running
    assert stage.state.use.apply.tool_tip.startswith("Volumes are being segmented")
    stage.worker.events.append(Notice(NoticeLevel.WARNING, "'x' is unlike the training cases."))
    stage.worker.segment("x")
    stage.settle()
    assert stage.heard[-1] == ("on_segmented", "x", "/out/x.seg.nrrd")
    assert stage.state.use.results[0] == "'x' is unlike the training cases."
    stage.worker.job = stage.worker.job.__class__("/m", ("y",), "/out")
    stage.worker.finish()
    stage.settle()
    assert stage.heard[-1] == ("on_segmented", "y", "/out/y.seg.nrrd")
    assert not stage.state.use.is_running
    assert stage.state.message.light is Light.GREEN


def test_a_volume_that_cannot_be_read_does_not_stop_the_others():
    stage = applied(with_model(), "x", "bad", "y")
    stage.worker.segment("x")
    stage.worker.end_with(JobFailed("VolumeError", "'bad' is no volume.", "Check it."))
    stage.settle()
    assert stage.worker.job.images == ("bad",)
    stage.worker.end_with(JobFailed("VolumeError", "'bad' is no volume.", "Check it."))
    stage.settle()
    assert stage.worker.job.images == ("y",)
    stage.worker.finish()
    stage.settle()
    told = [heard[1] for heard in stage.heard if heard[0] == "on_segmented"]
    assert told == ["x", "y"]
    assert "Error: bad: 'bad' is no volume." in stage.state.use.results


def test_series_of_one_folder_are_volumes_of_their_own_and_stay_with_their_folder():
    stage = with_model()
    stage.presenter.use.apply(("/d", "/d", "/d"), "/out", series_uids=("1.1", "1.2", "1.1"))
    stage.settle()
    assert stage.worker.job.volumes == (("/d", "1.1"), ("/d", "1.2"))
    stage.worker.segment("d-1")
    stage.worker.end_with(WorkerCrashed(-11, "The worker crashed.", ""))
    stage.settle()
    assert stage.heard[-1] == ("on_segmented", "/d", "/out/d-1.seg.nrrd")
    stage.presenter.message_step()
    stage.settle()
    assert stage.worker.job.volumes == (("/d", "1.2"),)


def test_after_a_crash_the_volumes_that_are_left_go_on():
    stage = applied(with_model(), "x", "y", "z")
    stage.worker.segment("x")
    stage.worker.end_with(WorkerCrashed(-11, "The worker crashed.", ""))
    stage.settle()
    assert stage.state.message.next_step.text == "Continue"
    stage.presenter.message_step()
    stage.settle()
    assert stage.worker.job.images == ("y", "z")


def test_cancelling_keeps_what_is_done():
    stage = applied(with_model(), "x", "y")
    stage.presenter.use.cancel()
    assert stage.worker.is_cancel_asked
    stage.worker.stop()
    stage.settle()
    assert not stage.state.use.is_running
    assert "finished volumes are kept" in stage.state.message.text
    assert stage.state.use.cancel.tool_tip == "Nothing is being segmented."


def test_segmenting_and_training_share_one_worker():
    stage = opened(Disk.with_cases(1))
    stage.presenter.use.load_model("/m.plcl")
    stage.settle()
    applied(stage, "x")
    assert "cancel that first" in stage.state.train.train.tool_tip
    assert stage.state.train.pause.tool_tip == "Nothing is being trained."
    assert stage.state.cases.add.enabled
    stage.worker.finish()
    stage.settle()
    stage.presenter.train.start()
    stage.settle()
    assert stage.state.use.apply.tool_tip == "A round is being trained."


def about_frames(name, number):
    numbers = tuple(Choice(str(n), f"Number {n}", "") for n in range(1, number + 1))
    choices = (*numbers, Choice("every", "Each by itself", ""), LEAVE_OUT)
    text = f"'{name}.nii.gz' holds {number} volumes."
    return Question(QuestionKind.FRAMES, text, case_id=name, own_choices=choices)


def asked_about(*questions) -> Stage:
    stage = applied(with_model(), *(f"{one.case_id}.nii.gz" for one in questions))
    first = questions[0]
    failed = JobFailed("QuestionError", first.message, first.flags, questions=questions)
    stage.worker.end_with(failed)
    stage.settle()
    return stage


def test_a_question_about_volumes_is_asked_in_the_panel_and_its_answer_goes_into_the_job():
    stage = asked_about(about_frames("a", 3), about_frames("b", 3), about_frames("c", 8))
    assert not stage.state.use.is_running
    assert "--answer" not in f"{stage.state.message.text} {stage.state.message.remedy}"
    assert [row.text for row in stage.state.use.questions] == [
        "'a.nii.gz' holds 3 volumes.",
        "'b.nii.gz' holds 3 volumes.",
        "'c.nii.gz' holds 8 volumes.",
    ]
    stage.presenter.use.answer_question(0, "2")
    stage.settle()
    assert [row.text for row in stage.state.use.questions] == ["'c.nii.gz' holds 8 volumes."]
    assert not stage.state.use.is_running
    stage.presenter.use.answer_question(0, "every")
    stage.settle()
    assert stage.state.use.questions == ()
    assert stage.worker.job.images == ("a.nii.gz",)
    assert stage.worker.job.answers == (
        GivenAnswer(QuestionKind.FRAMES, "2", "a"),
        GivenAnswer(QuestionKind.FRAMES, "2", "b"),
        GivenAnswer(QuestionKind.FRAMES, "every", "c"),
    )


def test_every_result_of_a_file_is_told_and_only_that_of_the_volume_in_the_scene_is_shown():
    stage = asked_about(about_frames("a", 2), about_frames("b", 2))
    stage.presenter.use.answer_question(0, "every")
    stage.settle()
    stage.worker.events += [
        Artifact("segmentation", "/out/a_1.seg.nrrd"),
        Artifact("frame segmentation", "/out/a_2.seg.nrrd"),
    ]
    stage.worker.end_with(JobCompleted({}))
    stage.settle()
    assert stage.worker.job.images == ("b.nii.gz",)
    stage.worker.end_with(JobCompleted({}))  # left out
    stage.settle()
    shown = [heard for heard in stage.heard if heard[0] == "on_segmented"]
    assert shown == [("on_segmented", "a.nii.gz", "/out/a_1.seg.nrrd")]
    assert stage.state.use.results[:2] == (
        "a.nii.gz: a_1.seg.nrrd", "a.nii.gz: a_2.seg.nrrd",
    )  # fmt: skip
    assert stage.state.message.light is Light.GREEN


def test_volumes_that_are_chosen_anew_are_asked_about_anew():
    stage = asked_about(about_frames("a", 2))
    applied(stage, "x")
    assert stage.state.use.questions == ()
    assert stage.worker.job.answers == ()


def test_images_of_a_patient_go_to_the_worker_together():
    stage = with_model()
    t1 = (NamedImage("T1", "/d/p1_T1.nrrd"),)
    t1_of_other = (NamedImage("T1", "/d/p2_T1.nrrd"),)
    images = ("/d/p1_FLAIR.nrrd", "/d/p2_FLAIR.nrrd")
    stage.presenter.use.apply(images, "/out", further_images=(t1, t1_of_other))
    stage.settle()
    assert stage.worker.job.images == images
    assert stage.worker.job.further_images == (t1, t1_of_other)
