"""Volume nodes to files and back, compared with SimpleITK's reading of the same files."""

import numpy as np
import pytest
import slicer
from PseudoLabelCLGui.mrml_bridge import (
    SavedVolume,
    geometry_of,
    save_volume,
    show_volume,
    snapshot_volume,
    source_of,
    volume_problems,
)
from scene_things import (
    GEOMETRIES,
    SIZE,
    add_volume_node,
    all_indices,
    physical_values,
    ras_matrix,
    ras_points,
    read_itk,
    turned,
)

from PseudoLabelCLLib.domain.errors import StorageError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

SHAPE = SIZE[::-1]
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())


def an_array(rng, dtype=np.int16):
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=SHAPE).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, SHAPE, dtype=dtype, endpoint=True)


def load(path):
    """Load a file into a node as the application does."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", path.stem)
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(path))
    assert node.GetStorageNode().ReadData(node)
    return node


def a_loaded_volume(rng, tmp_path, name="CT größe.nrrd"):
    node = add_volume_node(an_array(rng), GEOMETRIES["oblique"], "made")
    made = tmp_path / name
    node.AddDefaultStorageNode(str(made))
    node.GetStorageNode().SetFileName(str(made))
    assert node.GetStorageNode().WriteData(node)
    return load(made), made


@every_geometry
def test_saved_volume_has_every_voxel_where_it_lay_in_the_scene(scene, tmp_path, rng, geometry):
    array = an_array(rng)
    node = add_volume_node(array, geometry)
    saved = save_volume(node, tmp_path)
    assert saved.copy
    left_posterior = ras_points(geometry, all_indices()) * (-1, -1, 1)
    i, j, k = all_indices().T
    found = physical_values(read_itk(saved.path), left_posterior)
    np.testing.assert_array_equal(found, array[k, j, i])


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_saved_volume_keeps_its_type_and_values(scene, tmp_path, rng, dtype):
    array = an_array(rng, dtype)
    saved = save_volume(add_volume_node(array, GEOMETRIES["left-handed"]), tmp_path)
    volume = read_volume(saved.path)
    assert volume.array.dtype == array.dtype
    np.testing.assert_array_equal(volume.array, array)
    assert volume.geometry.is_close_to(GEOMETRIES["left-handed"])


@every_geometry
def test_slicer_reads_what_was_saved(scene, tmp_path, rng, geometry):
    array = an_array(rng)
    saved = save_volume(add_volume_node(array, geometry), tmp_path)
    assert_positions(load(saved.path), array, geometry)


def assert_positions(node, array, geometry):
    """Every voxel of an array must be found in a node where its grid says, in RAS."""
    to_ijk = slicer.util.vtkMatrixFromArray(np.eye(4))
    node.GetRASToIJKMatrix(to_ijk)
    points = np.column_stack([ras_points(geometry, all_indices()), np.ones(array.size)])
    ijk = (slicer.util.arrayFromVTKMatrix(to_ijk) @ points.T).T[:, :3]
    # a text header keeps at least 10 digits of a position below 1000 mm
    assert np.abs(ijk - np.round(ijk)).max() < 1e-6
    i, j, k = np.round(ijk).astype(int).T
    own_i, own_j, own_k = all_indices().T
    found = slicer.util.arrayFromVolume(node)[k, j, i]
    np.testing.assert_array_equal(found, array[own_k, own_j, own_i])


def test_volume_loaded_from_a_file_is_that_file(scene, tmp_path, rng):
    node, file = a_loaded_volume(rng, tmp_path)
    before = file.read_bytes()
    assert save_volume(node, tmp_path / "copies") == SavedVolume(file)
    assert file.read_bytes() == before
    assert not (tmp_path / "copies").exists()


def change_a_voxel(node):
    slicer.util.arrayFromVolume(node)[3, 3, 3] += 1
    slicer.util.arrayFromVolumeModified(node)


@pytest.mark.parametrize(
    "change",
    [
        change_a_voxel,
        lambda node: node.SetSpacing(1, 2, 3),
        lambda node: node.SetOrigin(0, 0, 1),
        lambda node: node.SetIJKToRASDirections(0, 1, 0, 1, 0, 0, 0, 0, 1),
    ],
    ids=["voxel", "spacing", "origin", "direction"],
)
def test_volume_changed_since_it_was_loaded_is_copied(scene, tmp_path, rng, change):
    node, file = a_loaded_volume(rng, tmp_path)
    before = file.read_bytes()
    change(node)
    saved = save_volume(node, tmp_path / "copies")
    assert saved.copy
    assert saved.path != file
    volume = read_volume(saved.path)
    np.testing.assert_array_equal(volume.array, slicer.util.arrayFromVolume(node))
    assert volume.geometry.is_close_to(geometry_of(node))
    assert file.read_bytes() == before


def test_volume_that_was_only_renamed_and_displayed_is_still_its_file(scene, tmp_path, rng):
    node, file = a_loaded_volume(rng, tmp_path)
    node.SetName("other")
    node.CreateDefaultDisplayNodes()
    node.SetAttribute("a", "b")
    assert source_of(node) == SavedVolume(file)


def test_volume_whose_file_is_gone_is_copied(scene, tmp_path, rng):
    node, file = a_loaded_volume(rng, tmp_path)
    file.unlink()
    assert save_volume(node, tmp_path / "copies").copy


def test_volume_out_of_an_archive_that_slicer_unpacked_is_copied(scene, tmp_path, rng, monkeypatch):
    node, _file = a_loaded_volume(rng, tmp_path)
    application = type("Application", (), {"temporaryPath": str(tmp_path)})()
    monkeypatch.setattr(slicer, "app", application, raising=False)
    assert source_of(node) is None


def test_volume_of_a_format_that_the_project_cannot_read_is_copied(scene, tmp_path, rng):
    node, file = a_loaded_volume(rng, tmp_path)
    other = file.with_suffix(".vtk")
    file.rename(other)
    node.GetStorageNode().SetFileName(str(other))
    assert source_of(node) is None


def test_transformed_volume_is_refused_with_the_way_out(scene, tmp_path, rng):
    node, _file = a_loaded_volume(rng, tmp_path)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    node.SetAndObserveTransformNodeID(transform.GetID())
    (problem,) = volume_problems(node)
    assert "'shift'" in problem
    assert "Harden transform" in problem
    assert source_of(node) is None
    with pytest.raises(VolumeError, match="Harden transform"):
        save_volume(node, tmp_path)


def test_usable_volume_has_no_problem(scene, rng):
    assert volume_problems(add_volume_node(an_array(rng), GEOMETRIES["oblique"])) == ()
    assert volume_problems(add_volume_node(an_array(rng, "f4"), GEOMETRIES["oblique"])) == ()


def test_single_slice_is_refused(scene):
    node = add_volume_node(np.zeros((1, 9, 11), np.int16), GEOMETRIES["plain"])
    (problem,) = volume_problems(node)
    assert "11 x 9 x 1" in problem


def test_colours_are_refused(scene):
    colours = np.zeros((*SHAPE, 3), np.uint8)
    node = add_volume_node(
        colours, GEOMETRIES["plain"], "photo", class_name="vtkMRMLVectorVolumeNode"
    )
    (problem,) = volume_problems(node)
    assert "3 numbers per voxel" in problem


def test_label_map_is_no_image(scene):
    node = add_volume_node(
        np.zeros(SHAPE, np.uint8), GEOMETRIES["plain"], "x", "vtkMRMLLabelMapVolumeNode"
    )
    assert any("label map" in problem for problem in volume_problems(node))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_that_are_no_numbers_are_told(scene, value, dtype):
    array = np.ones(SHAPE, dtype)
    array[6, 8, 10] = value
    (problem,) = volume_problems(add_volume_node(array, GEOMETRIES["plain"], "bad"))
    assert "not numbers" in problem


def test_huge_numbers_are_numbers(scene):
    array = np.full(SHAPE, np.finfo(np.float64).max)
    assert volume_problems(add_volume_node(array, GEOMETRIES["plain"])) == ()


def test_sheared_volume_is_refused(scene):
    node = add_volume_node(np.zeros(SHAPE, np.int16), GEOMETRIES["plain"], "tilted")
    matrix = ras_matrix(GEOMETRIES["plain"])
    matrix[1, 2] = 0.3
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    (problem,) = volume_problems(node)
    assert "not at right angles" in problem


def test_volume_that_changes_while_it_is_written_is_not_left_half_done(scene, tmp_path, rng):
    node = add_volume_node(an_array(rng), GEOMETRIES["plain"])
    snapshot = snapshot_volume(node)
    change_a_voxel(node)
    with pytest.raises(VolumeError, match="changed while it was being saved"):
        snapshot.write(tmp_path / "a.nrrd")
    assert list(tmp_path.iterdir()) == []


def test_snapshot_outlives_its_node(scene, tmp_path, rng):
    array = an_array(rng)
    node = add_volume_node(array, GEOMETRIES["oblique"])
    snapshot = snapshot_volume(node)
    scene.RemoveNode(node)
    del node
    snapshot.write(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nrrd").array, array)


def test_folder_that_cannot_be_written_is_told_in_words(scene, tmp_path, rng):
    (tmp_path / "file").write_text("no folder")
    node = add_volume_node(an_array(rng), GEOMETRIES["plain"])
    with pytest.raises(StorageError, match="cannot be written"):
        save_volume(node, tmp_path / "file")


@every_geometry
def test_shown_volume_has_every_voxel_where_the_grid_says(scene, tmp_path, rng, geometry):
    array = an_array(rng)
    np.save(tmp_path / "a.npy", array)
    node = show_volume(tmp_path / "a.npy", geometry, "gezeigt")
    assert node.GetName() == "gezeigt"
    assert_positions(node, array, geometry)
    assert slicer.util.arrayFromVolume(node).dtype == array.dtype


def test_shown_volume_lies_as_slicer_itself_reads_it_from_the_file(scene, tmp_path, rng):
    """Slicer reverses the slices of left-handed volumes; both must do the same."""
    geometry = GEOMETRIES["oblique and left-handed"]
    array = an_array(rng)
    np.save(tmp_path / "a.npy", array)
    shown = show_volume(tmp_path / "a.npy", geometry, "shown")
    write_volume(tmp_path / "a.nrrd", Volume(array, geometry))
    read = load(tmp_path / "a.nrrd")
    assert geometry_of(shown).is_close_to(geometry_of(read))
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(shown), slicer.util.arrayFromVolume(read)
    )


@pytest.mark.parametrize(("stored", "shown"), [("?", "u1"), ("f2", "f4"), (">i2", "<i2")])
def test_types_that_vtk_lacks_are_shown_without_loss(scene, tmp_path, stored, shown):
    array = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 2000).astype(stored)
    np.save(tmp_path / "a.npy", array)
    found = slicer.util.arrayFromVolume(show_volume(tmp_path / "a.npy", GEOMETRIES["plain"], "a"))
    assert found.dtype == shown
    np.testing.assert_array_equal(found, array)


def test_brightness_spans_what_the_volume_holds_without_its_extremes(scene, tmp_path, rng):
    array = rng.integers(0, 1000, SHAPE, dtype=np.int16)
    array[0, 0, 0] = 30000
    np.save(tmp_path / "a.npy", array)
    display = show_volume(tmp_path / "a.npy", GEOMETRIES["plain"], "a").GetDisplayNode()
    low, high = np.percentile(array, (0.5, 99.5))
    assert display.GetWindowLevelMin() == pytest.approx(low)
    assert display.GetWindowLevelMax() == pytest.approx(high)


@pytest.mark.parametrize("content", [None, b"", b"no array", "cut", "shape", "fortran"])
def test_file_that_cannot_be_shown_is_told_in_words_and_adds_nothing(scene, tmp_path, rng, content):
    file = tmp_path / "a.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "cut":
        np.save(file, an_array(rng))
        file.write_bytes(file.read_bytes()[:-50])
    elif content == "shape":
        np.save(file, an_array(rng)[:-1])
    elif content == "fortran":
        np.save(file, np.asfortranarray(an_array(rng)))
    before = scene.GetNumberOfNodes()
    with pytest.raises(VolumeError, match=r"a\.npy"):
        show_volume(file, GEOMETRIES["plain"], "a")
    assert scene.GetNumberOfNodes() == before


def test_huge_direction_turns_do_not_lose_the_origin(scene, tmp_path, rng):
    far = Geometry(SIZE, (0.3, 0.3, 0.3), (12345.678, -9876.543, 5555.5), turned(89, 179, -91))
    saved = save_volume(add_volume_node(an_array(rng), far), tmp_path)
    assert read_itk(saved.path).GetOrigin() == pytest.approx(far.origin_mm, abs=1e-9)
