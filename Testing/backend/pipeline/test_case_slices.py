"""Slices and classes of a case under `preprocessed/`: mapped, never out of date, nothing left."""

import hashlib
import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from learning_doubles import SCHEMA, grid
from small_projects import add_case

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.slices import case_slices
from PseudoLabelCLLib.pipeline.slices.case_slices import ClassCache, load_case_slices
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SIZE = (32, 32, 40)
GRID = grid(SIZE, (1.0, 1.0, 5.0))
# the window is the slice itself, so that classes can be told from the labels by eye
AS_IT_IS = PreprocessConfig(None, 1.0, (32, 32))
WIDER = PreprocessConfig(None, 1.0, (64, 64))
OPEN_FILES = Path("/dev/fd")  # of this process


def drawn(seed):
    """Labels of a made-up person: random rectangles of both values in every slice."""
    rng = np.random.default_rng(seed)
    array = np.zeros(GRID.array_shape, np.int16)
    for one in array:
        for value in SCHEMA.values:
            row, column = rng.integers(0, 24, 2)
            one[row : row + 8, column : column + 8] = value
    return array


@pytest.fixture
def a_case(tmp_path):
    """A project's folder, its only case, and a segmentation of it."""
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    image = np.random.default_rng(0).random(GRID.array_shape).astype(np.float32)
    write_volume(tmp_path / "image.nrrd", Volume(image, GRID))
    segmentation = tmp_path / "drawn.seg.nrrd"
    write_segmentation(segmentation, LabelVolume(drawn(0), GRID), SCHEMA)
    project, _ = add_case(root, project, "a", CaseRole.UNLABELLED, tmp_path / "image.nrrd")
    ProjectLayout(root).preprocess_plan.parent.mkdir()
    return root, project.case("a"), segmentation


def class_files(root):
    return sorted(ProjectLayout(root).preprocess_plan.parent.glob("*/classes-*.npy"))


def indices_of(array, schema=SCHEMA):
    table = {0: 0, **{value: index for index, value in enumerate(schema.values, start=1)}}
    return np.vectorize(table.get)(array)


def key_of_before(images, config):
    """The key as it was when N4 evened out CT too."""
    layout = case_slices._LAYOUT
    told = json.dumps([file_fingerprint(images[0].path), None, to_json(config), layout])
    return hashlib.sha256(told.encode()).hexdigest()


def key_without_channels(images, config):
    """The key as it was when slices had no channels."""
    told = json.dumps([file_fingerprint(images[0].path), None, to_json(config)])
    return hashlib.sha256(told.encode()).hexdigest()


def test_slices_without_channels_of_an_earlier_version_are_made_anew(a_case):
    root, case, _ = a_case
    new = load_case_slices(root, case, AS_IT_IS, ()).images.copy()
    with (
        mock.patch.object(case_slices, "_cache_key", key_without_channels),
        mock.patch.object(case_slices, "network_channels", return_value=new[:, 0]),
    ):
        assert load_case_slices(root, case, AS_IT_IS, ()).images.ndim == 3
    found = load_case_slices(root, case, AS_IT_IS, ()).images
    assert found.shape == (SIZE[2], 1, 32, 32)
    np.testing.assert_array_equal(found, new)


@pytest.mark.parametrize("corrected", [True, False])
def test_slices_that_were_evened_out_when_ct_was_too_are_made_anew(a_case, corrected):
    root, case, _ = a_case
    config = replace(AS_IT_IS, bias_correction=corrected)
    before = np.full((GRID.size[2], 1, *GRID.array_shape[1:]), 7, np.float32)
    with (
        mock.patch.object(case_slices, "_cache_key", key_of_before),
        mock.patch.object(case_slices, "network_channels", return_value=before),
    ):
        load_case_slices(root, case, config, ())
    found = load_case_slices(root, case, config, ()).images
    assert np.array_equal(found, before) != corrected


def test_classes_are_the_drawn_labels_on_the_window(a_case):
    root, case, segmentation = a_case
    slices = load_case_slices(root, case, AS_IT_IS, ())
    classes = ClassCache(root, SCHEMA).load(slices, segmentation)
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, indices_of(drawn(0)))


def test_classes_are_made_once_and_found_again_by_a_later_process(a_case):
    root, case, segmentation = a_case
    slices = load_case_slices(root, case, AS_IT_IS, ())
    ClassCache(root, SCHEMA).load(slices, segmentation)
    with mock.patch.object(case_slices, "read_on_grid", side_effect=AssertionError):
        again = ClassCache(root, SCHEMA).load(slices, segmentation)
    np.testing.assert_array_equal(again, indices_of(drawn(0)))
    assert len(class_files(root)) == 1


def test_segmentation_that_was_drawn_anew_is_read_anew(a_case):
    root, case, segmentation = a_case
    slices, cache = load_case_slices(root, case, AS_IT_IS, ()), ClassCache(root, SCHEMA)
    before = cache.load(slices, segmentation)
    write_segmentation(segmentation, LabelVolume(drawn(1), GRID), SCHEMA)
    np.testing.assert_array_equal(cache.load(slices, segmentation), indices_of(drawn(1)))
    np.testing.assert_array_equal(before, indices_of(drawn(0)))


def test_other_grid_and_other_labels_have_classes_of_their_own(a_case):
    root, case, segmentation = a_case
    ClassCache(root, SCHEMA).load(load_case_slices(root, case, AS_IT_IS, ()), segmentation)
    wider = load_case_slices(root, case, WIDER, ())
    found = ClassCache(root, SCHEMA).load(wider, segmentation)
    np.testing.assert_array_equal(found[:, 16:-16, 16:-16], indices_of(drawn(0)))
    assert not found[:, :16].any()
    turned = LabelSchema(SCHEMA.classes[::-1])
    found = ClassCache(root, turned).load(wider, segmentation)
    np.testing.assert_array_equal(found[:, 16:-16, 16:-16], indices_of(drawn(0), turned))


def test_what_this_round_did_not_ask_for_is_deleted_and_nothing_else(a_case):
    root, case, segmentation = a_case
    slices = load_case_slices(root, case, AS_IT_IS, ())
    older = ClassCache(root, SCHEMA).load(slices, segmentation)
    before = class_files(root)
    write_segmentation(segmentation, LabelVolume(drawn(1), GRID), SCHEMA)
    cache = ClassCache(root, SCHEMA)
    cache.load(slices, segmentation)
    cache.remove_others()
    (left,) = class_files(root)
    assert left not in before
    assert {path.name for path in left.parent.iterdir()} == {"images.npy", "grid.json", left.name}
    if os.name == "posix":  # what is mapped stays readable there
        np.testing.assert_array_equal(older, indices_of(drawn(0)))


def test_missing_segmentation_is_told_in_a_sentence(a_case):
    root, case, segmentation = a_case
    slices = load_case_slices(root, case, AS_IT_IS, ())
    segmentation.unlink()
    with pytest.raises(PseudoLabelCLError, match=r"drawn\.seg\.nrrd"):
        ClassCache(root, SCHEMA).load(slices, segmentation)


def test_slices_and_classes_stay_on_disk(a_case):
    root, case, segmentation = a_case
    ClassCache(root, SCHEMA).load(load_case_slices(root, case, AS_IT_IS, ()), segmentation)
    tracemalloc.start()
    try:
        slices = load_case_slices(root, case, AS_IT_IS, ())
        classes = ClassCache(root, SCHEMA).load(slices, segmentation)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # whatever else is held, it is less than the smaller of the two arrays
    assert held < classes.nbytes < slices.images.nbytes
    with pytest.raises(ValueError, match="read-only"):
        classes[0] = 1


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="no other way to count open files")
def test_mapped_cases_hold_no_file_open(a_case):
    root, case, segmentation = a_case
    before = len(list(OPEN_FILES.iterdir()))
    cache = ClassCache(root, SCHEMA)
    held = []
    for number in range(3):
        copy = replace(case, id=f"a{number}")
        slices = load_case_slices(root, copy, AS_IT_IS, ())
        held += [slices.images, cache.load(slices, segmentation)]
    assert len(list(OPEN_FILES.iterdir())) == before
    np.testing.assert_array_equal(held[0], held[4])
