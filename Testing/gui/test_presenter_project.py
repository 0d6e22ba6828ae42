"""Making, opening, changing and leaving a project."""

from dataclasses import replace

import pytest
from a_presenter import Stage, opened
from presenter_fakes import LABELS, ROOT, Disk
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter import new_volumes
from PseudoLabelCLGui.presenter.cases.case_columns import case_columns, case_tip

from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.question import GivenAnswer, KeptAnswer, Question
from PseudoLabelCLLib.domain.question_kinds import LEAVE_OUT, Choice, QuestionKind
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.answers import (
    CasesChecked,
    FoundVolume,
    Problem,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.requests import (
    AddFurtherImage,
    AddVolumes,
    AnswerQuestion,
    ChangeSettings,
    CheckCases,
    CloseProject,
    FindVolumes,
    OpenProject,
    ReadHistory,
    SignVerdicts,
)
from PseudoLabelCLLib.messages.service_messages import Answered, RequestProgress


def test_without_a_project_nothing_but_making_and_opening_one_is_possible():
    state = Stage(Disk()).state
    assert state.project.new.enabled
    assert state.project.open.enabled
    assert not state.project.close.enabled
    assert not state.cases.add.enabled
    assert state.cases.add.tool_tip == "Create or open a project first."
    assert not state.train.train.enabled


def test_no_service_is_started_before_something_is_asked_of_it():
    stage = Stage(Disk())
    stage.settle()
    assert stage.services == []


def test_opening_shows_the_project_when_the_service_has_answered():
    stage = Stage(Disk.with_cases(2), by_hand=True)
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert stage.state.project.root == ""
    assert stage.state.cases.add.tool_tip == "The project is being opened."
    stage.service.handle()
    assert stage.presenter.tick()
    assert stage.state.project.name == "Livers"
    assert [row.case_id for row in stage.state.cases.rows] == ["a", "u0", "u1"]
    assert "on_project_opened" in stage.names_heard()


def test_what_came_from_another_computer_is_told_when_the_project_opens():
    disk = Disk.with_cases(2)
    made, told = disk.view, ("12 verdicts were given on another computer.", "Look only.")
    disk.view = lambda: replace(made(), notices=told)
    stage = Stage(disk)
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert stage.state.project.root == ROOT
    assert stage.state.message.text == " ".join(told)
    assert stage.state.message.light is Light.AMBER


def test_a_tick_in_which_nothing_happened_says_so(stage):
    assert not stage.presenter.tick()
    before = stage.state
    stage.presenter.tick()
    assert stage.state is before


def test_many_events_are_dealt_with_in_portions(stage):
    stage.service.by_hand = True
    stage.presenter.cases.check()
    number = len(stage.service.asked) - 1
    stage.service.events = [
        RequestProgress(number, Progress("Reading", n, 1000)) for n in range(1000)
    ]
    stage.presenter.tick()
    assert stage.state.status.text == "Reading: 99 of 1000"
    assert stage.state.status.fraction == 0.099
    stage.presenter.tick()
    assert stage.state.status.text == "Reading: 199 of 1000"


def test_a_project_in_use_elsewhere_is_told_and_can_be_tried_again():
    stage = Stage(Disk.with_cases(1), by_hand=True)
    stage.presenter.project.open(ROOT)
    stage.service.refuse(
        OpenProject, "ProjectInUseError", "The project is in use by another window."
    )
    stage.service.handle()
    stage.settle()
    assert stage.state.message.light is Light.RED
    assert "in use" in stage.state.message.text
    assert stage.state.message.next_step.text == "Open again"
    stage.service.by_hand = False
    stage.presenter.message_step()
    stage.settle()
    assert stage.state.project.root == ROOT
    assert stage.state.message.light is not Light.RED


def test_a_project_that_is_gone_can_be_opened_again_once_it_is_back(stage):
    stage.presenter.cases.check()
    stage.service.refuse(CheckCases, "ProjectGoneError", "The project is gone.")
    stage.settle()
    assert stage.state.message.light is Light.RED
    assert stage.state.message.next_step.text == "Open again"
    stage.service.by_hand = False
    stage.presenter.message_step()
    stage.settle()
    assert stage.state.project.root == ROOT
    assert stage.state.message.light is not Light.RED


def test_a_service_that_cannot_be_started_is_told_with_its_remedy():
    stage = Stage(Disk())
    stage.service_error = OSError(12, "Cannot allocate memory")
    stage.presenter.project.open(ROOT)
    assert stage.state.message.light is Light.RED
    assert "Cannot allocate memory" in stage.state.message.text
    assert stage.state.project.open.enabled


def test_an_interrupted_round_is_offered_when_the_project_is_opened():
    stage = opened(Disk.with_cases(2, (RoundState.CLOSED, RoundState.TRAINING)))
    assert stage.state.train.train.text == "Continue round 1"
    assert stage.state.message.next_step.text == "Continue round 1"
    stage.presenter.message_step()
    stage.settle()
    assert len(stage.workers) == 1


def test_an_open_review_is_offered_and_begins_with_the_most_doubtful_case_that_waits():
    disk = Disk.with_cases(3, (RoundState.IN_REVIEW,))
    first = opened(disk)
    first.presenter.review.show_case("u0")
    first.settle()
    first.presenter.review.accept()
    first.settle()
    first.presenter.shut_down()
    tomorrow = opened(disk)
    assert tomorrow.state.review.progress == "1 of 3 reviewed"
    tomorrow.presenter.message_step()
    tomorrow.settle()
    assert tomorrow.state.review.case_id == "u1"


def test_closing_lets_go_of_everything(stage):
    stage.presenter.project.close()
    stage.settle()
    assert stage.state.project.root == ""
    assert stage.state.cases.rows == ()
    assert stage.service.requests(CloseProject)
    assert "on_project_closed" in stage.names_heard()


def test_an_answer_for_a_project_that_was_closed_does_not_bring_it_back(stage):
    stage.service.by_hand = True
    stage.presenter.cases.set_role(("u0",), CaseRole.IGNORED)
    stage.presenter.project.close()
    stage.service.handle(2)
    stage.settle()
    assert stage.state.project.root == ""


def test_opening_another_project_closes_the_one_before(stage):
    stage.presenter.project.open("/other")
    stage.settle()
    kinds = [type(request) for request in stage.service.asked]
    assert kinds[-2:] == [CloseProject, OpenProject]


def test_a_sample_project_is_made_opened_and_filled():
    stage = Stage(Disk())
    stage.presenter.project.make_sample("/samples")
    stage.settle()
    assert [row.case_id for row in stage.state.cases.rows] == ["s1"]
    assert stage.state.project.root == ROOT
    assert stage.state.train.train.enabled


def test_other_changes_wait_for_the_one_on_its_way_and_say_so(stage):
    stage.service.by_hand = True
    stage.presenter.cases.add_volumes((NewCase("b", CaseRole.UNLABELLED, "/b.nrrd"),))
    assert stage.state.cases.remove.tool_tip == "The volumes are being read."
    assert not stage.state.train.train.enabled
    stage.service.handle()
    stage.settle()
    assert stage.state.cases.remove.enabled
    assert stage.state.cases.rows[-1].case_id == "b"


def test_what_was_unfit_about_single_volumes_is_told_and_the_others_are_there(stage):
    problem = Problem("b", is_error=True, message="'b' is a single slice.", remedy="Leave it out.")
    stage.service.by_hand = True
    stage.presenter.cases.add_volumes((NewCase("b", CaseRole.UNLABELLED, "/b.nrrd"),))
    number = len(stage.service.asked) - 1
    stage.service.waiting.clear()
    stage.service.events.append(Answered(number, VolumesAdded(stage.disk.view(), (problem,))))
    stage.settle()
    assert stage.state.message.text == "'b' is a single slice."
    assert stage.state.cases.findings == ("Error: 'b' is a single slice. Leave it out.",)
    assert stage.state.cases.add.enabled


QUESTION = Question(QuestionKind.SAME_SHAPE, "'b.nii.gz' lies elsewhere.", 12, "b")


def add_with_a_question(stage):
    stage.service.by_hand = True
    stage.presenter.cases.add_volumes((NewCase("b", CaseRole.ANNOTATED, "/b.nrrd"),))
    number = len(stage.service.asked) - 1
    stage.service.waiting.clear()
    problem = Problem("b", True, QUESTION.message, "", QUESTION)
    stage.service.events.append(Answered(number, VolumesAdded(stage.disk.view(), (problem,))))
    stage.settle()
    stage.service.by_hand = False


def test_question_about_a_file_shows_its_answers_and_the_volume_is_added_with_the_chosen_one(stage):
    add_with_a_question(stage)
    assert stage.state.message.light is Light.AMBER
    (row,) = stage.state.cases.questions
    assert row.text == "b: 'b.nii.gz' lies elsewhere."
    assert [words for _, words, _ in row.choices] == ["Use it voxel for voxel", "Leave it out"]
    assert row.enabled
    assert stage.state.cases.findings == ()

    stage.presenter.cases.answer_question(0, "voxels")
    stage.settle()

    sent = stage.service.requests(AddVolumes)[-1].volumes[0]
    assert sent.answers == (GivenAnswer(QuestionKind.SAME_SHAPE, "voxels"),)
    assert stage.state.cases.questions == ()
    assert stage.state.cases.rows[-1].case_id == "b"


def test_volume_that_is_left_out_is_not_added_again(stage):
    add_with_a_question(stage)
    stage.presenter.cases.answer_question(0, "leave")
    stage.settle()
    assert len(stage.service.requests(AddVolumes)) == 1
    assert stage.state.cases.questions == ()


def test_answer_to_a_question_of_the_check_is_kept_by_the_service(stage):
    stage.service.by_hand = True
    stage.presenter.cases.check()
    number = len(stage.service.asked) - 1
    stage.service.waiting.clear()
    problem = Problem("b", True, QUESTION.message, "", QUESTION)
    stage.service.events.append(Answered(number, CasesChecked((problem,))))
    stage.settle()
    stage.presenter.cases.answer_question(0, "voxels")
    stage.settle()
    assert stage.service.requests(AnswerQuestion) == [AnswerQuestion(QUESTION, "voxels")]
    assert stage.state.cases.questions == ()


def search_with_a_question(stage):
    stage.service.by_hand = True
    stage.presenter.cases.add_paths(("/folder",), CaseRole.UNLABELLED)
    number = len(stage.service.asked) - 1
    stage.service.waiting.clear()
    own = (Choice("T1", "T1", "takes T1"), LEAVE_OUT)
    question = Question(QuestionKind.CHANNELS, "'p7' has T1 and T2.", own_choices=own)
    problem = Problem("", True, question.message, "", question)
    stage.service.events.append(Answered(number, VolumesFound((), (problem,))))
    stage.settle()
    stage.service.by_hand = False


@pytest.mark.parametrize("value", ["T1", "leave"])
def test_question_of_a_search_is_answered_by_searching_again_with_the_answer(stage, value):
    search_with_a_question(stage)
    (row,) = stage.state.cases.questions
    assert [words for _, words, _ in row.choices] == ["T1", "Leave it out"]

    stage.presenter.cases.answer_question(0, value)
    stage.settle()

    given = (GivenAnswer(QuestionKind.CHANNELS, value),)
    assert stage.service.requests(FindVolumes)[-1] == FindVolumes("/folder", given)
    assert stage.service.requests(AddVolumes)[-1].volumes[0].role is CaseRole.UNLABELLED
    assert stage.state.cases.questions == ()


def test_which_frame_is_meant_is_answered_once_for_the_whole_folder(stage):
    stage.service.by_hand = True
    names = ("c1", "c2", "c3")
    stage.presenter.cases.add_volumes(
        tuple(NewCase(name, CaseRole.UNLABELLED, f"/{name}.nii") for name in names)
    )
    number = len(stage.service.asked) - 1
    stage.service.waiting.clear()
    long, short = ((Choice(str(n), str(n), f"takes {n}"), LEAVE_OUT) for n in (30, 25))
    problems = tuple(
        Problem(name, True, name, "", Question(QuestionKind.FRAMES, name, 0, name, choices))
        for name, choices in zip(names, (long, short, long), strict=True)
    )
    stage.service.events.append(Answered(number, VolumesAdded(stage.disk.view(), problems)))
    stage.settle()
    stage.service.by_hand = False

    stage.presenter.cases.answer_question(0, "30")
    stage.settle()

    sent = stage.service.requests(AddVolumes)[-1].volumes
    assert [volume.case_id for volume in sent] == ["c1", "c3"]
    assert {volume.answers for volume in sent} == {(GivenAnswer(QuestionKind.FRAMES, "30"),)}
    assert [row.text for row in stage.state.cases.questions] == ["c2: c2"]


def test_a_file_is_added_at_once(stage):
    stage.presenter.cases.add_paths(("/x.nrrd",), CaseRole.UNLABELLED)
    stage.settle()
    assert stage.service.requests(AddVolumes)[0].volumes[0].image == "/x.nrrd"


def test_of_a_folder_with_several_volumes_the_person_chooses(stage):
    several = tuple(FoundVolume(f"s{n}", "/d", f"1.{n}", "a series") for n in range(3))
    stage.service.by_hand = True
    stage.presenter.cases.add_paths(("/d",), CaseRole.UNLABELLED)
    stage.service.waiting.clear()
    number = len(stage.service.asked) - 1
    stage.service.events.append(Answered(number, VolumesFound(several, ())))
    stage.settle()
    assert stage.heard[-1] == ("on_found", VolumesFound(several, ()))
    assert not stage.service.requests(AddVolumes)


def test_an_answer_that_chose_a_volume_goes_with_it_into_the_project():
    kept = (KeptAnswer(QuestionKind.CHANNELS, "T1", "'p1' has several images: T1, T2."),)
    found = FoundVolume("p1", "/d/p1_T1.nrrd", None, "", kept=kept)
    (new,) = new_volumes((found,), None)
    assert new.kept == kept


def test_all_images_that_were_found_of_a_patient_are_added_together():
    t1 = NamedImage("T1", "/d/p1_T1.nrrd")
    found = FoundVolume("p1", "/d/p1_FLAIR.nrrd", None, "", channel="FLAIR", further_images=(t1,))
    (new,) = new_volumes((found,), None)
    assert (new.channel, new.further_images) == ("FLAIR", (t1,))


def test_a_question_about_a_further_image_is_answered_with_the_image(stage):
    t1 = NamedImage("T1", "/d/t1.nii")
    stage.service.by_hand = True
    stage.presenter.cases.add_further_image("a", t1, "FLAIR")
    asked = stage.service.requests(AddFurtherImage)
    assert asked == [AddFurtherImage("a", t1, "FLAIR")]
    question = Question(QuestionKind.TWO_PLACES, Text("Two places."), case_id="a")
    problem = Problem("a", True, question.message, NO_TEXT, question)
    view = stage.service.disk.view()
    stage.service.waiting.clear()
    number = len(stage.service.asked) - 1
    stage.service.events.append(Answered(number, VolumesAdded(view, (problem,))))
    stage.settle()
    stage.service.by_hand = False
    assert len(stage.state.cases.questions) == 1
    stage.presenter.cases.answer_question(0, "sform")
    given = (GivenAnswer(QuestionKind.TWO_PLACES, "sform"),)
    assert stage.service.requests(AddFurtherImage)[-1] == AddFurtherImage("a", t1, "FLAIR", given)


def test_the_table_tells_the_images_of_a_case_only_where_the_project_has_several():
    case = opened(Disk.with_cases(1)).service.disk.view().cases[0]
    assert case_columns()[-1].text(case) == ""
    column = case_columns(("FLAIR", "T1"))[-1]
    assert column.title == "Images"
    assert column.text(case) == "FLAIR, T1"
    assert column.text(replace(case, missing_channels=("T1",))) == "FLAIR; T1 missing"
    assert "Missing: the T1 image" in case_tip(replace(case, missing_channels=("T1",)))


HEART = FoundVolume("heart", "/d/heart.nrrd", None, "", "/d/heart.seg.nrrd")
LUNG = FoundVolume("lung", "/d/lung.nrrd", None, "")
IS_SEGMENTATION = Problem("", True, "'heart.seg.nrrd' is a segmentation.", "Choose the volume.")


def answer_searches(stage, *answers):
    """Let the service answer one search after the other."""
    stage.service.by_hand = True
    for answer in answers:
        stage.service.waiting.clear()
        stage.service.events.append(Answered(len(stage.service.asked) - 1, answer))
        stage.presenter.tick()


def test_without_a_role_the_person_chooses_even_for_one_file(stage):
    stage.service.by_hand = True
    stage.presenter.cases.add_paths((HEART.image,))
    answer_searches(stage, VolumesFound((HEART,), ()))
    assert stage.heard[-1] == ("on_found", VolumesFound((HEART,), ()))
    assert not stage.service.requests(AddVolumes)


def test_a_segmentation_chosen_with_its_volume_is_neither_a_volume_nor_a_problem(stage):
    paths = (HEART.image, HEART.annotation, "/d/lung.nrrd", "/d/lung.nrrd")
    labels = FoundVolume("heart.seg", HEART.annotation, None, "")
    stage.service.by_hand = True
    stage.presenter.cases.add_paths(paths)
    one = VolumesFound((HEART,), ())
    other = VolumesFound((labels,), (IS_SEGMENTATION,))
    answer_searches(stage, one, other, VolumesFound((LUNG,), ()), VolumesFound((LUNG,), ()))
    assert stage.heard[-1] == ("on_found", VolumesFound((HEART, LUNG), ()))
    assert stage.state.cases.findings == ()


@pytest.mark.parametrize(
    ("role", "roles", "told"),
    [
        (None, (CaseRole.ANNOTATED, CaseRole.UNLABELLED), ""),
        (
            CaseRole.VALIDATION,
            (CaseRole.VALIDATION, CaseRole.UNLABELLED),
            "1 of the volumes has no segmentation and was added as unlabelled.",
        ),
        (CaseRole.IGNORED, (CaseRole.IGNORED, CaseRole.IGNORED), ""),
    ],
)
def test_found_volumes_take_the_role_that_is_chosen(stage, role, roles, told):
    stage.presenter.cases.add_found((HEART, LUNG), role)
    stage.settle()
    added = stage.service.requests(AddVolumes)[0].volumes
    assert tuple(one.role for one in added) == roles
    assert [one.annotation for one in added] == [
        HEART.annotation if roles[0].needs_annotation else None, None
    ]  # fmt: skip
    assert stage.state.message.text == told


def test_a_path_that_cannot_be_read_does_not_stop_the_others(stage):
    stage.service.refuse(FindVolumes, "VolumeError", "'/bad' is no volume.")
    stage.presenter.cases.add_paths(("/bad", "/good"), CaseRole.UNLABELLED)
    stage.settle()
    assert [v.image for v in stage.service.requests(AddVolumes)[0].volumes] == ["/good"]
    assert stage.state.message.text == "'/bad' is no volume."


def test_found_volumes_get_names_of_their_own_and_roles_that_fit():
    found = (
        FoundVolume("image", "/1/image.nrrd", None, "", "/1/image.seg.nrrd"),
        FoundVolume("Image", "/2/Image.nrrd", None, ""),
    )
    first, second = new_volumes(found, CaseRole.ANNOTATED, taken=("IMAGE_2",))
    assert (first.case_id, first.role) == ("image", CaseRole.ANNOTATED)
    assert (second.case_id, second.role) == ("Image_3", CaseRole.UNLABELLED)


def test_annotating_names_the_volume_again_with_its_segmentation(stage):
    stage.presenter.cases.annotate("u0", "/drawn.seg.nrrd")
    stage.settle()
    volume = stage.service.requests(AddVolumes)[0].volumes[0]
    assert (volume.case_id, volume.role, volume.image, volume.annotation) == (
        "u0", CaseRole.ANNOTATED, "/v/u0.nrrd", "/drawn.seg.nrrd",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rounds", "can_change"),
    [
        ("profile", (), True),
        ("profile", (RoundState.TRAINING,), False),
        ("preprocess.window_size", (), True),
        ("preprocess.window_size", (RoundState.TRAINING,), False),
        ("pretraining.method", (RoundState.TRAINING,), True),
        ("pretraining.method", (RoundState.IN_REVIEW,), False),
        ("training.joint.num_steps", (RoundState.CLOSED, RoundState.IN_REVIEW), True),
    ],
)
def test_settings_that_the_rounds_are_bound_to_cannot_change(name, rounds, can_change):
    stage = opened(Disk.with_cases(1, rounds))
    assert name in stage.state.train.settings
    assert (name in stage.state.train.can_change) is can_change


def test_the_plane_cannot_change_while_only_drawn_slices_count():
    disk = Disk.with_cases(1)
    assert "preprocess.plane" in opened(disk).state.train.can_change
    disk.drawn["a"] = 2
    can_change = opened(disk).state.train.can_change
    assert "preprocess.plane" not in can_change
    assert "preprocess.window_size" in can_change


def test_profile_and_pretraining_are_settings_by_name(stage):
    stage.presenter.train.set_profile("balanced")
    stage.settle()
    stage.presenter.train.set_pretraining("positional")
    stage.settle()
    assert [r.values for r in stage.service.requests(ChangeSettings)] == [
        {"profile": "balanced"},
        {"pretraining.method": "positional"},
    ]
    assert stage.state.train.pretraining == "positional"


def test_settings_changed_while_one_is_being_changed_wait_for_it(stage):
    stage.service.by_hand = True
    stage.presenter.train.change_setting("training.seed", "7")
    stage.presenter.train.change_setting("pretraining.method", "positional")
    stage.presenter.train.change_setting("training.joint.batch_size", "4")
    stage.settle()
    assert stage.state.message.text == ""
    assert stage.state.train.settings["pretraining.method"] == "positional"
    assert [r.values for r in stage.service.requests(ChangeSettings)] == [{"training.seed": "7"}]
    stage.service.handle()
    stage.settle()
    assert not stage.state.train.train.enabled
    stage.service.handle()
    stage.settle()
    assert [r.values for r in stage.service.requests(ChangeSettings)] == [
        {"training.seed": "7"},
        {"pretraining.method": "positional", "training.joint.batch_size": "4"},
    ]
    assert stage.state.train.settings["pretraining.method"] == "positional"
    assert stage.state.message.text == ""


def test_a_refused_setting_does_not_take_those_that_wait_with_it(stage):
    stage.service.by_hand = True
    stage.service.refuse(ChangeSettings, "ConfigError", "The seed must be a number.")
    stage.presenter.train.change_setting("training.seed", "x")
    stage.presenter.train.change_setting("pretraining.method", "positional")
    stage.service.handle()
    stage.settle()
    assert stage.state.message.text == "The seed must be a number."
    stage.service.handle()
    stage.settle()
    assert stage.state.train.settings["pretraining.method"] == "positional"
    assert stage.state.message.text == "The seed must be a number."


def test_settings_that_wait_are_forgotten_with_their_project(stage):
    stage.service.by_hand = True
    stage.presenter.train.change_setting("training.seed", "7")
    stage.presenter.train.change_setting("pretraining.method", "positional")
    stage.presenter.project.close()
    stage.service.handle(2)
    stage.settle()
    assert [r.values for r in stage.service.requests(ChangeSettings)] == [{"training.seed": "7"}]


def test_the_history_is_read_when_a_project_with_rounds_is_opened():
    disk = Disk.with_cases(1, (RoundState.CLOSED, RoundState.IN_REVIEW))
    disk.dice = [0.8, 0.9]
    stage = opened(disk)
    assert stage.service.requests(ReadHistory)
    assert [row.validation_dice for row in stage.state.rounds.rows] == ["0.800", "0.900"]
    assert stage.state.rounds.quality.y == (0.8, 0.9)


def test_labels_are_shown_as_the_project_has_them(stage):
    assert stage.state.cases.labels == LABELS.classes


def test_the_name_on_verdicts_goes_to_the_service_and_comes_back_with_the_project():
    stage = opened(Disk.with_cases(2))
    assert stage.state.project.author == ""
    made = stage.disk.view
    stage.service._change = lambda _request: None
    stage.disk.view = lambda: replace(made(), author="reader 2")
    stage.presenter.project.sign_verdicts("reader 2")
    stage.settle()
    assert stage.service.requests(SignVerdicts) == [SignVerdicts("reader 2")]
    assert stage.state.project.author == "reader 2"
    stage.presenter.project.sign_verdicts("reader 2")
    assert len(stage.service.requests(SignVerdicts)) == 1


def test_without_a_project_no_name_is_asked_for():
    stage = Stage(Disk())
    stage.presenter.project.sign_verdicts("reader 2")
    assert stage.services == []


def test_which_slices_count_is_chosen_and_shown_in_the_table(stage):
    stage.presenter.cases.choose_slices(("a",), only_drawn=True)
    stage.settle()
    (row,) = [row for row in stage.state.cases.rows if row.case_id == "a"]
    assert row.only_drawn
    assert row.cells[1] == "annotated: 2 of 4 slices"
    assert "Only the drawn slices count (2 of 4 slices); the others get proposals." in row.tool_tip
    stage.presenter.cases.choose_slices(("a",), only_drawn=False)
    stage.settle()
    (row,) = [row for row in stage.state.cases.rows if row.case_id == "a"]
    assert not row.only_drawn
    assert row.cells[1] == "annotated"
