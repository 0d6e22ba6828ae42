"""What a stranger put into a project becomes no human truth unseen: files, numbers, caches."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from judging import accept, correct
from small_projects import GRID, SCHEMA, drawn, write_drawing

from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.curation.review import display_files
from PseudoLabelCLLib.curation.review.agreement import agreement_with_proposal
from PseudoLabelCLLib.curation.review.display_files import write_case_files
from PseudoLabelCLLib.curation.review.round_history import round_figures
from PseudoLabelCLLib.domain.errors import ProjectDamagedError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.pipeline.slices import case_slices
from PseudoLabelCLLib.pipeline.slices.case_slices import (
    ClassCache,
    TruthPart,
    annotation_of,
    load_case_slices,
    preprocess_plan,
)
from PseudoLabelCLLib.storage.files import own_seals
from PseudoLabelCLLib.storage.files.own_seals import SealedFiles
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

ELSEWHERE = replace(GRID, origin_mm=tuple(place + 37.0 for place in GRID.origin_mm))
SMALLER = Geometry((20, 20, 5), GRID.spacing_mm, GRID.origin_mm, GRID.direction)


def labels_on(grid):
    array = np.zeros(grid.array_shape, np.int16)
    array[1:4, 4:14, 4:18] = 1
    return LabelVolume(array, grid)


@pytest.fixture
def a_judged_project(a_project_in_review, tmp_path):
    """other-1 is corrected, in a mask of single voxels."""
    root, array = a_project_in_review, drawn(shift=1)
    array[2, 1, 1:5] = 1
    file = write_drawing(tmp_path / "mine.seg.nrrd", array)
    extent = TruthExtent.CHANGED_VOXELS
    return root, correct(root, load_project(root), "other-1", file, extent=extent)


@pytest.fixture
def at_another_computer(monkeypatch, tmp_path):
    """Goes to another computer, whose program has seen nothing of this one's."""

    def go(name):
        monkeypatch.setenv(own_seals.STATE_VARIABLE, str(tmp_path / f"state of {name}"))
        monkeypatch.setattr(display_files, "_own", SealedFiles())
        monkeypatch.setattr(case_slices, "_own", SealedFiles())

    go("mine")
    return go


@pytest.mark.parametrize("grid", [ELSEWHERE, SMALLER], ids=["37 mm away", "another shape"])
def test_swapped_segmentation_of_a_verdict_is_refused_everywhere(a_judged_project, tmp_path, grid):
    root, project = a_judged_project
    layout, review = ProjectLayout(root), project.reviews[0]
    path, case = layout.own(review.segmentation), project.case("other-1")
    write_segmentation(path, labels_on(grid), SCHEMA)
    with pytest.raises(VolumeError, match="lies elsewhere"):
        export_segmentations(root, project, tmp_path / "out", case_ids=["other-1"])
    with pytest.raises(VolumeError, match="lies elsewhere"):
        agreement_with_proposal(root, project, review)
    found = [one for one in check_cases(root, project) if one.case_id == "other-1"]
    assert [one.severity for one in found] == ["error"]
    assert "lies elsewhere" in found[0].message
    slices = load_case_slices(root, case, preprocess_plan(root, project), ())
    cache = ClassCache(root, SCHEMA)
    with pytest.raises(VolumeError, match="lies elsewhere"):
        cache.load(slices, path)
    with pytest.raises(VolumeError, match="lies elsewhere"):
        cache.merge(slices, [TruthPart(path, None)])


@pytest.mark.parametrize("grid", [ELSEWHERE, SMALLER], ids=["37 mm away", "another shape"])
def test_swapped_annotation_is_refused_in_training_and_export(a_project, tmp_path, grid):
    project = load_project(a_project)
    write_segmentation(ProjectLayout(a_project).annotation("heart"), labels_on(grid), SCHEMA)
    with pytest.raises(VolumeError, match="lies elsewhere"):
        annotation_of(a_project, project.case("heart"), SCHEMA)
    with pytest.raises(VolumeError, match="lies elsewhere"):
        preprocess_plan(a_project, project)
    with pytest.raises(VolumeError, match="lies elsewhere"):
        export_segmentations(a_project, project, tmp_path / "out")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("truth_slices", [2, 5], "names slice 5; the last one is 4"),
        ("truth_slices", [-1, 2], "below 0"),
        ("truth_slices", [2, 2], "twice"),
        ("left_out", [9], "leaves out 9, which is not a structure"),
        ("left_out", [0], "leaves out 0, which is not a structure"),
        ("left_out", [1, 1], "twice"),
        ("left_out", [1, 2], "leaves out every structure"),
    ],
)
def test_numbers_in_verdicts_are_checked(a_judged_project, field, value, words):
    root, _ = a_judged_project
    path = root / "reviews" / "round_00" / "other-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ProjectDamagedError, match=words):
        load_project(root)


@pytest.mark.parametrize(
    ("value", "grid"), [(0, GRID), (2, GRID), (1, ELSEWHERE), (1, SMALLER)],
    ids=["empty", "twos", "elsewhere", "another shape"],
)  # fmt: skip
def test_truth_mask_that_is_none_is_refused(a_judged_project, tmp_path, value, grid):
    root, project = a_judged_project
    mask = ProjectLayout(root).own(project.reviews[0].truth_mask)
    write_volume(mask, Volume(np.full(grid.array_shape, value, np.uint8), grid))
    with pytest.raises(VolumeError):
        export_segmentations(root, project, tmp_path / "out", case_ids=["other-1"])
    assert [f.severity for f in check_cases(root, project) if f.case_id == "other-1"] == ["error"]


def changed_in_place(path):
    """Change voxels of an array file and nothing else, not even its time."""
    data, status = bytearray(path.read_bytes()), path.stat()
    middle = len(data) // 2
    data[middle - 2000 : middle + 2000] = bytes(4000)
    path.write_bytes(bytes(data))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_slices_for_the_network_from_elsewhere_are_made_anew(a_project, at_another_computer):
    project = load_project(a_project)
    plan, case = preprocess_plan(a_project, project), project.case("heart")
    array = ProjectLayout(a_project).preprocessed("heart") / "images.npy"
    right = load_case_slices(a_project, case, plan, ()).images.copy()
    assert right.any()
    changed_in_place(array)
    assert not np.array_equal(np.load(array), right)
    spoilt = array.read_bytes()
    at_another_computer("the stranger's")
    np.testing.assert_array_equal(load_case_slices(a_project, case, plan, ()).images, right)
    at_another_computer("mine")
    array.write_bytes(spoilt)  # sent back with what the stranger made of it
    np.testing.assert_array_equal(load_case_slices(a_project, case, plan, ()).images, right)


def test_classes_from_elsewhere_are_made_anew(a_project, at_another_computer):
    project = load_project(a_project)
    plan, case = preprocess_plan(a_project, project), project.case("heart")
    segmentation = ProjectLayout(a_project).annotation("heart")

    def classes():
        slices = load_case_slices(a_project, case, plan, ())
        return ClassCache(a_project, SCHEMA).load(slices, segmentation).copy()

    right = classes()
    [file] = ProjectLayout(a_project).preprocessed("heart").glob("classes-*.npy")
    np.save(file, np.zeros_like(right))
    np.testing.assert_array_equal(classes(), right)
    content = file.read_bytes()
    np.testing.assert_array_equal(classes(), right)
    assert file.read_bytes() == content


def test_grid_of_the_slices_cannot_be_exchanged(a_project, at_another_computer):
    project = load_project(a_project)
    plan, case = preprocess_plan(a_project, project), project.case("heart")
    load_case_slices(a_project, case, plan, ())
    path = ProjectLayout(a_project).preprocessed("heart") / "grid.json"
    value = json.loads(path.read_text())
    right = value["grid"]["corner"]
    value["grid"]["corner"] = [right[0] + 5, right[1]]
    path.write_text(json.dumps(value))
    assert list(load_case_slices(a_project, case, plan, ()).grid.corner) == right


def test_what_is_shown_from_elsewhere_is_made_anew(a_project_in_review, at_another_computer):
    root = a_project_in_review
    project = load_project(root)

    def shown():
        files = write_case_files(root, project, "other-1", None, with_image=True)
        return [np.load(file).copy() for file in (files.image, files.proposal)], files

    right, files = shown()
    for file in (files.image, files.proposal):
        np.save(file, np.zeros_like(np.load(file)))
    at_another_computer("mine")
    for found, expected in zip(shown()[0], right, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_own_arrays_are_not_made_again_the_next_day(a_project_in_review, at_another_computer):
    root, project = a_project_in_review, load_project(a_project_in_review)
    plan = preprocess_plan(root, project)
    load_case_slices(root, project.case("heart"), plan, ())
    shown = write_case_files(root, project, "other-1", None, with_image=True).image
    files = [ProjectLayout(root).preprocessed("heart") / "images.npy", ProjectLayout(root).own(
        "view/other-1/" + shown.rpartition("other-1")[2].strip("/\\")
    )]  # fmt: skip
    before = [file.stat().st_mtime_ns for file in files]
    at_another_computer("mine")  # another process of the same user
    load_case_slices(root, project.case("heart"), plan, ())
    write_case_files(root, project, "other-1", None, with_image=True)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_array_of_one_case_does_not_serve_another(a_project_in_review, at_another_computer):
    root, project = a_project_in_review, load_project(a_project_in_review)
    one = write_case_files(root, project, "other-1", None, with_image=True).image
    two = write_case_files(root, project, "other-2", None, with_image=True).image
    right = np.load(two).copy()
    with open(one, "rb") as source, open(two, "wb") as target:  # noqa: PTH123 - in place
        target.write(source.read())
    again = write_case_files(root, project, "other-2", None, with_image=True).image
    np.testing.assert_array_equal(np.load(again), right)


def test_agreement_measured_elsewhere_is_measured_again(a_project_in_review, at_another_computer):
    root = a_project_in_review
    project = accept(root, load_project(root), "other-1")
    right = round_figures(root, project, lambda *_: None)[0].agreement
    path = root / "view" / "agreement.json"
    text = path.read_text()
    path.write_text(text.replace("1.0", "0.25"))
    assert path.read_text() != text
    assert round_figures(root, project, lambda *_: None)[0].agreement == right == 1.0


def test_secret_is_the_users_alone_and_stays(at_another_computer, tmp_path):
    first = own_seals.seal_of_text("a", "b")
    assert own_seals.is_seal_of_text(first, "a", "b")
    assert not own_seals.is_seal_of_text(first, "a", "c")
    assert not own_seals.is_seal_of_text(first, "ab", "")
    own_seals._secret.cache_clear()
    assert own_seals.seal_of_text("a", "b") == first
    secret = tmp_path / "state of mine" / "secret"
    assert len(secret.read_bytes()) == 32
    if hasattr(own_seals.os, "getuid"):
        assert secret.stat().st_mode & 0o077 == 0
    at_another_computer("another")
    assert own_seals.seal_of_text("a", "b") != first


def test_without_a_place_for_the_secret_nothing_old_is_believed(monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv(own_seals.STATE_VARIABLE, str(tmp_path / "a file"))
    own_seals._secret.cache_clear()
    first = own_seals.seal_of_text("a", "b")
    assert own_seals.is_seal_of_text(first, "a", "b")
    own_seals._secret.cache_clear()
    assert not own_seals.is_seal_of_text(first, "a", "b")


def test_user_without_a_home_works_with_a_secret_of_the_process(monkeypatch):
    def no_home():
        raise RuntimeError("no home")

    for name in (own_seals.STATE_VARIABLE, "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(own_seals.Path, "home", no_home)
    own_seals._secret.cache_clear()
    seal = own_seals.seal_of_text("a", "b")
    assert own_seals.is_seal_of_text(seal, "a", "b")
    assert not own_seals.state_folder().exists()
