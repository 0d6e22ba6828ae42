"""Taking back a verdict: the one before it counts again, and nothing that was drawn is lost."""

import json
import shutil

import numpy as np
import pytest
from judging import accept, correct, reject, take_back

from PseudoLabelCLLib.curation.review import review_cases, verdict_history
from PseudoLabelCLLib.curation.review.truth_mask import read_truth_mask, slices_of_mask
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, ReviewError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

SIZE = (10, 9, 5)
GRID = Geometry(SIZE, (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), (1, 0, 0, 0, 0, 1, 0, 1, 0))
SCHEMA = LabelSchema.from_values((1, 4))


def drawn_in(*slices):
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:4, 2:7, 2:8] = 1
    array[2, 3:6, 4:6] = 4
    for number in slices:
        array[number, 1, 1:5] = 1
    return array


def saved(tmp_path, *slices):
    path = tmp_path / f"drawn-{'-'.join(map(str, slices))}.seg.nrrd"
    write_segmentation(path, LabelVolume(drawn_in(*slices), GRID), SCHEMA)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    # "a.1" and "[a]" look like files of the history of "a", or like patterns of names.
    cases = [
        Case(name, CaseRole.UNLABELLED, f"../{name}.nii", GRID) for name in ("a", "a.1", "[a]")
    ]
    config, rounds = config_for(Profile.QUICK), (Round(0, RoundState.IN_REVIEW),)
    root = tmp_path_factory.mktemp("made") / "project"
    create_project(root, Project("p", SCHEMA, config, tuple(cases), rounds))
    for case in cases:
        path = ProjectLayout(root).proposal(0, case.id)
        write_segmentation(path, LabelVolume(drawn_in(), GRID), SCHEMA)
    return root


@pytest.fixture
def a_project(made, tmp_path):
    root = shutil.copytree(made, tmp_path / "project")
    return root, load_project(root)


def files_of(root, case_id="a"):
    """The bytes of the standing verdict, and of the segmentation that it names if it names one."""
    layout = ProjectLayout(root)
    verdict = layout.review(0, case_id)
    if not verdict.exists():
        return None, None
    named = json.loads(verdict.read_bytes())["segmentation"]
    return verdict.read_bytes(), named and layout.resolve(named).read_bytes()


def all_drawn(root):
    files = ProjectLayout(root).reviews.rglob("*.seg.nrrd")
    return {read_segmentation(file, SCHEMA)[0].array.tobytes() for file in files}


def test_first_verdict_taken_back_leaves_the_proposal_unreviewed(a_project):
    root, project = a_project

    after = take_back(root, accept(root, project, "a"), "a")

    assert after == load_project(root) == project
    assert files_of(root) == (None, None)
    assert [case.id for case in after.cases_awaiting_review()] == ["a", "a.1", "[a]"]


@pytest.mark.parametrize("case_id", ["a", "a.1", "[a]"])
def test_verdict_before_counts_again_byte_for_byte(a_project, tmp_path, case_id):
    root, project = a_project
    seen = []
    for judge in (
        lambda p: correct(root, p, case_id, saved(tmp_path, 1)),
        lambda p: reject(root, p, case_id),
        lambda p: accept(root, p, case_id),
        lambda p: correct(root, p, case_id, saved(tmp_path, 2, 3), extent=TruthExtent.WHOLE),
    ):
        seen.append((project, files_of(root, case_id)))
        project = judge(project)

    for before, files in reversed(seen):
        project = take_back(root, project, case_id)
        assert files_of(root, case_id) == files
        assert set(project.reviews) == set(before.reviews)
        assert load_project(root) == project


def test_everything_drawn_survives_taking_back_and_judging_again(a_project, tmp_path):
    root, project = a_project
    for number in range(3):
        project = correct(root, project, "a", saved(tmp_path, number))
        project = correct(root, project, "a", saved(tmp_path, number, 4))
        project = take_back(root, take_back(root, project, "a"), "a")

    assert project.reviews == ()
    wanted = {drawn_in(n, *more).tobytes() for n in range(3) for more in ((), (4,))}
    assert wanted <= all_drawn(root)


def test_verdicts_on_other_cases_stay(a_project):
    root, project = a_project
    for case_id in ("a", "a.1", "[a]"):
        project = reject(root, accept(root, project, case_id), case_id)

    project = take_back(root, project, "a")

    verdicts = {r.case_id: r.verdict for r in load_project(root).reviews}
    assert verdicts == {
        "a": Verdict.ACCEPTED, "a.1": Verdict.REJECTED, "[a]": Verdict.REJECTED,
    }  # fmt: skip


def test_nothing_to_take_back_is_told(a_project):
    root, project = a_project
    with pytest.raises(ReviewError, match="no verdict on the proposal of case 'a'"):
        take_back(root, project, "a")
    with pytest.raises(ProjectError, match="no case 'x'"):
        take_back(root, project, "x")
    closed = accept(root, project, "a").with_round(Round(0, RoundState.CLOSED))
    with pytest.raises(ReviewError, match="not in review"):
        take_back(root, closed, "a")


def test_earlier_segmentation_that_is_gone_is_told_and_nothing_changes(a_project, tmp_path):
    root, project = a_project
    project = reject(root, correct(root, project, "a", saved(tmp_path, 1)), "a")
    (ProjectLayout(root).review_folder(0) / "history" / "a.1.seg.nrrd").unlink()
    before = files_of(root)

    with pytest.raises(ReviewError, match="is missing"):
        take_back(root, project, "a")
    assert files_of(root) == before
    assert load_project(root) == project


def test_drawing_whose_verdict_was_never_written_survives(a_project, tmp_path, monkeypatch):
    root, project = a_project
    project = accept(root, project, "a")
    file = saved(tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr(review_cases, "_save", killed)
        with pytest.raises(Killed):
            correct(root, project, "a", file)

    take_back(root, load_project(root), "a")

    assert drawn_in(1).tobytes() in all_drawn(root)


def killed(*_, **__):
    raise Killed


class Killed(BaseException):
    """Stands for a process that ends at once."""


@pytest.mark.parametrize(
    ("extent", "last_step"),
    [
        *[(TruthExtent.CHANGED_SLICES, step) for step in range(1, 8)],
        *[(TruthExtent.CHANGED_VOXELS, step) for step in range(1, 9)],
    ],
)
def test_kill_between_two_files_leaves_a_verdict_with_its_own_files(
    a_project, tmp_path, monkeypatch, extent, last_step
):
    root, project = a_project
    first = correct(root, project, "a", saved(tmp_path, 1), extent=extent)
    project = correct(root, first, "a", saved(tmp_path, 2, 3), extent=extent)
    steps = []

    def dying_before_step(function):
        def step(*args, **kwargs):
            steps.append(function)
            if len(steps) == last_step:
                raise Killed
            return function(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        for name in ("_copy", "save_review", "remove_file"):
            patch.setattr(verdict_history, name, dying_before_step(getattr(verdict_history, name)))
        with pytest.raises(Killed):
            take_back(root, project, "a")

    (review,) = load_project(root).reviews
    array = read_segmentation(ProjectLayout(root).resolve(review.segmentation), SCHEMA)[0].array
    assert np.array_equal(array, drawn_in(*review.truth_slices))
    if extent is TruthExtent.CHANGED_VOXELS:
        mask = read_truth_mask(ProjectLayout(root).resolve(review.truth_mask), GRID)
        assert slices_of_mask(mask, 2) == review.truth_slices
    assert {drawn_in(1).tobytes(), drawn_in(2, 3).tobytes()} <= all_drawn(root)
    # whoever goes on taking back arrives at the same end
    project = load_project(root)
    while project.reviews:
        project = take_back(root, project, "a")
    assert files_of(root) == (None, None)
