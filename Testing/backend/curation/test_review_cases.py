"""Verdicts on pseudo-labels: what is stored, what is refused, and that nothing is ever lost."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import accept, correct, reject

from PseudoLabelCLLib.curation.review import review_cases
from PseudoLabelCLLib.curation.review.agreement import agreement_with_proposal
from PseudoLabelCLLib.curation.review.corrections import changed_slices
from PseudoLabelCLLib.curation.review.review_cases import review_queue
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.errors import (
    AnnotationError,
    ProjectDamagedError,
    ProjectError,
    ReviewError,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

SIZE = (10, 9, 5)
# Left-handed and turned by 90 degrees about x: nothing may depend on an upright grid.
DIRECTION = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)
GRID = Geometry(SIZE, (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), DIRECTION)
SCHEMA = LabelSchema.from_values((1, 4))


def proposed():
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:4, 2:7, 2:8] = 1
    array[1:4, 3:6, 4:6] = 4
    return array


def corrected_in(*slices):
    array = proposed()
    for number in slices:
        array[number, 1, 1:5] = 1
    return array


def put_proposal(root, index, case_id, array, doubt=None):
    layout = ProjectLayout(root)
    write_segmentation(layout.proposal(index, case_id), LabelVolume(array, GRID), SCHEMA)
    if doubt is not None:
        value = to_json(Doubt(doubt, 1 - doubt, (doubt,) * SIZE[2], f"doubt of {case_id}"))
        write_json(layout.doubt(index, case_id), {"schema_version": 1, **value})


def drawn(tmp_path, array, name="drawn.seg.nrrd", geometry=GRID):
    write_segmentation(tmp_path / name, LabelVolume(array, geometry), SCHEMA)
    return tmp_path / name


def stored_segmentation(root, review):
    path = ProjectLayout(root).resolve(review.segmentation)
    return read_segmentation(path, SCHEMA)[0].array


@pytest.fixture(scope="module")
def a_project_on_disk(tmp_path_factory):
    cases = [Case(name, CaseRole.UNLABELLED, f"../{name}.nii", GRID) for name in "abc"]
    cases.append(Case("t", CaseRole.ANNOTATED, "../t.nii", GRID, "annotations/t.seg.nrrd"))
    project = Project(
        "p", SCHEMA, config_for(Profile.QUICK), tuple(cases), (Round(0, RoundState.IN_REVIEW),)
    )
    root = tmp_path_factory.mktemp("made") / "project"
    create_project(root, project)
    for name, doubt in (("a", 0.2), ("b", 0.9), ("c", 0.5)):
        put_proposal(root, 0, name, proposed(), doubt)
    return root, project


@pytest.fixture
def a_project(a_project_on_disk, tmp_path):
    """Round 0 in review, with proposals for a, b and c."""
    made, project = a_project_on_disk
    return shutil.copytree(made, tmp_path / "project"), project


def test_queue_begins_with_the_most_doubtful(a_project):
    queue = review_queue(*a_project)

    assert [(item.case_id, item.doubt) for item in queue] == [("b", 0.9), ("c", 0.5), ("a", 0.2)]
    assert queue[0].reason == "doubt of b"


def test_queue_shows_the_verdicts_that_stand(a_project):
    root, project = a_project
    project = reject(root, accept(root, project, "a"), "b")

    verdicts = {item.case_id: item.verdict for item in review_queue(root, project)}

    assert verdicts == {"a": Verdict.ACCEPTED, "b": Verdict.REJECTED, "c": None}


def test_proposal_without_a_doubt_score_comes_first(a_project):
    root, project = a_project
    ProjectLayout(root).doubt(0, "a").unlink()

    assert review_queue(root, project)[0].case_id == "a"


def test_damaged_doubt_score_is_told(a_project):
    root, project = a_project
    ProjectLayout(root).doubt(0, "a").write_text('{"doubt": 3}')

    with pytest.raises(ProjectDamagedError):
        review_queue(root, project)


@pytest.mark.parametrize("state", [RoundState.TRAINING, RoundState.CLOSED])
def test_queue_is_empty_outside_a_review(a_project, state):
    root, project = a_project

    assert review_queue(root, project.with_round(Round(0, state))) == ()


def test_accepted_case_keeps_its_own_copy(a_project):
    root, project = a_project

    project = accept(root, project, "a")
    put_proposal(root, 0, "a", np.zeros_like(proposed()))

    (review,) = project.reviews
    assert (review.verdict, review.truth_slices) == (Verdict.ACCEPTED, None)
    assert np.array_equal(stored_segmentation(root, review), proposed())
    assert load_project(root) == project


def test_rejected_case_has_no_segmentation(a_project):
    root, project = a_project

    project = reject(root, project, "a")

    assert project.reviews[0].segmentation is None
    assert load_project(root) == project


def test_correction_confirms_the_changed_slices(a_project, tmp_path):
    root, project = a_project

    project = correct(root, project, "a", drawn(tmp_path, corrected_in(3, 1)))

    (review,) = project.reviews
    assert (review.verdict, review.truth_slices) == (Verdict.CORRECTED, (1, 3))
    assert np.array_equal(stored_segmentation(root, review), corrected_in(1, 3))
    assert load_project(root) == project


def test_named_slices_win_over_the_changed_ones(a_project, tmp_path):
    root, project = a_project
    file = drawn(tmp_path, corrected_in(1, 3))

    project = correct(root, project, "a", file, slices=[4, 3, 3])

    assert project.reviews[0].truth_slices == (3, 4)


def test_whole_correction_confirms_every_slice(a_project, tmp_path):
    root, project = a_project

    project = correct(
        root, project, "a", drawn(tmp_path, corrected_in(1)), extent=TruthExtent.WHOLE
    )

    assert project.reviews[0].truth_slices is None
    assert project.cases_awaiting_review() == (project.case("b"), project.case("c"))


def test_correction_of_every_slice_is_a_whole_one(a_project, tmp_path):
    root, project = a_project

    project = correct(root, project, "a", drawn(tmp_path, corrected_in(*range(SIZE[2]))))

    assert project.reviews[0].truth_slices is None


def test_slices_are_counted_along_the_chosen_axis(a_project, tmp_path):
    root, project = a_project
    along_i = replace(project.config.preprocess, slicing_axis=0)
    project = replace(project, config=replace(project.config, preprocess=along_i))

    project = correct(root, project, "a", drawn(tmp_path, corrected_in(2)))

    assert project.reviews[0].truth_slices == (1, 2, 3, 4)


def test_cropped_correction_is_laid_back(a_project, tmp_path):
    root, project = a_project
    array = corrected_in(2)
    part = replace(GRID, size=(9, 8, 3), origin_mm=tuple(GRID.index_to_world((1, 1, 1))))

    project = correct(root, project, "a", drawn(tmp_path, array[1:4, 1:, 1:].copy(), geometry=part))

    assert project.reviews[0].truth_slices == (2,)
    assert np.array_equal(stored_segmentation(root, project.reviews[0]), array)


def test_correction_on_another_grid_is_refused(a_project, tmp_path):
    root, project = a_project
    other = replace(GRID, spacing_mm=(1.4, 1.5, 8.0))

    with pytest.raises(ReviewError, match="different grid"):
        correct(root, project, "a", drawn(tmp_path, corrected_in(1), geometry=other))


def test_correction_elsewhere_is_refused(a_project, tmp_path):
    root, project = a_project
    other = replace(GRID, origin_mm=(900.0, 0.0, 0.0))

    with pytest.raises(AnnotationError, match="does not lie"):
        correct(root, project, "a", drawn(tmp_path, corrected_in(1), geometry=other))


def test_correction_equal_to_the_proposal_should_be_accepted(a_project, tmp_path):
    root, project = a_project

    with pytest.raises(ReviewError, match="identical to the proposal") as caught:
        correct(root, project, "a", drawn(tmp_path, proposed()))

    assert "Accept" in caught.value.remedy


def test_empty_correction_is_refused_unless_slices_are_named(a_project, tmp_path):
    root, project = a_project
    empty = drawn(tmp_path, np.zeros_like(proposed()))

    with pytest.raises(ReviewError, match="is empty"):
        correct(root, project, "a", empty)
    assert correct(root, project, "a", empty, slices=[0]).reviews[0].truth_slices == (0,)


@pytest.mark.parametrize("slices", [[5], [-1], []])
def test_slices_that_are_not_there_are_refused(a_project, tmp_path, slices):
    root, project = a_project

    with pytest.raises(ReviewError):
        correct(root, project, "a", drawn(tmp_path, corrected_in(1)), slices=slices)
    assert load_project(root).reviews == ()


def test_whole_and_named_slices_exclude_each_other(a_project, tmp_path):
    root, project = a_project

    with pytest.raises(ReviewError, match="not both"):
        correct(
            root,
            project,
            "a",
            drawn(tmp_path, corrected_in(1)),
            slices=[1],
            extent=TruthExtent.WHOLE,
        )


def test_verdict_needs_a_round_in_review(a_project):
    root, project = a_project
    for number in (Round(0, RoundState.TRAINING), Round(0, RoundState.CLOSED)):
        with pytest.raises(ReviewError, match="not in review"):
            accept(root, project.with_round(number), "a")
    with pytest.raises(ReviewError, match="no round"):
        accept(root, replace(project, rounds=()), "a")


def test_case_without_a_proposal_cannot_be_judged(a_project):
    root, project = a_project
    ProjectLayout(root).proposal(0, "a").unlink()

    with pytest.raises(ReviewError, match="no proposal for case 'a'"):
        accept(root, project, "a")
    with pytest.raises(ReviewError, match="no proposal for case 't'"):
        reject(root, project, "t")
    with pytest.raises(ProjectError, match="no case 'x'"):
        reject(root, project, "x")


def test_second_verdict_replaces_the_first_and_keeps_it(a_project, tmp_path):
    root, project = a_project
    project = correct(root, project, "a", drawn(tmp_path, corrected_in(1)))

    project = accept(root, project, "a")

    assert [review.verdict for review in project.reviews] == [Verdict.ACCEPTED]
    assert load_project(root) == project
    history = ProjectLayout(root).review_folder(0) / "history"
    kept = json.loads((history / "a.1.json").read_text())
    assert kept["verdict"] == "corrected"
    array = read_segmentation(history / "a.1.seg.nrrd", SCHEMA)[0].array
    assert np.array_equal(array, corrected_in(1))


def test_every_drawn_segmentation_survives_many_changes_of_mind(a_project, tmp_path):
    root, project = a_project
    for number in range(4):
        project = correct(root, project, "a", drawn(tmp_path, corrected_in(number)))
        project = reject(root, project, "a")

    files = list(ProjectLayout(root).review_folder(0).rglob("a*.seg.nrrd"))
    found = {read_segmentation(file, SCHEMA)[0].array.tobytes() for file in files}
    assert {corrected_in(number).tobytes() for number in range(4)} <= found


class Killed(BaseException):
    """Stands for a process that ends at once."""


@pytest.mark.parametrize("last_step", range(1, 6))
def test_kill_between_two_files_leaves_verdict_and_segmentation_together(
    a_project, tmp_path, monkeypatch, last_step
):
    root, project = a_project
    first, second = corrected_in(1), corrected_in(2, 3)
    project = correct(root, project, "a", drawn(tmp_path, first))
    steps = []

    def dying_before_step(function):
        def step(*args, **kwargs):
            steps.append(function)
            if len(steps) == last_step:
                raise Killed
            return function(*args, **kwargs)

        return step

    for name in ("keep_in_history", "save_review", "write_segmentation"):
        monkeypatch.setattr(review_cases, name, dying_before_step(getattr(review_cases, name)))
    with pytest.raises(Killed):
        correct(root, project, "a", drawn(tmp_path, second))

    (review,) = load_project(root).reviews
    assert review.truth_slices == (1,)
    assert np.array_equal(stored_segmentation(root, review), first)


def test_damaged_label_values_are_refused(a_project, tmp_path):
    root, project = a_project
    wrong = LabelSchema.from_values((1, 4, 9))
    array = corrected_in(1)
    array[0, 0, 0] = 9
    write_segmentation(tmp_path / "wrong.nii.gz", LabelVolume(array, GRID), wrong)

    with pytest.raises(AnnotationError, match="9"):
        correct(root, project, "a", tmp_path / "wrong.nii.gz")


def slow_dice(first, second, value):
    both = one = other = 0
    for a, b in zip(first.ravel(), second.ravel(), strict=True):
        one += a == value
        other += b == value
        both += a == value and b == value
    return 2 * both / (one + other)


def test_agreement_counts_the_confirmed_slices_alone(a_project, tmp_path):
    root, project = a_project
    project = correct(root, project, "a", drawn(tmp_path, corrected_in(1, 3)))

    agreement = agreement_with_proposal(root, project, project.reviews[0])

    first, second = proposed()[[1, 3]], corrected_in(1, 3)[[1, 3]]
    assert agreement == {"label 1": slow_dice(first, second, 1), "label 4": 1.0}


def test_agreement_of_an_absent_structure_is_unknown(a_project, tmp_path):
    root, project = a_project
    project = correct(root, project, "a", drawn(tmp_path, corrected_in(0)))

    assert agreement_with_proposal(root, project, project.reviews[0])["label 4"] is None


def test_rejected_proposal_has_no_agreement(a_project):
    root, project = a_project
    project = reject(root, project, "a")

    assert agreement_with_proposal(root, project, project.reviews[0]) is None


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 4)), st.integers(0, 2))
def test_changed_slices_are_found_by_a_slow_loop_too(numbers, axis):
    first, second = LabelVolume(proposed(), GRID), LabelVolume(corrected_in(*numbers), GRID)

    slow = []
    for number in range(SIZE[axis]):
        index = [slice(None)] * 3
        index[2 - axis] = number
        if (first.array[tuple(index)] != second.array[tuple(index)]).any():
            slow.append(number)
    assert changed_slices(first, second, axis) == tuple(slow)


def test_next_round_is_reviewed_on_its_own_proposals(a_project, tmp_path):
    root, project = a_project
    project = correct(root, project, "a", drawn(tmp_path, corrected_in(1)))
    project = project.with_round(Round(0, RoundState.CLOSED))
    project = project.with_round(Round(1, RoundState.IN_REVIEW))
    for round_ in project.rounds:
        save_round(root, round_)
    put_proposal(root, 1, "a", corrected_in(2))

    project = accept(root, project, "a")

    assert [(r.round_index, r.verdict) for r in project.reviews_of("a")] == [
        (0, Verdict.CORRECTED),
        (1, Verdict.ACCEPTED),
    ]
    assert load_project(root) == project
