"""A file of several volumes: which one is meant is asked, and that one comes in unchanged."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nrrd_by_hand import masks_of

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.storage.images.frames import frames_in, write_frame
from PseudoLabelCLLib.storage.project.project_store import load_project

SHAPE = (12, 10, 4)
AFFINE = np.array([[-1.5, 0, 0, 9], [0, -1.2, 0.9, 7], [0, 0.9, 5.0, -4], [0, 0, 0, 1.0]])
AFFINE[:3, :3] = np.linalg.qr(AFFINE[:3, :3])[0] * [1.5, 1.5, 6.0]
TRUTH = np.zeros(SHAPE, np.uint8)
TRUTH[2:6, 2:7] = 1


def cine(num_frames, kind=np.int16):
    rng = np.random.default_rng(num_frames)
    frames = [TRUTH * (40 + 20 * n) + rng.integers(0, 30, SHAPE) for n in range(num_frames)]
    return np.stack(frames, axis=-1).astype(kind)


def put(path, array):
    image = nibabel.Nifti1Image(array, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_each_volume_comes_out_as_it_is(tmp_path, suffix, kind):
    array = cine(5, kind)
    path = put(tmp_path / f"c{suffix}", array)
    frames = frames_in(path)
    assert (frames.number, frames.size) == (5, SHAPE)
    for index in range(5):
        found = nibabel.load(write_frame(path, index, tmp_path))
        np.testing.assert_array_equal(np.asarray(found.dataobj), array[..., index])
        assert found.get_data_dtype() == kind
        np.testing.assert_allclose(found.affine, AFFINE, atol=1e-5)


def test_channels_as_vectors_are_volumes_too(tmp_path):
    array = cine(3).reshape(*SHAPE, 1, 3)
    path = put(tmp_path / "v.nii.gz", array)
    assert frames_in(path).number == 3
    found = nibabel.load(write_frame(path, 2, tmp_path))
    np.testing.assert_array_equal(np.asarray(found.dataobj), array[..., 0, 2])


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_sequences_in_other_formats_are_volumes_too(tmp_path, suffix):
    array = cine(4)
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0, 3), isVector=True)
    image.SetSpacing((1.5, 1.5, 6.0))
    image.SetOrigin((1.0, 2.0, 3.0))
    sitk.WriteImage(image, str(tmp_path / f"s{suffix}"))
    assert frames_in(tmp_path / f"s{suffix}").number == 4
    found = sitk.ReadImage(str(write_frame(tmp_path / f"s{suffix}", 3, tmp_path)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found).transpose(2, 1, 0), array[..., 3])
    assert found.GetSpacing() == (1.5, 1.5, 6.0)
    assert found.GetOrigin() == (1.0, 2.0, 3.0)


def test_single_volumes_and_colours_are_none(tmp_path):
    put(tmp_path / "one.nii.gz", cine(1)[..., 0])
    put(tmp_path / "one4.nii.gz", cine(1))
    colours = sitk.GetImageFromArray(np.zeros((4, 10, 12, 3), np.uint8), isVector=True)
    sitk.WriteImage(colours, str(tmp_path / "rgb.nrrd"))
    for name in ("one.nii.gz", "one4.nii.gz", "rgb.nrrd", "gone.nii", ""):
        assert frames_in(tmp_path / name) is None


def test_file_that_ends_before_a_volume_is_told(tmp_path):
    path = put(tmp_path / "c.nii", cine(3))
    path.write_bytes(path.read_bytes()[:-10])
    assert write_frame(path, 1, tmp_path).exists()
    with pytest.raises(VolumeError, match="volume 3 is not whole"):
        write_frame(path, 2, tmp_path)
    packed = tmp_path / "d.nii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes())[:-20])
    with pytest.raises(VolumeError, match=r"cannot be unpacked|not whole"):
        write_frame(packed, 2, tmp_path)


@pytest.fixture
def a_folder(tmp_path):
    """Two cines of 8 frames, and the drawing of one frame of a third."""
    (tmp_path / "F").mkdir()
    for name in ("p1", "p2"):
        put(tmp_path / "F" / f"{name}.nii.gz", cine(8))
    put(tmp_path / "a.nii.gz", cine(8))
    put(tmp_path / "a-label.nii.gz", TRUTH)
    return tmp_path


def stored_image(root, case_id):
    case = load_project(root).case(case_id)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(root / case.image))).transpose(2, 1, 0)


def test_answer_serves_the_whole_folder(a_folder, capsys):
    root = a_folder / "P"
    create = ["create", str(root), "--labels", "1=a", "--unlabelled", str(a_folder / "F")]
    assert main(create) == 1
    told = capsys.readouterr().err
    assert "'p1.nii.gz' holds 8 volumes of 12 x 10 x 4 voxels" in told
    assert "3D Slicer shows the first" in told
    assert "p1:frames=every" in told
    assert main([*create, "--answer", "frames=3"]) == 0
    assert [case.id for case in load_project(root).cases] == ["p1", "p2"]
    for name in ("p1", "p2"):
        np.testing.assert_array_equal(stored_image(root, name), cine(8)[..., 2])
        assert load_project(root).case(name).answer_to(QuestionKind.FRAMES) == "3"
    assert main(["status", str(root), "--check"]) == 0


def test_every_frame_can_be_a_case(a_folder):
    root = a_folder / "P"
    create = ["create", str(root), "--labels", "1=a", "--unlabelled", str(a_folder / "F")]
    assert main([*create, "--answer", "frames=every", "--answer", "p2:frames=leave"]) == 0
    assert [case.id for case in load_project(root).cases] == [f"p1_{n}" for n in range(1, 9)]
    np.testing.assert_array_equal(stored_image(root, "p1_8"), cine(8)[..., 7])


@pytest.mark.parametrize("series_of_labels", [False, True])
def test_segmentation_goes_with_its_frame(a_folder, capsys, series_of_labels):
    label = a_folder / "a-label.nii.gz"
    if series_of_labels:
        moved = [np.roll(TRUTH, n, axis=0) for n in range(8)]
        label = put(a_folder / "a-labels4d.nii.gz", np.stack(moved, axis=-1))
    root = a_folder / "P"
    create = ["create", str(root), "--labels", "1=a", "--annotated", str(a_folder / "a.nii.gz")]
    create.append(str(label))
    assert main(create) == 1
    assert "frames=every" not in capsys.readouterr().err
    assert main([*create, "--answer", "frames=2"]) == 0
    np.testing.assert_array_equal(stored_image(root, "a"), cine(8)[..., 1])
    drawn = masks_of(root / "annotations" / "a.seg.nrrd")["a"].transpose(2, 1, 0)
    np.testing.assert_array_equal(drawn, np.roll(TRUTH, int(series_of_labels), axis=0))


@pytest.mark.parametrize("answer", ["0", "9", "first"])
def test_number_that_there_is_none_of_is_refused(a_folder, capsys, answer):
    create = ["create", str(a_folder / "P"), "--labels", "1=a"]
    create += ["--unlabelled", str(a_folder / "F"), "--answer", f"frames={answer}"]
    assert main(create) == 1
    assert f"'{answer}' is not an answer to the question 'frames'" in capsys.readouterr().err


def test_failed_addition_of_every_frame_leaves_nothing_behind(a_folder, capsys):
    root = a_folder / "P"
    drawn = [str(a_folder / "a.nii.gz"), str(a_folder / "a-label.nii.gz")]
    create = ["create", str(root), "--labels", "1=a", "--annotated", *drawn]
    assert main([*create, "--answer", "frames=1"]) == 0
    before = sorted(path for path in root.rglob("*") if path.is_file())
    flat = cine(4)
    flat[..., 2] = 7  # a constant image is refused
    put(a_folder / "flat.nii.gz", flat)
    add = ["add", str(root), "--unlabelled", str(a_folder / "flat.nii.gz")]
    assert main([*add, "--answer", "frames=every"]) == 1
    assert "constant" in capsys.readouterr().err
    assert sorted(path for path in root.rglob("*") if path.is_file()) == before
    assert [case.id for case in load_project(root).cases] == ["a"]


def test_search_finds_a_series_and_says_what_it_is(a_folder):
    found = find_volumes(a_folder / "F", ())
    assert [volume.description for volume in found.volumes] == ["8 volumes in one file"] * 2
    assert found.problems == ()
