"""Volumes keep their voxels and their grid; what is no volume is refused in a sentence."""

import gzip
import math
import shutil
import struct
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.errors import StorageError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.volume_io import (
    list_dicom_series,
    read_geometry,
    read_volume,
    write_volume,
)

SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".mha"]
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def rotation(about_x, about_z):
    c, s = math.cos(about_x), math.sin(about_x)
    e, t = math.cos(about_z), math.sin(about_z)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ [[e, -t, 0], [t, e, 0], [0, 0, 1]]


def grid(matrix, size=(5, 4, 3), spacing=(0.7, 1.3, 5.5), origin=(-31.5, 12.25, 107.0)):
    return Geometry(size, spacing, origin, tuple(np.asarray(matrix, dtype=float).ravel().tolist()))


GRIDS = {
    "upright": grid(np.eye(3)),
    "oblique": grid(rotation(0.31, -0.7)),
    "left-handed": grid(np.diag([1, 1, -1])),
    "oblique and left-handed": grid(rotation(-1.1, 2.9) @ np.diag([-1, 1, 1])),
    "swapped axes": grid([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
}


def volume_on(geometry, dtype=np.int16):
    count = math.prod(geometry.size)
    return Volume(np.arange(count).reshape(geometry.array_shape).astype(dtype), geometry)


def assert_same_grid(found, expected, tolerance_mm):
    assert found.size == expected.size
    np.testing.assert_allclose(found.corners_mm(), expected.corners_mm(), rtol=0, atol=tolerance_mm)


@pytest.fixture
def a_volume():
    return volume_on(GRIDS["oblique and left-handed"])


@pytest.fixture
def a_folder(tmp_path):
    folder = tmp_path / "Größe 1.5 mm"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", GRIDS)
def test_volume_comes_back_on_its_grid(a_folder, suffix, name):
    volume = volume_on(GRIDS[name])
    path = a_folder / f"patient é{suffix}"
    write_volume(path, volume)
    found = read_volume(path)
    np.testing.assert_array_equal(found.array, volume.array)
    assert found.array.dtype == np.int16
    # A NIfTI header holds 32-bit floats: 107 mm are kept to 1e-5 mm. Text formats keep 64 bits.
    assert_same_grid(found.geometry, volume.geometry, 1e-4 if "nii" in suffix else 1e-9)
    assert found.geometry.is_left_handed == volume.geometry.is_left_handed
    assert read_geometry(path) == found.geometry
    assert [p.name for p in a_folder.iterdir()] == [path.name]


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-math.pi, math.pi)] * 2),
    mirror=st.sampled_from([1, -1]),
    spacing=st.tuples(*[st.floats(0.2, 12)] * 3),
    origin=st.tuples(*[st.floats(-400, 400)] * 3),
    suffix=st.sampled_from(SUFFIXES),
)
def test_any_grid_survives_any_format(tmp_path_factory, angles, mirror, spacing, origin, suffix):
    matrix = rotation(*angles) @ np.diag([1, 1, mirror])
    volume = volume_on(grid(matrix, (3, 2, 4), spacing, origin))
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    write_volume(path, volume)
    # A quaternion of 32-bit floats near a half turn is good to 4e-4 rad: on 60 mm, 0.02 mm.
    assert_same_grid(read_volume(path).geometry, volume.geometry, 0.02 if "nii" in suffix else 1e-9)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", GRIDS)
def test_nibabel_sees_the_same_voxels_in_the_same_places(a_folder, suffix, name):
    volume = volume_on(GRIDS[name])
    path = a_folder / f"a{suffix}"
    write_volume(path, volume)
    image = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array.transpose(2, 1, 0))
    expected = RAS_FROM_LPS @ volume.geometry.index_to_world_matrix
    # 32-bit floats in the header: 107 mm to 1e-5 mm.
    np.testing.assert_allclose(image.affine, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("codes", ["sform", "qform", "both"])
@pytest.mark.parametrize("name", GRIDS)
def test_files_of_nibabel_are_read_where_nibabel_sees_them(a_folder, codes, name):
    affine = RAS_FROM_LPS @ GRIDS[name].index_to_world_matrix
    array = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    image = nibabel.Nifti1Image(array, affine)
    image.set_sform(affine, 1 if codes != "qform" else 0)
    image.set_qform(affine, 1 if codes != "sform" else 0)
    nibabel.save(image, a_folder / "a.nii.gz")
    found = read_volume(a_folder / "a.nii.gz")
    np.testing.assert_array_equal(found.array, array.transpose(2, 1, 0))
    # The quaternion of 32-bit floats, see above.
    np.testing.assert_allclose(
        found.geometry.index_to_world_matrix, RAS_FROM_LPS @ affine, rtol=0, atol=5e-3
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", ">i2", "bool", "f2"])
def test_pixel_type_is_kept(a_folder, suffix, dtype):
    volume = volume_on(GRIDS["upright"], np.dtype(dtype))
    path = a_folder / f"a{suffix}"
    write_volume(path, volume)
    found = read_volume(path).array
    np.testing.assert_array_equal(found, volume.array)
    stored = {"bool": "u1", "f2": "f4", ">i2": "i2"}.get(dtype, dtype)
    assert found.dtype == np.dtype(stored)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_no_number_is_kept(a_folder, suffix, dtype):
    volume = volume_on(GRIDS["upright"], np.dtype(dtype))
    volume.array[0, 0, :3] = [np.nan, np.inf, -np.inf]
    write_volume(a_folder / f"a{suffix}", volume)
    found = read_volume(a_folder / f"a{suffix}").array
    np.testing.assert_array_equal(found, volume.array)
    assert found.dtype == volume.array.dtype


def test_detached_headers_are_read(a_folder, a_volume):
    image = sitk.GetImageFromArray(a_volume.array)
    image.SetSpacing((1.0, 2.0, 3.0))
    for name in ("a.mhd", "a.nhdr"):
        sitk.WriteImage(image, str(a_folder / name))
        found = read_volume(a_folder / name)
        np.testing.assert_array_equal(found.array, a_volume.array)
        assert found.geometry.spacing_mm == (1.0, 2.0, 3.0)


def test_scaled_nifti_gives_scaled_intensities(a_folder):
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    image = nibabel.Nifti1Image(array, np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, a_folder / "a.nii")
    expected = np.asarray(nibabel.load(a_folder / "a.nii").dataobj).transpose(2, 1, 0)
    # 32-bit floats of numbers below 100.
    np.testing.assert_allclose(read_volume(a_folder / "a.nii").array, expected, atol=1e-5)


def test_voxels_come_from_the_packed_file_although_an_unpacked_namesake_lies_beside(a_folder):
    packed, unpacked = (volume_on(GRIDS["upright"]) for _ in range(2))
    unpacked.array[...] = -5
    write_volume(a_folder / "a.nii.gz", packed)
    write_volume(a_folder / "a.nii", unpacked)
    np.testing.assert_array_equal(read_volume(a_folder / "a.nii.gz").array, packed.array)
    np.testing.assert_array_equal(read_volume(a_folder / "a.nii").array, unpacked.array)


def test_axis_of_one_frame_is_dropped(a_folder):
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3, 1)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), a_folder / "a.nii")
    write_nrrd(a_folder / "a.nrrd", "sizes: 5 4 3 1", array.tobytes(order="F"), dimension=4)
    for name in ("a.nii", "a.nrrd"):
        np.testing.assert_array_equal(
            read_volume(a_folder / name).array, array[..., 0].transpose(2, 1, 0)
        )


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_flat_image_becomes_one_slice(a_folder, suffix):
    image = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    image.SetSpacing((0.5, 2.0))
    sitk.WriteImage(image, str(a_folder / f"a{suffix}"))
    found = read_volume(a_folder / f"a{suffix}")
    assert found.geometry.size == (4, 3, 1)
    assert found.geometry.spacing_mm[:2] == (0.5, 2.0)
    np.testing.assert_array_equal(found.array[0], np.arange(12).reshape(3, 4))


# --- what is refused ---


def write_nrrd(path, fields, data=bytes(120), dimension=3):
    head = f"NRRD0004\ntype: short\ndimension: {dimension}\nendian: little\nencoding: raw\n{fields}"
    path.write_bytes(head.encode() + b"\n\n" + data)


def write_nibabel(path, array, affine=None, **header):
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)


def refused(path, words):
    with pytest.raises(VolumeError, match=words) as caught:
        read_volume(path)
    assert caught.value.remedy
    assert "itk" not in str(caught.value).lower()
    assert path.name in caught.value.message or str(path.parent) in caught.value.message


CUBE = np.arange(64_000, dtype=np.int16).reshape(40, 40, 40)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_cut_off_file_is_refused_and_nothing_is_printed(a_folder, capfd, suffix, share):
    path = a_folder / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 30_000, CUBE.shape).astype(np.int16)
    write_volume(path, Volume(noise, grid(np.eye(3), size=(40, 40, 40))))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, "cut off|damaged|no NIfTI")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".nhdr", ".mhd"])
@pytest.mark.parametrize("data", [b"", b"hello world", bytes(5000), b"\x80\x04]q."])
def test_garbage_is_refused_and_nothing_is_printed(a_folder, capfd, suffix, data):
    path = a_folder / f"a{suffix}"
    path.write_bytes(data)
    refused(path, "empty|damaged")
    assert capfd.readouterr() == ("", "")


def test_broken_compression_is_refused(a_folder):
    path = a_folder / "a.nii.gz"
    write_nibabel(path, CUBE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    refused(path, "damaged")


def test_missing_last_bytes_of_the_compression_are_noticed(a_folder):
    path = a_folder / "a.nii.gz"
    write_nibabel(path, CUBE)
    path.write_bytes(path.read_bytes()[:-4])
    refused(path, "cut off")


def test_complete_compression_of_too_few_voxels_is_refused(a_folder):
    write_nibabel(a_folder / "whole.nii", CUBE)
    data = (a_folder / "whole.nii").read_bytes()
    (a_folder / "a.nii.gz").write_bytes(gzip.compress(data[: len(data) // 2]))
    refused(a_folder / "a.nii.gz", "cut off")


def test_header_that_claims_a_gigantic_volume_is_refused(a_folder):
    header = "sizes: 20000 30000 400"
    write_nrrd(a_folder / "a.nrrd", header)
    refused(a_folder / "a.nrrd", "120 bytes are too few")


def test_missing_part_of_a_detached_header_is_refused(a_folder, capfd):
    sitk.WriteImage(sitk.GetImageFromArray(CUBE), str(a_folder / "a.mhd"))
    (a_folder / "a.raw").unlink(missing_ok=True)
    (a_folder / "a.zraw").unlink(missing_ok=True)
    refused(a_folder / "a.mhd", "damaged")
    assert capfd.readouterr() == ("", "")


def test_missing_file_is_refused(a_folder):
    refused(a_folder / "a.nii.gz", "was not found")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.dcm", "a.txt", "a", "a.gz"])
def test_unknown_format_is_refused(a_folder, name):
    (a_folder / name).write_bytes(b"x")
    refused(a_folder / name, "unknown format")


def test_several_frames_are_refused(a_folder):
    write_nibabel(a_folder / "a.nii.gz", np.zeros((5, 4, 3, 7), np.int16))
    refused(a_folder / "a.nii.gz", "series of 7 volumes")


def test_colours_and_vectors_are_refused(a_folder):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    for suffix in (".nrrd", ".mha", ".nii"):
        sitk.WriteImage(image, str(a_folder / f"a{suffix}"))
        refused(a_folder / f"a{suffix}", "colours or vectors")
    rgb = np.zeros((5, 4, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    write_nibabel(a_folder / "rgb.nii", rgb)
    refused(a_folder / "rgb.nii", "colours or vectors")


def test_complex_numbers_are_refused(a_folder):
    write_nibabel(a_folder / "a.nii", np.zeros((5, 4, 3), np.complex64))
    refused(a_folder / "a.nii", "complex")


def test_skewed_grid_is_refused(a_folder):
    affine = np.eye(4)
    affine[0, 1] = 0.05
    write_nibabel(a_folder / "a.nii", CUBE, affine)
    directions = "space directions: (1,0,0) (0.05,1,0) (0,0,1)\nspace origin: (0,0,0)"
    write_nrrd(a_folder / "a.nrrd", f"space: left-posterior-superior\nsizes: 5 4 3\n{directions}")
    for name in ("a.nii", "a.nrrd"):
        refused(a_folder / name, "not perpendicular")


def test_singular_grid_is_refused(a_folder):
    directions = "space directions: (1,0,0) (1,0,0) (0,0,1)\nspace origin: (0,0,0)"
    write_nrrd(a_folder / "a.nrrd", f"space: left-posterior-superior\nsizes: 5 4 3\n{directions}")
    refused(a_folder / "a.nrrd", "span space")


def test_nifti_whose_matrix_and_voxel_size_differ_is_refused(a_folder):
    """ITK would take the size from one field and the direction from the other."""
    image = nibabel.Nifti1Image(CUBE, None)
    image.set_sform(np.diag([0.5, 0.5, 3.0, 1.0]), 1)  # leaves pixdim at 1 mm
    nibabel.save(image, a_folder / "a.nii")
    refused(a_folder / "a.nii", "contradicts itself.*0.5 x 0.5 x 3 mm and 1 x 1 x 1 mm")


def test_half_turn_in_a_quaternion_is_no_contradiction(a_folder):
    """Near a half turn the fourth number of a quaternion is lost in 32 bits."""
    matrix = rotation(0.32, 1e-4) @ np.diag([-1, -1, 1])
    write_volume(a_folder / "a.nii", volume_on(grid(matrix, (384, 384, 19), (0.5, 0.5, 3.0))))
    data = bytearray((a_folder / "a.nii").read_bytes())
    struct.pack_into("<h", data, 254, 0)  # without the other matrix
    (a_folder / "a.nii").write_bytes(data)
    assert read_volume(a_folder / "a.nii").geometry.size == (384, 384, 19)


def test_refusal_names_no_format_that_cannot_be_written(a_folder, a_volume):
    for name in ("a.png", "a.mhd", "a"):
        with pytest.raises(VolumeError, match="cannot be written"):
            write_volume(a_folder / name, a_volume)
    with pytest.raises(VolumeError, match="complex128"):
        write_volume(a_folder / "a.nrrd", Volume(a_volume.array.astype(complex), a_volume.geometry))
    assert list(a_folder.iterdir()) == []


def test_full_disk_is_told_and_the_old_file_stays(a_folder, a_volume, monkeypatch):
    path = a_folder / "a.nrrd"
    write_volume(path, a_volume)
    before = path.read_bytes()

    def write_half(image, name, useCompression):  # noqa: N803 - SimpleITK's name
        with open(name, "wb") as file:  # noqa: PTH123 - as the library does
            file.write(before[: len(before) // 2])

    monkeypatch.setattr(sitk, "WriteImage", write_half)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(StorageError, match="full"):
        write_volume(path, a_volume)
    assert path.read_bytes() == before
    assert [p.name for p in a_folder.iterdir()] == ["a.nrrd"]


# --- DICOM ---

A_SERIES = "1.2.826.0.1.3680043.8.498.1"


def write_slice(path, pixels, position, *, series=A_SERIES, matrix=None, **tags):
    """Write one MR slice; tags by keyword, as group_element."""
    matrix = rotation(0.3, 0.2) if matrix is None else matrix
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.8, 0.9))
    cosines = [*matrix[:, 0], *matrix[:, 1]]
    values = {
        "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
        "0008|0018": f"{series}.{zlib.crc32(path.name.encode())}",
        "0008|0060": "MR",
        "0020|000d": "1.2.826.0.1.3680043.8.498.9",
        "0020|000e": series,
        "0020|0032": "\\".join(f"{x:.10g}" for x in position),
        "0020|0037": "\\".join(f"{x:.10g}" for x in cosines),
        **{tag.replace("_", "|").removeprefix("t"): text for tag, text in tags.items()},
    }
    for tag, text in values.items():
        image.SetMetaData(tag, text)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


def write_series(folder, heights, *, drift=(0, 0), order=None, **options):
    """Write slices at heights (mm) along their normal; return the voxels, lowest first."""
    folder.mkdir(exist_ok=True)
    matrix = rotation(0.3, 0.2)
    voxels = np.random.default_rng(1).integers(0, 4000, (len(heights), 4, 5)).astype(np.int16)
    order = order or range(len(heights))
    for name, n in enumerate(order):
        sideways = matrix[:, :2] @ np.asarray(drift) * n
        position = np.array([-20.0, 7.5, 30.0]) + matrix[:, 2] * heights[n] + sideways
        write_slice(folder / f"{name:03d}.dcm", voxels[n], position, **options)
    return voxels


@pytest.fixture
def a_dicom_folder(a_folder):
    return a_folder / "Serie ü"


def test_slices_lie_by_position_not_by_file_name(a_dicom_folder):
    voxels = write_series(a_dicom_folder, [0, 6.5, 13, 19.5], order=[2, 0, 3, 1])
    found = read_volume(a_dicom_folder)
    np.testing.assert_array_equal(found.array, voxels)
    expected = grid(rotation(0.3, 0.2), (5, 4, 4), (0.8, 0.9, 6.5), (-20.0, 7.5, 30.0))
    # Positions and cosines were written with ten digits.
    assert_same_grid(found.geometry, expected, 1e-6)
    assert read_geometry(a_dicom_folder) == found.geometry


def test_itk_places_the_series_alike(a_dicom_folder):
    write_series(a_dicom_folder, [0, 3, 6])
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(a_dicom_folder))
    image = sitk.ReadImage(names)
    found = read_volume(a_dicom_folder)
    # ITK derives the third direction in another order of float64 steps.
    np.testing.assert_allclose(found.geometry.direction, image.GetDirection(), atol=1e-8)
    np.testing.assert_allclose(found.geometry.spacing_mm, image.GetSpacing(), atol=1e-8)
    np.testing.assert_allclose(found.geometry.origin_mm, image.GetOrigin(), atol=1e-8)
    np.testing.assert_array_equal(found.array, sitk.GetArrayFromImage(image))


def test_series_are_listed(a_dicom_folder):
    write_series(a_dicom_folder, [0, 3, 6], t0008_103e="T2 tra")
    assert list_dicom_series(a_dicom_folder) == ((A_SERIES, 3, "T2 tra"),)


def test_one_of_several_series_must_be_chosen(a_dicom_folder):
    first = write_series(a_dicom_folder, [0, 3, 6], t0008_103e="first")
    other = f"{A_SERIES}.7"
    write_slice(a_dicom_folder / "x.dcm", first[0] + 1, (0, 0, 0), series=other)
    with pytest.raises(VolumeError, match=r"2 series: .*3 files, 'first'"):
        read_volume(a_dicom_folder)
    np.testing.assert_array_equal(read_volume(a_dicom_folder, A_SERIES).array, first)
    assert read_volume(a_dicom_folder, other).geometry.size == (5, 4, 1)
    with pytest.raises(VolumeError, match=r"no series 1\.2\.3"):
        read_geometry(a_dicom_folder, "1.2.3")


def test_single_slice_takes_the_spacing_that_it_names(a_dicom_folder):
    write_series(a_dicom_folder, [0])
    file = a_dicom_folder / "000.dcm"
    one, four = (b"\x18\x00\x88\x00\x02\x00\x00\x00" + digit for digit in (b"1 ", b"4 "))
    file.write_bytes(file.read_bytes().replace(one, four))
    assert read_volume(a_dicom_folder).geometry.spacing_mm[2] == 4.0


def test_other_files_in_the_folder_do_not_disturb(a_dicom_folder):
    voxels = write_series(a_dicom_folder, [0, 3, 6])
    (a_dicom_folder / "readme.txt").write_text("x")
    (a_dicom_folder / "sub").mkdir()
    np.testing.assert_array_equal(read_volume(a_dicom_folder).array, voxels)


@pytest.mark.parametrize(
    ("heights", "options", "words"),
    [
        ([0, 3, 6, 12, 15], {}, "1 missing between '002.dcm' and '003.dcm'"),
        ([0, 3, 6, 10, 13], {}, "unequally spaced at '002.dcm' and '003.dcm'"),
        ([0, 3, 3, 6], {}, "several slices at the same place"),
        ([0, 3, 6, 9], {"drift": (0, 0.5)}, "gantry was tilted"),
    ],
)
def test_irregular_stack_is_refused_with_its_reason(a_dicom_folder, heights, options, words):
    write_series(a_dicom_folder, heights, **options)
    refused(a_dicom_folder, words)
    with pytest.raises(VolumeError, match=words):
        read_geometry(a_dicom_folder)


def test_rounded_positions_are_a_regular_stack(a_dicom_folder):
    voxels = write_series(a_dicom_folder, [0, 3.01, 5.99, 9.0])
    np.testing.assert_array_equal(read_volume(a_dicom_folder).array, voxels)


def test_turned_slices_are_refused(a_dicom_folder):
    voxels = write_series(a_dicom_folder, [0, 3, 6])
    write_slice(a_dicom_folder / "x.dcm", voxels[0], (0, 0, 90), matrix=np.eye(3))
    refused(a_dicom_folder, "different directions")


def test_slices_of_different_sizes_are_refused(a_dicom_folder):
    write_series(a_dicom_folder, [0, 3, 6])
    larger = np.zeros((8, 8), np.int16)
    write_slice(a_dicom_folder / "x.dcm", larger, (0, 0, 90))
    refused(a_dicom_folder, "different sizes")


def test_folder_without_slices_is_refused(a_folder, capfd):
    (a_folder / "readme.txt").write_text("x")
    refused(a_folder, "no DICOM slices")
    assert capfd.readouterr() == ("", "")


def test_damaged_slice_is_told(a_dicom_folder, capfd):
    """A cut slice is unreadable or, to the reader, no slice: then one is missing."""
    write_series(a_dicom_folder, [0, 3, 6, 9])
    file = a_dicom_folder / "001.dcm"
    file.write_bytes(file.read_bytes()[:-20])
    refused(a_dicom_folder, "damaged|missing")
    assert capfd.readouterr() == ("", "")
