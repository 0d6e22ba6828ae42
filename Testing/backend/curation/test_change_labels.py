"""Other labels for a project: what may change when, and that no voxel changes its meaning."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judging import correct, reject, take_back
from small_projects import add_case

from PseudoLabelCLLib.curation.cases.change_labels import change_labels
from PseudoLabelCLLib.curation.review.go_back import go_back
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, ProjectInUseError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

GRID = Geometry((10, 9, 5), (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), (1, 0, 0, 0, 0, 1, 0, 1, 0))
CATEGORY = Code("SCT", "123037004", "Anatomical Structure")


def coded(value, meaning):
    return Terminology(CATEGORY, Code("SCT", value, meaning))


POOL = LabelClass(1, "pool", "#ff0000", coded("1", "Pool"))
WALL = LabelClass(4, "wall", "#00ff00", coded("4", "Wall"))
SPARE = LabelClass(7, "spare", "#0000ff")
SCHEMA = LabelSchema((POOL, WALL, SPARE))


def drawn_array():
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:4, 2:7, 2:8] = 1
    array[1:4, 3:6, 4:6] = 4
    return array


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project before round 0 whose one segmentation holds pool and wall, and no spare."""
    folder = tmp_path_factory.mktemp("made")
    root = folder / "project"
    create_project(root, Project("p", SCHEMA, config_for(Profile.QUICK)))
    project = load_project(root)
    noise = np.random.default_rng(0).normal(100, 9, GRID.array_shape).astype(np.float32)
    for name, role in (("t", CaseRole.ANNOTATED), ("a", CaseRole.UNLABELLED)):
        write_volume(folder / f"{name}.nrrd", Volume(noise, GRID))
        label = folder / f"{name}.seg.nrrd" if name == "t" else None
        if label:
            write_segmentation(label, LabelVolume(drawn_array(), GRID), SCHEMA)
        project, _ = add_case(root, project, name, role, folder / f"{name}.nrrd", label)
    return root


@pytest.fixture
def a_project(made, tmp_path):
    root = Path(shutil.copytree(made.parent, tmp_path / "all")) / "project"
    return root, load_project(root)


@pytest.fixture
def a_reviewed_project(a_project, tmp_path):
    """Round 0 in review, with a correction of the one proposal."""
    root, _ = a_project
    save_round(root, Round(0, RoundState.IN_REVIEW))
    path = ProjectLayout(root).proposal(0, "a")
    write_segmentation(path, LabelVolume(drawn_array(), GRID), SCHEMA)
    array = drawn_array()
    array[2, 1, 1:5] = 1
    write_segmentation(tmp_path / "c.seg.nrrd", LabelVolume(array, GRID), SCHEMA)
    return root, correct(root, load_project(root), "a", tmp_path / "c.seg.nrrd")


def everything_read(root, schema):
    return {
        path: read_segmentation(path, schema)[0].array.tobytes()
        for path in sorted(root.rglob("*.seg.nrrd"))
    }


def renamed(**names):
    """The labels with other names and, so that the names alone count, without codes."""
    by_name = {label.name: label for label in SCHEMA}
    return LabelSchema(
        tuple(
            replace(label, name=names.get(name, name), terminology=None)
            for name, label in by_name.items()
        )
    )


def test_words_change_at_any_time_and_no_voxel_with_them(a_reviewed_project):
    root, project = a_reviewed_project
    before = everything_read(root, SCHEMA)
    labels = LabelSchema(
        (
            replace(POOL, name="Höhle", color="#123456", terminology=None),
            replace(WALL, terminology=coded("44", "Myocardium"), keep_largest_component=True),
            SPARE,
        )
    )

    after = change_labels(root, project, labels)

    assert after == load_project(root) == replace(project, schema=labels)
    assert everything_read(root, labels) == before


@pytest.mark.parametrize(
    "labels",
    [
        LabelSchema((POOL, WALL)),
        LabelSchema((*SCHEMA, LabelClass(9, "new", "#ffffff"))),
        LabelSchema((replace(POOL, value=2), WALL, SPARE)),
        LabelSchema((POOL, WALL, replace(SPARE, segment_id="other"))),
        LabelSchema((WALL, POOL, SPARE)),
    ],
    ids=["fewer", "more", "other value", "other identity", "other order"],
)
def test_structures_are_settled_by_round_0_and_free_again_before_it(a_reviewed_project, labels):
    root, project = a_reviewed_project
    with pytest.raises(ProjectError, match="fixed since round 0") as told:
        change_labels(root, project, labels)
    assert "before round 0" in told.value.remedy
    assert load_project(root) == project

    project = go_back(root, project, -1)
    if {POOL.value, WALL.value} <= set(labels.values):
        assert change_labels(root, project, labels) == load_project(root)
        annotation = root / project.case("t").annotation
        assert np.array_equal(read_segmentation(annotation, labels)[0].array, drawn_array())


def test_structure_that_a_person_drew_cannot_go(a_project):
    root, project = a_project
    with pytest.raises(ProjectError, match="case 't' holds 'wall'") as told:
        change_labels(root, project, LabelSchema((POOL, SPARE)))
    assert "take that case out" in told.value.remedy
    assert load_project(root) == project


def test_structure_that_nobody_drew_can_go(a_project):
    root, project = a_project

    after = change_labels(root, project, LabelSchema((POOL, WALL)))

    assert after == load_project(root)
    annotation = root / project.case("t").annotation
    assert np.array_equal(read_segmentation(annotation, after.schema)[0].array, drawn_array())


def test_names_cannot_be_swapped_since_files_would_be_read_the_other_way_round(a_project):
    root, project = a_project
    with pytest.raises(ProjectError, match="would no longer be read as 'pool'"):
        change_labels(root, project, renamed(pool="wall", wall="pool"))
    assert load_project(root) == project


def test_names_can_be_swapped_where_codes_tell_the_structures_apart(a_project):
    root, project = a_project
    labels = LabelSchema((replace(POOL, name="wall"), replace(WALL, name="pool"), SPARE))

    change_labels(root, project, labels)

    annotation = root / project.case("t").annotation
    assert np.array_equal(read_segmentation(annotation, labels)[0].array, drawn_array())


def test_name_that_another_structure_had_before_is_refused_too(a_project):
    root, project = a_project
    project = change_labels(root, project, renamed(pool="one", wall="two"))
    for names in ({"pool": "wall", "wall": "pool"}, {"pool": "wall", "wall": "two"}):
        with pytest.raises(ProjectError, match=r"'t\.seg\.nrrd'") as told:
            change_labels(root, project, renamed(**names))
        assert "other name" in told.value.remedy


def test_codes_cannot_be_swapped_together_with_new_names(a_project):
    root, project = a_project
    labels = LabelSchema(
        (
            replace(POOL, name="one", terminology=WALL.terminology),
            replace(WALL, name="two", terminology=POOL.terminology),
            SPARE,
        )
    )
    with pytest.raises(ProjectError, match="no longer be"):
        change_labels(root, project, labels)


def test_verdict_that_was_replaced_is_looked_at_since_it_can_count_again(a_reviewed_project):
    root, project = a_reviewed_project
    layout = ProjectLayout(root)
    project = reject(root, project, "a")
    layout.reviewed_segmentation(0, "a").unlink()
    layout.proposal(0, "a").rename(root / "away")
    (root / project.case("t").annotation).unlink()

    with pytest.raises(ProjectError, match=r"a\.1\.seg\.nrrd"):
        change_labels(root, project, renamed(pool="wall", wall="pool"))

    (root / "away").rename(layout.proposal(0, "a"))
    assert take_back(root, project, "a").reviews_of("a")[0].truth_slices == (2,)


def test_structures_wait_while_a_training_runs_and_words_do_not(a_project):
    root, project = a_project
    training = project_lock(ProjectLayout(root).worker_lock, "the training worker")
    with training:
        with pytest.raises(ProjectInUseError, match="the training worker"):
            change_labels(root, project, LabelSchema((POOL, WALL)))
        assert change_labels(root, project, renamed(pool="blood")).schema.names[0] == "blood"
