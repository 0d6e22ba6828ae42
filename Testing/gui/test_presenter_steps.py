"""The head of the panel: what runs, what to do next, what each step has done; recent projects."""

from dataclasses import replace

import pytest
from a_presenter import Stage, opened
from presenter_fakes import ROOT, Disk
from PseudoLabelCLGui.presenter import ExportChoices, Presenter
from reviewing import edited, in_review, shown, written

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.messages.requests import ReadModel


def next_thing(stage: Stage) -> tuple[str, str]:
    return stage.state.next_thing.step, stage.state.next_thing.text


def step(stage: Stage, name: str):
    return next(one for one in stage.state.steps if one.name == name)


# --- the one thing to do next


def test_the_next_thing_leads_from_nothing_to_the_second_round():
    stage = Stage(Disk())
    assert next_thing(stage) == ("cases", "Create or open a project")
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert next_thing(stage) == ("cases", "Add volumes")
    stage.disk.roles |= {"u0": CaseRole.UNLABELLED, "u1": CaseRole.UNLABELLED}
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert next_thing(stage) == ("cases", "Segment a volume")
    stage.disk.roles["a"] = CaseRole.ANNOTATED
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert next_thing(stage) == ("cases", "Check the cases")
    stage.presenter.go_to_next()
    stage.settle()
    assert stage.state.cases.findings
    assert next_thing(stage) == ("train", "Train round 0")
    stage.presenter.train.start()
    stage.settle()
    assert next_thing(stage) == ("train", "Training round 0")
    assert stage.state.next_thing.is_doing
    stage.train_round()
    assert next_thing(stage) == ("review", "Review 2 proposals")
    stage.presenter.go_to_next()
    stage.settle()
    assert stage.state.review.case_id == "u0"
    assert ("on_step_wanted", "review") in stage.heard
    stage.presenter.review.accept()
    stage.settle()
    assert next_thing(stage) == ("review", "Review 1 proposal")
    stage.presenter.review.accept()
    stage.settle()
    assert next_thing(stage) == ("train", "Train round 1")


def test_cases_that_changed_since_are_to_be_checked_again(stage):
    stage.presenter.cases.check()
    stage.settle()
    assert next_thing(stage) == ("train", "Train round 0")
    stage.presenter.cases.set_role(("u0",), CaseRole.IGNORED)
    stage.settle()
    assert next_thing(stage) == ("cases", "Check the cases")


def test_missing_packages_come_before_training(stage):
    stage.presenter.readiness.found(ReadinessReport("python", missing=("torch>=2.4",)))
    assert next_thing(stage) == ("train", "Install the missing packages")


def test_an_interrupted_round_is_to_be_continued():
    stage = opened(Disk.with_cases(1, (RoundState.CLOSED, RoundState.TRAINING)))
    assert next_thing(stage) == ("train", "Continue round 1")


# --- what each step has done


def test_the_steps_have_names_and_titles_in_order():
    assert [(one.name, one.title) for one in Stage(Disk()).state.steps] == [
        ("cases", "Cases"),
        ("train", "Train"),
        ("review", "Review"),
        ("use", "Use and export"),
    ]


def test_cases_are_counted_by_role(stage):
    stage.disk.roles |= {"v": CaseRole.VALIDATION, "x": CaseRole.IGNORED}
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert step(stage, "cases").summary == "1 annotated, 3 unlabelled, 1 validation, 1 ignored"
    assert step(stage, "cases").is_done


def test_training_tells_the_newest_round_with_its_dice(stage):
    assert step(stage, "train").summary == "No round trained yet"
    assert not step(stage, "train").is_done
    stage.presenter.train.start()
    stage.settle()
    assert step(stage, "train").summary == "Round 0 is being trained"
    stage.train_round(0.8149)
    assert step(stage, "train").summary == "Round 0 trained, validation Dice 0.81"
    assert step(stage, "train").is_done


def test_the_review_counts_verdicts_by_kind():
    stage = in_review(5)
    assert step(stage, "review").summary == "0 of 5 reviewed"
    for case_id in ("u0", "u1"):
        shown(stage, case_id)
        stage.presenter.review.accept()
        stage.settle()
    edited(stage, "u2")
    stage.presenter.review.accept()
    written(stage)
    assert step(stage, "review").summary == "3 of 5 reviewed: 2 accepted, 1 corrected"
    assert not step(stage, "review").is_done
    stage.presenter.review.reject_many(("u3", "u4"))
    stage.settle()
    assert step(stage, "review").summary.endswith("2 accepted, 1 corrected, 2 rejected")
    assert step(stage, "review").is_done


def test_using_counts_what_was_segmented_and_exported():
    stage = in_review(1)
    stage.presenter.use.apply(("x", "y"), "")
    stage.settle()
    assert stage.worker.job.output_folder == "/tmp-of-scene/segmented"
    stage.worker.finish()
    stage.settle()
    assert step(stage, "use").summary == "2 volumes segmented"
    stage.presenter.export.write_dicom(ExportChoices("/out"))
    stage.settle()
    assert step(stage, "use").summary == "2 volumes segmented, 1 exported"


# --- what runs


def test_nothing_runs_without_a_project():
    assert not Stage(Disk()).state.status.is_running


def test_training_is_told_with_its_time(stage):
    stage.presenter.train.start()
    stage.settle()
    stage.worker.begin()
    stage.worker.events.append(Progress("Round 0: training", 5, 10, 190.0))
    stage.settle()
    status = stage.state.status
    assert (status.text, status.fraction, status.time_left) == (
        "Round 0: training", 0.5, "about 3 min left",
    )  # fmt: skip
    assert status.is_running


def test_segmenting_exporting_changing_and_loading_are_told():
    stage = in_review(1)
    stage.presenter.use.apply(("x",), "/out")
    stage.settle()
    assert stage.state.status.text == "Segmenting: loading packages"
    stage.worker.finish()
    stage.settle()
    stage.service.by_hand = True
    stage.presenter.review.show_case("u0")
    assert stage.state.status.text == "Loading 'u0'"
    stage.service.by_hand = False
    stage.settle()
    stage.service.by_hand = True
    stage.presenter.review.accept()
    assert stage.state.status.text == "Saving the verdict"
    stage.presenter.cases.set_role(("u0",), CaseRole.IGNORED)
    assert stage.state.status.text == "The roles are being changed."
    stage.service.by_hand = False
    stage.settle()
    assert not stage.state.status.is_running
    stage.service.by_hand = True
    stage.presenter.export.write_dicom(ExportChoices("/out"))
    assert stage.state.status.text == "Checking 'a' (1 of 1)"
    assert stage.state.status.fraction == 0.0


# --- minutes


def trained(*rounds: tuple[str, str]) -> Stage:
    disk = Disk.with_cases(1, (*[RoundState.CLOSED] * (len(rounds) - 1), RoundState.IN_REVIEW))
    disk.times = dict(enumerate(rounds))
    return opened(disk)


def at(minutes: int) -> str:
    return f"2026-01-01T{10 + minutes // 60:02}:{minutes % 60:02}:00+00:00"


def test_the_time_of_a_round_is_that_of_the_last_ones_on_this_computer():
    stage = trained((at(0), at(1)), (at(10), at(22)), (at(60), at(200)))
    sentence = stage.state.train.sentence
    assert sentence == "Round 3 will learn. It will take about 12 min, judging by earlier rounds."


def test_round_0_says_nothing_about_the_time_of_the_next():
    assert trained((at(0), at(1))).state.train.sentence == "Round 1 will learn."


def test_before_any_round_the_measured_minutes_of_this_computer_count(stage):
    report = ReadinessReport(
        "p", torch_works=True, device_kind="cpu", device="CPU", minutes_per_round=6.2
    )
    stage.presenter.readiness.found(report)
    assert (
        stage.state.train.sentence
        == "Round 0 will learn. It will take about 6 min on this computer."
    )
    assert trained(("", "")).state.train.sentence == "Round 1 will learn."


def test_measured_minutes_of_the_profile_do_not_count_where_its_training_was_changed():
    disk = Disk.with_cases(1)
    disk.num_joint_rounds = 7
    stage = opened(disk)
    report = ReadinessReport(
        "p", torch_works=True, device_kind="cpu", device="CPU", minutes_per_round=6.2
    )
    stage.presenter.readiness.found(report)
    assert stage.state.train.sentence == "Round 0 will learn."


def test_plan_that_says_what_a_round_costs_is_not_followed_by_another_guess():
    disk = Disk.with_cases(1, (RoundState.CLOSED, RoundState.IN_REVIEW))
    disk.times = {1: (at(0), at(12))}
    disk.seen = "The network sees whole slices; about 4 minutes a round on this computer, 1.2 GB."
    assert opened(disk).state.train.sentence == f"Round 2 will learn. {disk.seen}"


# --- recent projects


class Remembered:
    def __init__(self, *roots: str) -> None:
        self.roots = roots

    def read(self) -> tuple[str, ...]:
        return self.roots

    def write(self, roots: tuple[str, ...]) -> None:
        self.roots = roots


def test_projects_are_remembered_newest_first_at_most_eight():
    recent = Remembered(*(f"/p{n}" for n in range(9)))
    stage = Stage(Disk.with_cases(1))
    stage.presenter = Presenter(
        stage._start_service, stage._start_worker, scene=stage.scene, recent=recent
    )
    assert stage.state.project.recent == tuple(f"/p{n}" for n in range(8))
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert recent.roots == (ROOT, *(f"/p{n}" for n in range(7)))
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert stage.state.project.recent == recent.roots
    assert recent.roots.count(ROOT) == 1


# --- the model follows the project


def test_the_newest_model_is_there_when_a_project_is_opened():
    stage = in_review(1, num_closed=1)
    assert stage.service.requests(ReadModel) == [ReadModel("/m1.plcl")]
    assert stage.state.use.model
    assert stage.state.use.apply.enabled


def test_the_newest_model_follows_the_rounds(stage):
    assert stage.state.use.model == ""
    stage.presenter.train.start()
    stage.settle()
    stage.train_round()
    assert [r.file for r in stage.service.requests(ReadModel)][-1] == "/m0.plcl"
    assert stage.state.use.model
    stage.presenter.project.close()
    stage.settle()
    assert stage.state.use.model == ""


def test_a_file_that_was_chosen_stays_until_the_newest_model_is_wanted(stage):
    stage.presenter.use.load_model("/mine.plcl")
    stage.settle()
    stage.presenter.train.start()
    stage.settle()
    stage.train_round()
    assert [r.file for r in stage.service.requests(ReadModel)] == ["/mine.plcl"]
    stage.presenter.use.load_newest_model()
    stage.settle()
    assert stage.service.requests(ReadModel)[-1].file == "/m0.plcl"


# --- verdicts of earlier rounds


def test_a_verdict_of_an_earlier_round_stays_beside_the_new_proposal_in_both_tables():
    stage = in_review(2)
    edited(stage, "u0")
    stage.presenter.review.accept()
    written(stage)
    stage.presenter.train.start()
    stage.settle()
    stage.train_round()
    rows = {row.case_id: row for row in stage.state.cases.rows}
    assert rows["u0"].cells[2] == "corrected in round 0"
    assert [row.verdict for row in stage.state.review.queue] == ["corrected in round 0", ""]
    assert stage.state.review.progress.startswith("0 of 2 reviewed")
    shown(stage, "u0")
    stage.presenter.review.accept()
    stage.settle()
    assert stage.state.review.queue[0].verdict == "accepted"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_earlier_verdict_has_words(verdict):
    disk = Disk.with_cases(1, (RoundState.CLOSED, RoundState.IN_REVIEW))
    disk.verdicts = {(0, "u0"): verdict}
    assert opened(disk).state.review.queue[0].verdict == f"{verdict.value} in round 0"


# --- words


def test_while_a_round_is_trained_the_button_does_not_offer_to_continue_it(stage):
    stage.presenter.train.start()
    stage.settle()
    stage.worker.begin()
    stage.settle()
    assert stage.state.train.train.text == "Training round 0..."
    assert stage.state.rounds.train.text == "Training round 0..."


def test_one_case_is_told_in_the_singular():
    stage = in_review(1)
    facts = stage.presenter._core.facts
    facts.history = tuple(replace(one, agreement=0.9, num_compared=1) for one in facts.history)
    stage.presenter._core.is_dirty = True
    assert stage.state.rounds.rows[0].agreement == "0.900 (1 case)"
    assert stage.state.message.text == "1 proposal is waiting for review."


def test_no_text_speaks_of_a_numbered_section(stage):
    assert "section" not in repr(stage.state)
    assert "section" not in repr(Stage(Disk()).state)
