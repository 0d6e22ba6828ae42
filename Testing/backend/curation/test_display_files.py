"""The arrays from which a case is shown: what they hold, and when they are made anew."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import accept, correct, reject

from PseudoLabelCLLib.curation.grids.stored_files import read_labels
from PseudoLabelCLLib.curation.review import display_files
from PseudoLabelCLLib.curation.review.display_files import (
    APART_MM,
    LEAST_DOUBT,
    MAX_KEPT_CASES,
    SHARE_OF_WORST,
    doubtful_slices,
    write_case_files,
)
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.errors import (
    AnnotationError,
    ProjectError,
    ReviewError,
    StorageError,
    VolumeError,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

# Left-handed and turned: nothing may depend on an upright grid.
GRID = Geometry((10, 9, 5), (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), (1, 0, 0, 0, 0, 1, 0, 1, 0))
SCHEMA = LabelSchema.from_values((1, 4))
DOUBT = Doubt(0.4, 0.6, (0.0, 0.3, 0.2, 0.0, 0.4), "Look.")


def labels_in(*slices):
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:4, 2:7, 2:8] = 1
    array[2, 3:6, 4:6] = 4
    for number in slices:
        array[number, 1, 1:5] = 1
    return array


def image(number, dtype=np.int16):
    return np.random.default_rng(number).integers(-900, 900, GRID.array_shape).astype(dtype)


def put_labels(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(array, GRID), SCHEMA)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Round 0 closed, round 1 in review: a has proposals in both, b in round 0, t none."""
    folder = tmp_path_factory.mktemp("made")
    root = folder / "project"
    cases = [Case(n, CaseRole.UNLABELLED, f"../{n}.nrrd", GRID) for n in ("a", "b", "Ä c")]
    cases.append(Case("t", CaseRole.ANNOTATED, "../t.nrrd", GRID, "annotations/t.seg.nrrd"))
    rounds = (Round(0, RoundState.CLOSED), Round(1, RoundState.IN_REVIEW))
    create_project(root, Project("p", SCHEMA, config_for(Profile.QUICK), tuple(cases), rounds))
    layout = ProjectLayout(root)
    for number, case in enumerate(cases):
        write_volume(folder / f"{case.id}.nrrd", Volume(image(number), GRID))
    for index, case_id in ((0, "a"), (1, "a"), (0, "b")):
        put_labels(layout.proposal(index, case_id), labels_in(index))
        unsure = np.full(GRID.array_shape, 0.5 + index / 4, np.float32)
        write_volume(layout.uncertainty(index, case_id), Volume(unsure, GRID))
        write_json(layout.doubt(index, case_id), {"schema_version": 1, **to_json(DOUBT)})
    put_labels(layout.annotation("t"), labels_in(3))
    return root, Project("p", SCHEMA, config_for(Profile.QUICK), tuple(cases), rounds)


@pytest.fixture
def a_project(made, tmp_path):
    root, project = made
    return Path(shutil.copytree(root.parent, tmp_path / "all")) / "project", project


def loaded(path):
    return None if path is None else np.load(path)


def test_everything_that_is_known_of_a_case_is_shown(a_project):
    root, project = a_project

    files = write_case_files(root, project, "A", None, True)

    assert (files.case_id, files.round_index, files.geometry) == ("a", 1, GRID)
    assert np.array_equal(loaded(files.image), image(0))
    assert loaded(files.image).dtype == np.int16
    assert np.array_equal(loaded(files.proposal), labels_in(1))
    assert loaded(files.proposal).dtype == np.int16
    assert np.array_equal(loaded(files.previous), labels_in(0))
    assert (loaded(files.uncertainty) == 0.75).all()
    assert loaded(files.uncertainty).dtype == np.float32
    assert (files.reviewed, files.annotation) == (None, None)
    assert (files.slicing_axis, files.doubtful_slices) == (2, (4, 1))


def test_arrays_are_ready_to_be_mapped(a_project):
    root, project = a_project
    files = write_case_files(root, project, "a", None, True)
    for path in (files.image, files.proposal, files.uncertainty):
        array = np.load(path, mmap_mode="r")
        assert array.flags.c_contiguous
        assert array.dtype.isnative
        assert array.shape == GRID.array_shape


def test_earlier_round_is_shown_on_request(a_project):
    root, project = a_project

    files = write_case_files(root, project, "a", 0, False)

    assert (files.round_index, files.image, files.previous) == (0, None, None)
    assert np.array_equal(loaded(files.proposal), labels_in(0))
    assert (loaded(files.uncertainty) == 0.5).all()


def test_case_without_a_new_proposal_shows_its_newest_one(a_project):
    root, project = a_project
    assert write_case_files(root, project, "b", None, False).round_index == 0
    with pytest.raises(ReviewError, match=r"case 'b' \(rounds with one: 0\)"):
        write_case_files(root, project, "b", 1, False)


def test_proposal_of_a_round_that_still_runs_is_shown_once_it_is_whole(a_project):
    root, project = a_project
    running = project.with_round(Round(1, RoundState.PSEUDO_LABELLING))

    assert write_case_files(root, running, "a", None, False).round_index == 1
    ProjectLayout(root).doubt(1, "a").unlink()  # it is written last
    assert write_case_files(root, running, "a", None, False).round_index == 0
    training = project.with_round(Round(1, RoundState.TRAINING))
    assert write_case_files(root, training, "a", None, False).round_index == 0


def test_annotated_case_shows_what_a_person_drew_while_that_counts(a_project):
    root, project = a_project

    files = write_case_files(root, project, "t", None, True)

    assert np.array_equal(loaded(files.annotation), labels_in(3))
    assert (files.round_index, files.proposal, files.doubtful_slices) == (None, None, ())
    freed = project.with_case(project.case("t").with_role(CaseRole.UNLABELLED))
    assert write_case_files(root, freed, "t", None, True).annotation is None


def test_verdict_is_shown_as_it_stands(a_project, tmp_path):
    root, project = a_project
    project = correct(root, project, "a", put_labels(tmp_path / "c.seg.nrrd", labels_in(1, 4)))
    assert np.array_equal(
        loaded(write_case_files(root, project, "a", None, False).reviewed), labels_in(1, 4)
    )
    project = reject(root, project, "a")
    assert write_case_files(root, project, "a", None, False).reviewed is None
    project = accept(root, project, "a")
    files = write_case_files(root, project, "a", None, False)
    assert files.reviewed == files.proposal


def test_nothing_is_read_again_while_nothing_has_changed(a_project, monkeypatch):
    root, project = a_project
    files = write_case_files(root, project, "a", None, True)

    def refuse(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(display_files, "read_volume", refuse)
    monkeypatch.setattr(display_files, "read_labels", refuse)
    assert write_case_files(root, project, "a", None, True) == files


def test_changed_source_is_read_anew_and_the_stale_array_goes(a_project):
    root, project = a_project
    before = write_case_files(root, project, "a", None, True)
    write_volume(root.parent / "a.nrrd", Volume(image(99), GRID))
    put_labels(ProjectLayout(root).proposal(1, "a"), labels_in(2))

    after = write_case_files(root, project, "a", None, True)

    assert np.array_equal(loaded(after.image), image(99))
    assert np.array_equal(loaded(after.proposal), labels_in(2))
    assert not Path(before.image).exists()
    assert not Path(before.proposal).exists()
    assert after.uncertainty == before.uncertainty


def test_dicom_folder_is_read_anew_when_one_slice_has_changed(tmp_path):
    (tmp_path / "1.dcm").write_text("one")
    (tmp_path / "2.dcm").write_text("two")
    before = display_files.stamp_of(tmp_path)
    assert display_files.stamp_of(tmp_path) == before
    os.utime(tmp_path / "2.dcm", ns=(0, 0))
    assert display_files.stamp_of(tmp_path) != before


def test_only_the_cases_that_were_shown_last_are_kept(a_project):
    root, project = a_project
    ProjectLayout(root).view.mkdir()
    (ProjectLayout(root).view / "agreement.json").write_text("{}")
    shown = ["a", "b", "Ä c", "a", "t"]
    for number, case_id in enumerate(shown):
        write_case_files(root, project, case_id, None, True)
        # the clock of a file system may be coarser than this loop
        os.utime(ProjectLayout(root).view / case_id, ns=(number, number))
    write_case_files(root, project, "t", None, True)

    kept = {folder.name for folder in ProjectLayout(root).view.iterdir()}
    assert kept == {"a", "Ä c", "t", "agreement.json"}
    assert len(kept) == MAX_KEPT_CASES + 1


def test_what_cannot_be_shown_is_told(a_project):
    root, project = a_project
    with pytest.raises(ProjectError, match="no case 'x'"):
        write_case_files(root, project, "x", None, True)
    (root.parent / "a.nrrd").unlink()
    with pytest.raises(StorageError, match="does not exist"):
        write_case_files(root, project, "a", None, True)
    assert write_case_files(root, project, "a", None, False).proposal is not None
    other = replace(GRID, origin_mm=(500.0, 0.0, 0.0))
    write_volume(root.parent / "b.nrrd", Volume(image(0), other))
    with pytest.raises(VolumeError, match="image of case 'b' is not the one"):
        write_case_files(root, project, "b", None, True)
    ProjectLayout(root).proposal(0, "b").write_bytes(b"NRRD0004\n")
    with pytest.raises(VolumeError, match="damaged"):
        write_case_files(root, project, "b", None, False)


def test_damaged_source_leaves_no_half_array(a_project):
    root, project = a_project
    path = ProjectLayout(root).proposal(1, "a")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(VolumeError):
        write_case_files(root, project, "a", None, False)
    assert list((ProjectLayout(root).view / "a").iterdir()) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=40), st.sampled_from([0.5, 1.0, 2.5, 6.0, 10.0]))
def test_doubtful_slices_keep_their_promises(doubt, spacing_mm):
    chosen = doubtful_slices(doubt, spacing_mm)

    least = max(LEAST_DOUBT, SHARE_OF_WORST * max(doubt, default=0.0))
    assert all(doubt[n] >= least for n in chosen)
    assert [doubt[n] for n in chosen] == sorted((doubt[n] for n in chosen), reverse=True)
    near = max(1, int(APART_MM / spacing_mm))
    assert all(abs(n - m) > near for n in chosen for m in chosen if n != m)
    for number, value in enumerate(doubt):  # what is not listed is sure, or next to what is
        if value >= least:
            assert any(abs(number - n) <= near and doubt[n] >= value for n in chosen)


def test_sure_volume_has_no_doubtful_slice():
    assert doubtful_slices([0.01, 0.09, 0.02], 8.0) == ()
    assert doubtful_slices([], 8.0) == ()


@settings(max_examples=25, deadline=None)
@given(st.permutations([0, 1, 4, 7, 255]), st.sets(st.sampled_from([1, 4, 7, 255]), min_size=1))
def test_labels_are_the_same_as_the_slow_reader_finds(tmp_path_factory, order, kept):
    path = tmp_path_factory.getbasetemp() / "fast.seg.nrrd"
    classes = [LabelClass(v, f"label {v}", "#e69f00") for v in order if v in kept]
    array = np.zeros(GRID.array_shape, np.int16)
    for value in kept:
        array.ravel()[value::31] = value
    write_segmentation(path, LabelVolume(array, GRID), LabelSchema(tuple(classes)))
    # in the project, the labels have other values: segments are matched by name
    schema = LabelSchema(
        tuple(replace(c, value=c.value + 300, segment_id=f"id {c.value}") for c in classes)
    )

    fast, slow = read_labels(path, schema), read_segmentation(path, schema)[0]

    assert np.array_equal(fast.array, slow.array)
    assert fast.array.dtype == slow.array.dtype
    assert fast.geometry == slow.geometry


def test_labels_that_a_table_cannot_tell_are_left_to_the_slow_reader(tmp_path):
    big = LabelSchema.from_values((1, 4, 300))
    array = labels_in()
    array[0, 0, 0] = 300
    write_segmentation(tmp_path / "big.seg.nrrd", LabelVolume(array, GRID), big)
    write_segmentation(tmp_path / "plain.nrrd", LabelVolume(labels_in(), GRID), SCHEMA)
    assert np.array_equal(read_labels(tmp_path / "big.seg.nrrd", big).array, array)
    assert np.array_equal(read_labels(tmp_path / "plain.nrrd", SCHEMA).array, labels_in())
    with pytest.raises(AnnotationError, match="300"):
        read_labels(tmp_path / "big.seg.nrrd", SCHEMA)
