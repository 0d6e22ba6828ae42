"""A volume drawn on some slices only: asked about, and never background where nobody drew."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from judging import accept, correct
from learning_doubles import Listener, grid
from small_projects import add_case

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer
from PseudoLabelCLLib.curation.cases.counting_slices import choose_counting_slices
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.check.drawn_slices import drawn_slices, look_at_drawn_slices
from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round, truth_sources_of
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.project_view import CaseState
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs, load_round_data
from PseudoLabelCLLib.project_service.case_progress import progress_of_cases
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

SIZE = (32, 28, 16)
GRID = grid(SIZE, (1.0, 1.0, 4.0))
SCHEMA = LabelSchema.from_values((1, 2))
DRAWN = (GivenAnswer(QuestionKind.SPARSE, "drawn"),)
ALL = (GivenAnswer(QuestionKind.SPARSE, "all"),)


def truth():
    """An ellipsoid with a core, which taper off at both ends."""
    k, j, i = np.indices(SIZE[::-1])
    squared = ((i - 16) / 9) ** 2 + ((j - 14) / 8) ** 2 + ((k - 8) / 6.5) ** 2
    return (1 * (squared <= 1) + 1 * (squared <= 0.25)).astype(np.int16)


def image(labels=None, seed=0):
    noise = np.random.default_rng(seed).normal(0, 10, SIZE[::-1])
    shown = truth() if labels is None else labels
    return (np.array((100.0, 200.0, 300.0))[shown] + noise).astype(np.float32)


def only(*slices):
    return np.where(np.isin(np.arange(SIZE[2]), slices)[:, None, None], truth(), 0).astype(np.int16)


EVERY_FOURTH, RANGE = only(2, 6, 10, 14), only(6, 7, 8, 9, 10)


def look(labels, shown=None):
    return look_at_drawn_slices(
        LabelVolume(labels, GRID), Volume(image(shown), GRID), slicing_axis=2
    )


# --- what is noticed ---


def test_a_volume_drawn_on_every_slice_is_not_asked_about():
    found = look(truth())
    assert found.could_be_all
    assert found.numbers == tuple(range(2, 15))


@pytest.mark.parametrize("step", [2, 3, 4])
def test_slices_between_drawn_ones_are_noticed(step):
    found = look(only(*range(3, 14, step)))
    assert not found.could_be_all
    assert set(found.gaps) == set(range(3, found.numbers[-1])) - set(found.numbers)


def test_a_single_forgotten_slice_is_noticed():
    assert look(only(*(n for n in range(16) if n != 7))).gaps == (7,)


@pytest.mark.parametrize("slices", [(6, 7, 8, 9, 10), (7, 8), (8,)])
def test_a_range_at_whose_ends_the_image_goes_on_is_noticed(slices):
    assert look(only(*slices)).is_cut_off


def test_a_structure_that_ends_in_the_image_too_is_no_range():
    cut = RANGE
    assert look(cut, shown=cut).could_be_all


def test_two_structures_one_behind_the_other_have_no_gap():
    apart = np.zeros(SIZE[::-1], np.int16)
    apart[2:5, 4:10, 4:10] = 1
    apart[9:13, 16:24, 18:28] = 1
    assert look(apart, shown=apart).could_be_all


# --- when it is added ---


def write(path, array):
    stored = sitk.GetImageFromArray(array)
    stored.SetSpacing(GRID.spacing_mm)
    sitk.WriteImage(stored, str(path))
    return path


@pytest.fixture
def a_service(tmp_path):
    """A project with an unlabelled volume; and files of one that is drawn in part."""
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    volume = write(tmp_path / "u.nrrd", image(seed=1))
    project, _ = add_case(root, project, "u", CaseRole.UNLABELLED, volume)
    write(tmp_path / "t.nrrd", image())
    write(tmp_path / "every_fourth.nrrd", EVERY_FOURTH)
    write(tmp_path / "range.nrrd", RANGE)
    write(tmp_path / "all.nrrd", truth())
    return root, project


def add(service, name="every_fourth", answers=(), role=CaseRole.ANNOTATED):
    root, project = service
    folder = root.parent
    asking = Asking("t", answers)
    image_file, labels = folder / "t.nrrd", folder / f"{name}.nrrd"
    return add_case(root, project, "t", role, image_file, labels, asking=asking)[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("every_fourth", "drawn on 4 of its 16 slices. On 9 slices between them its structures"),
        ("range", "drawn on 5 of its 16 slices. At both ends the structures stop abruptly"),
    ],
)
def test_adding_it_is_a_question_that_names_its_answers(a_service, name, words):
    with pytest.raises(QuestionError) as asked:
        add(a_service, name)
    assert words in asked.value.message
    for answer in ("t:sparse=drawn", "t:sparse=all", "t:sparse=leave"):
        assert f"--answer {answer} (" in asked.value.remedy
    root, _ = a_service
    assert [case.id for case in load_project(root).cases] == ["u"]
    # 12 or 11 of 16 slices of 32 x 28 voxels
    assert asked.value.question.num_voxels == (16 - (4 if name == "every_fourth" else 5)) * 896


def test_the_answer_is_kept_with_the_case(a_service):
    root, _ = a_service
    project = add(a_service, answers=DRAWN)
    assert project.case("t").drawn_slices == (2, 6, 10, 14)
    assert load_project(root) == project
    assert add((root, a_service[1]), answers=ALL).case("t").drawn_slices is None


def test_a_whole_volume_is_added_without_a_word(a_service):
    assert add(a_service, "all").case("t").drawn_slices is None


def test_of_a_validation_case_every_slice_counts(a_service):
    with pytest.raises(QuestionError, match="measured on every slice") as asked:
        add(a_service, role=CaseRole.VALIDATION)
    assert "sparse=drawn" not in asked.value.remedy


def test_command_line_asks_and_takes_the_answer(a_service, capsys):
    root, _ = a_service
    folder = root.parent
    command = [
        "add", str(root), "--annotated", str(folder / "t.nrrd"), str(folder / "range.nrrd"),
    ]  # fmt: skip
    assert main(command) == 1
    assert "--answer t:sparse=drawn (learns from the drawn slices alone" in capsys.readouterr().err
    assert main([*command, "--answer", "sparse=drawn"]) == 0
    assert load_project(root).case("t").drawn_slices == (6, 7, 8, 9, 10)


# --- a case that is there already ---


def test_check_asks_about_a_case_from_before_and_its_answer_is_remembered(a_service):
    root, project = a_service
    project = add(a_service, "all")
    file = ProjectLayout(root).annotation("t")
    write_segmentation(file, LabelVolume(EVERY_FOURTH, GRID), SCHEMA)
    (finding,) = [one for one in check_cases(root, project) if one.severity == "question"]
    assert "drawn on 4 of its 16 slices" in finding.message

    project = keep_answer(root, project, finding.question, "drawn")

    assert project.case("t").drawn_slices == (2, 6, 10, 14)
    assert load_project(root) == project
    assert not [one for one in check_cases(root, project) if one.severity != "note"]


def test_command_chooses_which_slices_count(a_service, capsys):
    root, _ = a_service
    add(a_service, answers=ALL)
    assert main(["slices", str(root), "t", "--drawn"]) == 0
    assert "4 of 16 slices count" in capsys.readouterr().out
    assert load_project(root).case("t").drawn_slices == (2, 6, 10, 14)
    assert main(["slices", str(root), "t", "--all"]) == 0
    assert load_project(root).case("t").drawn_slices is None
    assert main(["slices", str(root), "u", "--drawn"]) == 1
    assert "only annotated cases" in capsys.readouterr().err


def test_slices_cut_along_another_axis_are_chosen_anew(a_service):
    root, project = a_service
    project = add(a_service, answers=DRAWN)
    config = project.config
    turned = Project(
        "p", SCHEMA,
        type(config)(**{**vars(config), "preprocess": PreprocessConfig(slicing_axis=0)}),
        project.cases,
    )  # fmt: skip
    errors = [one for one in check_cases(root, turned) if one.severity == "error"]
    assert ["along another axis" in one.message for one in errors] == [True]


# --- what a round learns ---


def in_review(root, project, proposed):
    """The project after round 0, which proposed this for every case that gets proposals."""
    layout = ProjectLayout(root)
    round_ = Round(0, RoundState.IN_REVIEW)
    save_round(root, round_)
    for case in project.cases_to_propose():
        layout.proposal(0, case.id).parent.mkdir(parents=True, exist_ok=True)
        write_segmentation(layout.proposal(0, case.id), LabelVolume(proposed, GRID), SCHEMA)
    return project.with_round(round_)


def loaded(root, project):
    window = PreprocessConfig(None, 1.0, (32, 32))
    ProjectLayout(root).preprocess_plan.parent.mkdir(exist_ok=True)
    inputs = RoundInputs(root, project, plan_next_round(project), window, project.config.training)
    return load_round_data(inputs, Listener())


def test_drawn_slices_are_truth_and_the_others_unlabelled(a_service):
    root, _ = a_service
    project = add(a_service, answers=DRAWN)
    assert [case.id for case in project.cases_to_propose()] == ["u", "t"]
    data = loaded(root, project)
    assert (len(data.truth), len(data.pseudo)) == (4, 0)

    project = in_review(root, project, truth())
    plan = plan_next_round(project)
    assert "1 human segmentation (1 of them on single slices only) and 2 pseudo-labels" in (
        plan.sentence
    )
    data = loaded(root, project)
    assert (len(data.truth), len(data.pseudo)) == (4, 12 + 16)


def test_all_slices_are_truth_where_that_was_the_answer(a_service):
    root, _ = a_service
    project = add(a_service, answers=ALL)
    assert [case.id for case in project.cases_to_propose()] == ["u"]
    assert len(loaded(root, project).truth) == 16


def test_an_accepted_proposal_lies_below_what_was_drawn_and_a_correction_above(a_service, tmp_path):
    root, _ = a_service
    project = in_review(root, add(a_service, answers=DRAWN), np.roll(truth(), 3, axis=2))
    accepted = accept(root, project, "t")
    assert [source.truth_slices for source in truth_sources_of(accepted, "t", 1)] == [
        None, (2, 6, 10, 14),
    ]  # fmt: skip
    assert [case.id for case in accepted.cases_to_propose()] == ["u"]

    drawn = np.roll(truth(), 3, axis=2)
    drawn[6, 3, 3] = 1
    file = tmp_path / "corrected.seg.nrrd"
    write_segmentation(file, LabelVolume(drawn, GRID), SCHEMA)
    corrected = correct(root, project, "t", file)
    assert [source.truth_slices for source in truth_sources_of(corrected, "t", 1)] == [
        (2, 6, 10, 14), (6,),
    ]  # fmt: skip


def test_export_has_the_drawn_slices_as_drawn_and_says_that_the_rest_is_not(a_service, tmp_path):
    root, _ = a_service
    proposed = np.roll(truth(), 3, axis=2)
    project = in_review(root, add(a_service, answers=DRAWN), proposed)
    (exported,) = export_segmentations(root, project, tmp_path / "out", case_ids=["t"])
    assert (exported.source, exported.human_fraction) == ("annotated", 4 / 16)
    assert exported.path.name == "t.partly-reviewed.seg.nrrd"
    array = read_segmentation(exported.path, SCHEMA)[0].array
    drawn = [2, 6, 10, 14]
    others = [n for n in range(16) if n not in drawn]
    np.testing.assert_array_equal(array[drawn], truth()[drawn])
    np.testing.assert_array_equal(array[others], proposed[others])


def test_the_case_is_shown_as_annotated_then_to_review(a_service):
    root, _ = a_service
    project = add(a_service, answers=DRAWN)
    before = progress_of_cases(project, {})["t"]
    assert (before.state, before.truth_fraction) == (CaseState.ANNOTATED, 4 / 16)
    project = in_review(root, project, truth())
    after = progress_of_cases(project, {"t": 0, "u": 0})["t"]
    assert (after.state, after.truth_fraction) == (CaseState.PROPOSED, 4 / 16)


def test_choosing_needs_annotated_cases(a_service):
    root, project = a_service
    with pytest.raises(ProjectError, match="only annotated cases"):
        choose_counting_slices(root, project, ["u"], only_drawn=True)


def test_drawn_slices_are_counted_along_the_slicing_axis():
    assert drawn_slices(LabelVolume(EVERY_FOURTH, GRID), 2) == (2, 6, 10, 14)
    along_i = drawn_slices(LabelVolume(EVERY_FOURTH, GRID), 0)
    assert along_i == tuple(range(8, 25))


@pytest.mark.parametrize("numbers", [(-1, 2), (3, 3)])
def test_slices_that_there_cannot_be_are_refused(a_service, numbers):
    with pytest.raises(ProjectError, match="names a drawn slice twice, or below 0"):
        replace(add(a_service, answers=DRAWN).case("t"), drawn_slices=numbers)


def test_slices_beyond_the_volume_are_no_share_of_it_and_end_no_export(a_service, tmp_path):
    root, _ = a_service
    project = add(a_service, answers=DRAWN)
    project = project.with_case(replace(project.case("t"), drawn_slices=(2, 6, 99)))
    assert progress_of_cases(project, {})["t"].truth_fraction == 2 / 16
    (exported,) = export_segmentations(root, project, tmp_path / "out", case_ids=["t"])
    array = read_segmentation(exported.path, SCHEMA)[0].array
    np.testing.assert_array_equal(array, EVERY_FOURTH)
