"""Going back to an earlier round: what counts afterwards, what is kept, and kills in between."""

import shutil
from pathlib import Path

import pytest

from PseudoLabelCLLib.curation.review import files_set_aside as set_aside
from PseudoLabelCLLib.curation.review import go_back as go_back_module
from PseudoLabelCLLib.curation.review.go_back import go_back
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.curation.review.review_cases import review_queue
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, ProjectInUseError, StorageError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round

GRID = Geometry((8, 8, 4), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
STATES = [RoundState.CLOSED, RoundState.CLOSED, RoundState.CLOSED, RoundState.IN_REVIEW]


def segmentation_of(index, case_id):
    return f"reviews/round_{index:02d}/{case_id}.seg.nrrd"


def make_project(root, states):
    """Round n has proposals for a and b, of which a is accepted."""
    cases = [Case(name, CaseRole.UNLABELLED, f"../{name}.nii", GRID) for name in "ab"]
    cases.append(Case("t", CaseRole.ANNOTATED, "../t.nii", GRID, "annotations/t.seg.nrrd"))
    rounds = tuple(Round(index, state) for index, state in enumerate(states))
    judged = [r.index for r in rounds if r.state in (RoundState.CLOSED, RoundState.IN_REVIEW)]
    reviews = tuple(
        Review("a", index, Verdict.ACCEPTED, segmentation_of(index, "a")) for index in judged
    )
    schema = LabelSchema.from_values((1,))
    create_project(
        root, Project("p", schema, config_for(Profile.QUICK), tuple(cases), rounds, reviews)
    )
    layout = ProjectLayout(root)
    for index in judged:
        write(layout.reviewed_segmentation(index, "a"), f"drawn in round {index}")
        for case_id in "ab":
            write(layout.proposal(index, case_id), f"proposal of round {index}")
    return root


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def texts_of(root):
    return sorted(path.read_text() for path in root.rglob("*.seg.nrrd"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("made") / "project", STATES)


@pytest.fixture
def a_project(made, tmp_path):
    """Four rounds, the newest in review."""
    root = Path(shutil.copytree(made, tmp_path / "project"))
    return root, load_project(root)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_earlier_round_is_in_review_again_with_its_own_verdicts(a_project, index):
    root, project = a_project

    after = go_back(root, project, index)

    assert after == load_project(root)
    assert [r.state for r in after.rounds] == [*STATES[:index], RoundState.IN_REVIEW]
    assert [r.round_index for r in after.reviews] == list(range(index + 1))
    assert [(item.case_id, item.verdict) for item in review_queue(root, after)] == [
        ("a", Verdict.ACCEPTED),
        ("b", None),
    ]
    assert plan_next_round(after).index == index + 1


def test_before_round_0_nothing_is_left_but_the_cases(a_project):
    root, project = a_project

    after = go_back(root, project, -1)

    assert after == load_project(root)
    assert (after.rounds, after.reviews) == ((), ())
    assert after.cases == project.cases
    assert plan_next_round(after).index == 0


def test_later_rounds_are_put_aside_as_they_were(a_project):
    root, project = a_project
    before = texts_of(root)

    go_back(root, project, 1)

    assert texts_of(root) == before
    (aside,) = ProjectLayout(root).set_aside.iterdir()
    kept = load_project(put_together(root, aside))
    assert kept == project.with_round(Round(1, RoundState.IN_REVIEW))


def put_together(root, aside):
    """What was put aside, laid back over the project, is the project as it was."""
    target = shutil.copytree(root, root.parent / "together")
    return Path(shutil.copytree(aside, target, dirs_exist_ok=True))


def test_going_back_twice_keeps_both_in_folders_of_their_own(a_project):
    root, project = a_project
    before = texts_of(root)

    go_back(root, go_back(root, project, 2), 0)

    assert len(list(ProjectLayout(root).set_aside.iterdir())) == 2
    assert texts_of(root) == before


@pytest.mark.parametrize("state", [RoundState.TRAINING, RoundState.PSEUDO_LABELLING])
def test_interrupted_round_can_be_given_up(tmp_path, state):
    root = make_project(tmp_path / "project", [RoundState.CLOSED, RoundState.CLOSED, state])

    with pytest.raises(ProjectError, match="no proposals to go back to") as told:
        go_back(root, load_project(root), 2)
    assert "round 1" in told.value.remedy
    after = go_back(root, load_project(root), 1)

    assert after == load_project(root)
    assert after.rounds[-1] == Round(1, RoundState.IN_REVIEW)


def test_round_0_that_was_interrupted_is_given_up_by_going_before_it(tmp_path):
    root = make_project(tmp_path / "project", [RoundState.TRAINING])
    with pytest.raises(ProjectError) as told:
        go_back(root, load_project(root), 0)
    assert "before round 0" in told.value.remedy

    assert go_back(root, load_project(root), -1).rounds == ()


def test_round_that_was_hardly_begun_goes_too(a_project):
    root, project = a_project
    (ProjectLayout(root).round_folder(4)).mkdir()

    go_back(root, project, 2)

    assert not ProjectLayout(root).round_folder(4).exists()


def test_closed_round_without_a_next_one_is_opened_again(tmp_path):
    root = make_project(tmp_path / "project", [RoundState.CLOSED, RoundState.CLOSED])

    assert go_back(root, load_project(root), 1).rounds[1].state is RoundState.IN_REVIEW


@pytest.mark.parametrize("index", [-2, 4])
def test_unknown_round_is_refused(a_project, index):
    root, project = a_project
    with pytest.raises(ProjectError, match="rounds: 0, 1, 2, 3"):
        go_back(root, project, index)


def test_newest_round_in_review_is_where_one_is_already(a_project):
    root, project = a_project
    with pytest.raises(ProjectError, match="in review already"):
        go_back(root, project, 3)


def test_project_without_rounds_has_nothing_to_go_back_to(tmp_path):
    root = make_project(tmp_path / "project", [])
    with pytest.raises(ProjectError, match="rounds: none"):
        go_back(root, load_project(root), -1)


def test_interrupted_pretraining_is_given_up_by_going_before_round_0(tmp_path):
    root = make_project(tmp_path / "project", [])
    checkpoint = ProjectLayout(root).pretraining_checkpoint
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"learned so far")

    after = go_back(root, load_project(root), -1)

    assert after == load_project(root)
    assert not checkpoint.exists()
    (aside,) = ProjectLayout(root).set_aside.iterdir()
    assert (aside / "pretraining" / "checkpoint.pt").read_bytes() == b"learned so far"


def test_running_training_is_not_disturbed(a_project):
    root, project = a_project
    training = project_lock(ProjectLayout(root).worker_lock, "the training worker")
    with training, pytest.raises(ProjectInUseError, match="the training worker"):
        go_back(root, project, 0)
    assert load_project(root) == project
    assert not ProjectLayout(root).set_aside.exists()


class Killed(BaseException):
    """Stands for a process that ends at once."""


def failing_at(patch, step, error):
    """Let the n-th move, or the state written after them, fail."""
    steps = []

    def failing(function):
        def done(*args):
            steps.append(function)
            if len(steps) == step:
                raise error
            return function(*args)

        return done

    patch.setattr(set_aside.SetAside, "move", failing(set_aside.SetAside.move))
    patch.setattr(go_back_module, "save_round", failing(save_round))


# Going back over two rounds takes four moves, and the state that is written last.
@pytest.mark.parametrize("step", range(1, 6))
def test_kill_between_two_moves_leaves_a_project_that_goes_on(a_project, monkeypatch, step):
    root, project = a_project
    before = texts_of(root)
    with monkeypatch.context() as patch:
        failing_at(patch, step, Killed())
        with pytest.raises(Killed):
            go_back(root, project, 1)

    left = load_project(root)
    layout = ProjectLayout(root)
    assert texts_of(root) == before
    assert left.rounds == project.rounds[: len(left.rounds)]
    for review in left.reviews:  # no verdict is without the round that it is about
        assert layout.proposal(review.round_index, review.case_id).exists()
        assert layout.resolve(review.segmentation).exists()
    assert go_back(root, left, 1).rounds[-1] == Round(1, RoundState.IN_REVIEW)
    assert texts_of(root) == before


@pytest.mark.parametrize("step", range(1, 6))
def test_disk_that_refuses_leaves_everything_where_it_was(a_project, monkeypatch, step):
    root, project = a_project
    files = sorted(path.relative_to(root) for path in root.rglob("*.*") if path.is_file())
    with monkeypatch.context() as patch:
        failing_at(patch, step, StorageError("The disk is full."))
        with pytest.raises(StorageError, match="full"):
            go_back(root, project, 1)

    assert load_project(root) == project
    found = sorted(path.relative_to(root) for path in root.rglob("*.*") if path.is_file())
    assert [path for path in found if path.suffix != ".lock"] == files
