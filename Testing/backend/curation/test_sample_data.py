"""Phantom heart volumes and their files."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from PseudoLabelCLLib.curation.samples.sample_data import (
    make_phantom,
    phantom_schema,
    write_sample_cases,
)
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume

SEEDS = range(5)
IN_PLANE_CROSS = ndimage.generate_binary_structure(2, 1)[None]


def phantom_of(seed, **options):
    return make_phantom(np.random.default_rng(seed), **options)


def test_same_seed_makes_same_phantom():
    first, second = phantom_of(5), phantom_of(5)

    assert np.array_equal(first.volume.array, second.volume.array)
    assert np.array_equal(first.truth.array, second.truth.array)
    assert first.volume.geometry == second.volume.geometry


def test_other_seed_makes_another_heart():
    first, second = phantom_of(5), phantom_of(6)

    assert first.volume.geometry != second.volume.geometry


@pytest.mark.parametrize("seed", SEEDS)
def test_grid_is_that_of_a_short_axis_stack(seed):
    geometry = phantom_of(seed).volume.geometry

    assert 8 <= geometry.size[2] <= 10
    assert all(96 <= side <= 144 for side in geometry.size[:2])
    assert all(1.4 <= mm <= 1.8 for mm in geometry.spacing_mm[:2])
    assert 8 <= geometry.spacing_mm[2] <= 10
    assert geometry.least_resolved_axis == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_every_structure_is_there(seed):
    counts = np.bincount(phantom_of(seed).truth.array.ravel(), minlength=4)

    # 100 voxels of 20 mm3 are 2 ml: less is no ventricle.
    assert counts[1:].min() > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_myocardium_surrounds_the_left_ventricle(seed):
    labels = phantom_of(seed).truth.array
    pool = labels == 3
    rim = ndimage.binary_dilation(pool, IN_PLANE_CROSS) & ~pool

    # A wall may be thinner than a pixel at single spots near the apex.
    assert np.mean(labels[rim] == 2) > 0.99


@pytest.mark.parametrize("seed", SEEDS)
def test_blood_is_brighter_than_muscle(seed):
    phantom = phantom_of(seed)
    blood, muscle = (np.median(phantom.volume.array[phantom.truth.array == n]) for n in (3, 2))

    assert blood > 1.3 * muscle


@pytest.mark.parametrize("seed", SEEDS)
def test_brightness_alone_does_not_find_the_left_ventricle(seed):
    phantom = phantom_of(seed)
    truth = phantom.truth.array == 3
    thresholds = np.percentile(phantom.volume.array, np.arange(50, 100))
    found = [phantom.volume.array > threshold for threshold in thresholds]
    best = max(2 * np.sum(truth & f) / (truth.sum() + f.sum()) for f in found)

    assert best < 0.75


def test_left_handed_phantom_lies_in_the_same_space():
    right, left = phantom_of(3), phantom_of(3, left_handed=True)
    last = right.volume.geometry.size[2] - 1

    assert not right.volume.geometry.is_left_handed
    assert left.volume.geometry.is_left_handed
    assert np.array_equal(right.volume.array, left.volume.array[::-1])
    here = right.volume.geometry.index_to_world([[3, 4, 1], [20, 5, last]])
    there = left.volume.geometry.index_to_world([[3, 4, last - 1], [20, 5, 0]])
    # Positions reach some hundred mm: rounding of 64-bit floats is far below a nanometre.
    assert np.allclose(here, there, atol=1e-9)


def test_upright_phantom_has_the_identity_as_direction():
    assert phantom_of(1, oblique=False).volume.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_labels_carry_their_snomed_codes():
    codes = {label.name: label.terminology for label in phantom_schema()}

    assert {t.category.value for t in codes.values()} == {"123037004"}
    assert codes["left ventricle"].type.value == "87878005"
    assert codes["right ventricle"].type.value == "53085002"


@pytest.fixture(scope="module")
def sample_cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return write_sample_cases(folder, 7, num_annotated=1, num_unlabelled=4, num_test=1)


def test_sample_cases_have_the_asked_kinds(sample_cases):
    kinds = [case.kind for case in sample_cases]

    assert kinds == ["annotated"] + ["unlabelled"] * 4 + ["test"]


def test_only_annotated_cases_have_an_annotation(sample_cases):
    with_annotation = [case.case_id for case in sample_cases if case.annotation is not None]

    assert with_annotation == ["annotated-01"]


def test_truth_lies_apart_from_the_images(sample_cases):
    for case in sample_cases:
        assert case.truth.parent == case.image.parent / "truth"
        assert case.truth.is_file()


def test_sample_files_come_in_three_formats_and_both_hands(sample_cases):
    suffixes = {"".join(case.image.suffixes) for case in sample_cases}
    hands = {read_volume(case.image).geometry.is_left_handed for case in sample_cases}

    assert suffixes == {".nii.gz", ".nrrd", ".mha"}
    assert hands == {True, False}


def test_truth_lies_on_the_grid_of_its_image(sample_cases):
    for case in sample_cases:
        labels, schema, _ = read_segmentation(case.truth, phantom_schema())
        assert labels.geometry.is_close_to(read_volume(case.image).geometry)
        assert schema == phantom_schema()


def test_nibabel_sees_the_same_grid_as_simpleitk(sample_cases):
    case = next(c for c in sample_cases if c.image.name.endswith(".nii.gz"))
    image = sitk.ReadImage(str(case.image))
    affine = nibabel.load(case.image).affine
    corner = [int(n) - 1 for n in image.GetSize()]
    ras = affine @ [*corner, 1]

    # NIfTI headers hold 32-bit floats: a corner some 300 mm away is off by less than 0.001 mm.
    expected = image.TransformIndexToPhysicalPoint(corner)
    assert np.allclose(ras[:3] * [-1, -1, 1], expected, atol=1e-3)


def test_more_cases_do_not_change_the_first_ones(sample_cases, tmp_path):
    again = write_sample_cases(tmp_path, 7, num_annotated=1, num_unlabelled=1, num_test=0)

    for first, second in zip(sample_cases, again, strict=False):
        a, b = read_volume(first.image), read_volume(second.image)
        assert np.array_equal(a.array, b.array)


def test_making_of_samples_tells_how_many_are_done(tmp_path):
    told = []
    numbers = {"num_annotated": 1, "num_unlabelled": 1, "num_test": 0}
    write_sample_cases(tmp_path, 3, **numbers, progress=lambda *words: told.append(words))
    assert told == [("Making sample volumes", 0, 2), ("Making sample volumes", 1, 2)]
