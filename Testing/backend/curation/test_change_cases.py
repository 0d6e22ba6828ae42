"""Other roles for cases, and cases taken out: what counts afterwards, and that nothing is lost."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judging import accept, correct, reject, take_back
from small_projects import add_case

from PseudoLabelCLLib.curation.cases import change_cases
from PseudoLabelCLLib.curation.cases.change_cases import remove_cases, set_role
from PseudoLabelCLLib.curation.review import files_set_aside as set_aside
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round, truth_sources_of
from PseudoLabelCLLib.curation.review.review_cases import review_queue
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.errors import ProjectError, ProjectInUseError, StorageError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Use
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import (
    create_project,
    load_project,
    save_round,
)
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

GRID = Geometry((10, 9, 5), (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), (1, 0, 0, 0, 0, 1, 0, 1, 0))
SCHEMA = LabelSchema.from_values((1,))
NAMES = ("t", "a", "b")


def array_in(*slices):
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:4, 2:7, 2:8] = 1
    for number in slices:
        array[number, 1, 1:5] = 1
    return array


def drawn(folder, *slices):
    path = folder / f"drawn-{'-'.join(map(str, slices))}.seg.nrrd"
    write_segmentation(path, LabelVolume(array_in(*slices), GRID), SCHEMA)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """t is annotated (slice 0), a and b are not; round 1 is in review, with verdicts on both."""
    folder = tmp_path_factory.mktemp("made")
    root = folder / "project"
    create_project(root, Project("p", SCHEMA, config_for(Profile.QUICK)))
    project = load_project(root)
    for number, name in enumerate(NAMES):
        noise = np.random.default_rng(number).normal(100, 9, GRID.array_shape).astype(np.float32)
        write_volume(folder / f"{name}.nrrd", Volume(noise, GRID))
        role = CaseRole.ANNOTATED if name == "t" else CaseRole.UNLABELLED
        label = drawn(folder, 0) if name == "t" else None
        project, _ = add_case(
            root, project, name, role, folder / f"{name}.nrrd", label, copy_image=name == "b"
        )
    for index in (0, 1):
        project = put_round(root, project, index)
        project = correct(root, project, "a", drawn(folder, index))
        project = accept(root, reject(root, project, "b"), "b")
    return root


def put_round(root, project, index):
    layout = ProjectLayout(root)
    for earlier in project.rounds:
        project = project.with_round(replace(earlier, state=RoundState.CLOSED))
    project = project.with_round(Round(index, RoundState.IN_REVIEW))
    for round_ in project.rounds:
        save_round(root, round_)
    for name in ("a", "b"):
        write_segmentation(layout.proposal(index, name), LabelVolume(array_in(), GRID), SCHEMA)
        write_volume(layout.uncertainty(index, name), Volume(np.ones(GRID.array_shape), GRID))
        write_json(layout.doubt(index, name), to_json(Doubt(0.5, 0.5, (0.5,) * 5, "Look.")))
    return project


@pytest.fixture
def a_project(made, tmp_path):
    folder = Path(shutil.copytree(made.parent, tmp_path / "all"))
    return folder / "project", load_project(folder / "project")


def drawings(root):
    return {read_segmentation(path, SCHEMA)[0].array.tobytes() for path in root.rglob("*.seg.nrrd")}


def queue(root, project):
    return [item.case_id for item in review_queue(root, project)]


def test_annotated_case_keeps_its_segmentation_as_an_unlabelled_one(a_project):
    root, project = a_project

    after = set_role(root, project, ["t"], CaseRole.UNLABELLED)

    assert after == load_project(root)
    assert after.case("t").annotation == "annotations/t.seg.nrrd"
    assert truth_sources_of(after, "t", 2) == ()
    assert set_role(root, after, ["t"], CaseRole.ANNOTATED) == project == load_project(root)


def test_case_that_becomes_validation_teaches_nothing(a_project):
    root, project = a_project

    after = set_role(root, project, ["t"], CaseRole.VALIDATION)

    assert after.use_in_round("t", 2) is Use.NOTHING
    assert "t" not in {source.case_id for source in plan_next_round(after).human}


def test_ignored_case_leaves_the_running_review_and_comes_back_with_its_verdicts(a_project):
    root, project = a_project

    after = set_role(root, project, ["A"], CaseRole.IGNORED)

    assert queue(root, after) == ["b"]
    assert "a" not in {source.case_id for source in plan_next_round(after).human}
    back = set_role(root, after, ["a"], CaseRole.UNLABELLED)
    assert queue(root, back) == ["a", "b"]
    assert plan_next_round(back) == plan_next_round(project)
    assert load_project(root) == project


@pytest.mark.parametrize("role", [CaseRole.ANNOTATED, CaseRole.VALIDATION])
def test_role_that_needs_a_segmentation_is_refused_for_all_at_once(a_project, role):
    root, project = a_project
    with pytest.raises(ProjectError, match=f"'a', 'b' cannot be {role.value}") as told:
        set_role(root, project, ["t", "a", "b"], role)
    assert "segmentation" in told.value.remedy
    with pytest.raises(ProjectError, match="no case 'x'"):
        set_role(root, project, ["t", "x"], CaseRole.IGNORED)
    assert load_project(root) == project


def test_case_taken_out_leaves_a_project_that_goes_on(a_project):
    root, project = a_project

    after = remove_cases(root, project, ["A", "a"])

    assert after == load_project(root)
    assert [case.id for case in after.cases] == ["t", "b"]
    assert queue(root, after) == ["b"]
    assert {source.case_id for source in plan_next_round(after).human} == {"t", "b"}
    assert (root.parent / "a.nrrd").exists()


def test_what_people_drew_of_a_case_taken_out_is_kept(a_project):
    root, project = a_project
    project = take_back(root, correct(root, project, "a", drawn(root.parent, 3)), "a")
    before = drawings(root)

    remove_cases(root, project, NAMES)

    assert drawings(root) == before
    assert array_in(3).tobytes() in before
    (aside,) = ProjectLayout(root).set_aside.iterdir()
    found = {path.relative_to(aside).as_posix() for path in aside.rglob("*") if path.is_file()}
    assert {"annotations/t.seg.nrrd", "volumes/b.nrrd", "reviews/round_00/a.json"} <= found
    assert "reviews/round_01/history/taken_back/a.1.seg.nrrd" in found


def test_new_case_of_the_same_name_begins_anew(a_project):
    root, project = a_project
    project = reject(root, project, "a")
    image = root.parent / "b.nrrd"

    project = remove_cases(root, project, ["a"])
    project, _ = add_case(root, project, "a", CaseRole.UNLABELLED, image)

    assert load_project(root) == project
    assert project.reviews_of("a") == ()
    assert queue(root, project) == ["b"]
    assert "a" in plan_next_round(project).pseudo
    # the next round's verdicts have no forerunners
    project = accept(root, put_round(root, project, 2), "a")
    assert take_back(root, project, "a").reviews_of("a") == ()


def test_cases_whose_names_begin_alike_stay(a_project):
    root, project = a_project
    image = root.parent / "b.nrrd"
    project, _ = add_case(root, project, "a.1", CaseRole.UNLABELLED, image)
    write_segmentation(
        ProjectLayout(root).proposal(1, "a.1"), LabelVolume(array_in(), GRID), SCHEMA
    )
    project = reject(root, accept(root, project, "a.1"), "a.1")

    project = remove_cases(root, project, ["a"])

    assert take_back(root, project, "a.1").reviews_of("a.1")[0].verdict.value == "accepted"


def test_unknown_case_takes_none_out(a_project):
    root, project = a_project
    with pytest.raises(ProjectError, match="no case 'x'"):
        remove_cases(root, project, ["a", "x"])
    assert load_project(root) == project


def test_running_training_keeps_its_cases(a_project):
    root, project = a_project
    training = project_lock(ProjectLayout(root).worker_lock, "the training worker")
    with training, pytest.raises(ProjectInUseError, match="the training worker"):
        remove_cases(root, project, ["a"])
    assert load_project(root) == project


class Killed(BaseException):
    """Stands for a process that ends at once."""


def failing_at(patch, step, error):
    steps = []

    def failing(function):
        def done(*args):
            steps.append(function)
            if len(steps) == step:
                raise error
            return function(*args)

        return done

    patch.setattr(set_aside.SetAside, "move", failing(set_aside.SetAside.move))
    patch.setattr(change_cases, "save_cases", failing(change_cases.save_cases))


NUM_STEPS = 13  # of two rounds five files each, the project, the annotation, the image


@pytest.mark.parametrize("step", range(1, NUM_STEPS + 1))
def test_kill_between_two_moves_leaves_the_case_with_fewer_verdicts_or_none(
    a_project, monkeypatch, step
):
    root, project = a_project
    before = drawings(root)
    with monkeypatch.context() as patch:
        failing_at(patch, step, Killed())
        with pytest.raises(Killed):
            remove_cases(root, project, ["a"])

    left = load_project(root)
    assert set(left.reviews) <= set(project.reviews)
    assert drawings(root) == before
    if any(case.id == "a" for case in left.cases):
        left = remove_cases(root, left, ["a"])
    again, _ = add_case(root, left, "a", CaseRole.UNLABELLED, root.parent / "b.nrrd")
    assert again.reviews_of("a") == ()
    assert queue(root, load_project(root)) == ["b"]


def kept_files(root):
    """All that is in the project but its locks."""
    files = (path for path in root.rglob("*.*") if path.is_file() and path.suffix != ".lock")
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize("step", [1, 7, 11])
def test_disk_that_refuses_leaves_everything_where_it_was(a_project, monkeypatch, step):
    root, project = a_project
    files = kept_files(root)
    with monkeypatch.context() as patch:
        failing_at(patch, step, StorageError("The disk is full."))
        with pytest.raises(StorageError, match="full"):
            remove_cases(root, project, ["a"])

    assert kept_files(root) == files
