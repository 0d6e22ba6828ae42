"""A round that is estimated to need more memory than is free asks before it begins."""

from dataclasses import replace

import pytest

from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer
from PseudoLabelCLLib.curation.check import check_memory
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.check.check_memory import memory_findings
from PseudoLabelCLLib.domain.errors import UnansweredError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.round_memory import memory_of_round
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.pipeline.slices.case_slices import preprocess_plan
from PseudoLabelCLLib.storage.project.project_store import load_project, save_cases
from PseudoLabelCLLib.storage.project.settled_device import SettledDevice, write_settled_device

CPU_WORDS = "CPU (2 threads, x86_64)"


@pytest.fixture
def settled(a_project):
    """A project whose plan and device are settled, before round 0."""
    project = load_project(a_project)
    plan = preprocess_plan(a_project, project)
    write_settled_device(a_project, SettledDevice(CPU_WORDS, half_precision=False))
    return a_project, project, plan


def free(monkeypatch, num_bytes):
    monkeypatch.setattr(check_memory, "free_memory_bytes", lambda: num_bytes)
    monkeypatch.setattr(check_memory, "resident_bytes", lambda: 10**8)


def questions(root, project):
    return [f.question for f in check_cases(root, project) if f.question is not None]


def test_round_that_fits_asks_nothing_and_one_that_does_not_asks(settled, monkeypatch):
    root, project, plan = settled
    needed = memory_of_round(project, plan, is_joint=False).needed
    free(monkeypatch, needed - 10**8)  # what the process has already is part of it
    assert questions(root, project) == []
    free(monkeypatch, needed - 10**8 - 1)
    (question,) = questions(root, project)
    assert question.kind is QuestionKind.MEMORY
    assert [choice.value for choice in question.choices] == ["train", "smaller"]


def test_question_says_what_is_needed_what_is_free_and_what_makes_it_smaller(settled, monkeypatch):
    root, project, _ = settled
    free(monkeypatch, 2 * 10**8)
    (question,) = questions(root, project)
    assert "and 0.3 GB are free" in question.message
    assert "A training step needs the most." in question.message
    assert "training.supervised.batch_size (now 10)" in question.message
    assert "preprocess.patch_size" in question.message


def test_largest_volume_is_named_where_it_needs_more_than_a_step(settled, monkeypatch):
    root, project, plan = settled
    huge = replace(project.case("other-2"), geometry=replace(
        project.case("other-2").geometry, size=(2000, 2000, 1000)
    ))  # fmt: skip
    free(monkeypatch, 2 * 10**8)
    (finding,) = memory_findings(root, project.with_case(huge), plan)
    assert "The largest volume, 'other-2', needs the most." in finding.message
    assert [choice.value for choice in finding.question.choices] == ["train"]


def test_smaller_batches_halve_the_slices_of_a_step(settled, monkeypatch):
    root, project, _ = settled
    free(monkeypatch, 2 * 10**8)
    (question,) = questions(root, project)
    keep_answer(root, project, question, "smaller")
    training = load_project(root).config.training
    assert training.supervised.batch_size == 5
    assert (training.joint.batch_size, training.consistency.num_slices) == (2, 4)
    (question,) = questions(root, load_project(root))  # it does not fit yet
    assert question.kind is QuestionKind.MEMORY


def test_batches_that_cannot_be_smaller_are_no_answer(settled, monkeypatch):
    root, project, _ = settled
    free(monkeypatch, 2 * 10**8)
    for _ in range(4):
        config = check_memory.with_smaller_batches(project.config)
        project = replace(project, config=config)
    save_cases(root, project)
    (question,) = questions(root, project)
    assert [choice.value for choice in question.choices] == ["train"]


def test_training_anyway_is_kept_and_not_asked_again(settled, monkeypatch):
    root, project, _ = settled
    free(monkeypatch, 2 * 10**8)
    (question,) = questions(root, project)
    project = keep_answer(root, project, question, "train")
    assert load_project(root).case(question.case_id).answer_to(QuestionKind.MEMORY) == "train"
    assert questions(root, project) == []


@pytest.mark.parametrize("device", ["NVIDIA H200 (140 GB)", "Apple GPU (arm64)"])
def test_steps_on_a_gpu_need_no_memory_of_the_computer(settled, monkeypatch, device):
    root, project, plan = settled
    on_gpu = memory_of_round(project, plan, is_joint=False, on_gpu=True).needed
    assert on_gpu < memory_of_round(project, plan, is_joint=False).needed
    write_settled_device(root, SettledDevice(device, half_precision=False))
    free(monkeypatch, on_gpu)
    assert questions(root, project) == []


def test_nothing_is_asked_before_the_plan_is_settled_or_where_the_system_says_nothing(
    a_project, monkeypatch
):
    free(monkeypatch, 1)
    project = load_project(a_project)
    assert questions(a_project, project) == []
    preprocess_plan(a_project, project)
    write_settled_device(a_project, SettledDevice(CPU_WORDS, half_precision=False))
    assert len(questions(a_project, project)) == 1
    free(monkeypatch, None)
    assert questions(a_project, project) == []


def test_round_does_not_begin_before_it_is_answered(settled, monkeypatch):
    from learning_doubles import CPU, Listener  # noqa: PLC0415 - the others need no torch

    root, project, _ = settled
    free(monkeypatch, 2 * 10**8)
    with pytest.raises(UnansweredError, match="estimated to need"):
        run_round(root, project, CPU, Listener())
    assert load_project(root).rounds == ()
