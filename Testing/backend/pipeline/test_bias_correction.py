"""Bias correction evens out the shading of MR and leaves CT alone."""

from dataclasses import replace

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy import ndimage

from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.pipeline.slices.network_images import network_slices
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.volume_io import read_volume


def seen_of(volume, corrected):
    config = PreprocessConfig(
        in_plane_spacing_mm=1.0, window_size=(32, 32), bias_correction=corrected
    )
    return network_slices(volume, slice_grid(volume, config), config)


@pytest.mark.parametrize("write", [phantoms.write_series, phantoms.write_enhanced])
@pytest.mark.parametrize(("modality", "is_changed"), [("CT", False), ("MR", True)])
def test_bias_correction_leaves_a_ct_series_alone(tmp_path, write, modality, is_changed):
    series = write(tmp_path, modality=modality)
    stored = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    assert stored.Modality == modality
    volume = read_volume(series.folder)
    # without negative values, only the headers can tell
    positive = replace(volume, array=np.clip(volume.array, 1, None))
    assert np.array_equal(seen_of(positive, True), seen_of(positive, False)) != is_changed


@pytest.mark.parametrize(
    ("air", "fat", "muscle", "is_changed"),
    [(-1000, -100, 50, False), (0, 900, 400, True), (-1.2, 2.0, 0.5, True)],
    ids=["Hounsfield units", "MR", "MR with mean 0"],
)
def test_bias_correction_leaves_a_file_in_hounsfield_units_alone(
    tmp_path, air, fat, muscle, is_changed
):
    _, j, i = np.indices((8, 32, 32))
    inside = np.hypot(j - 16, i - 16) < 12
    core = ndimage.binary_erosion(inside, iterations=2)
    tissue = np.where(core, muscle, np.where(inside, fat, air)).astype(np.float32)
    x = np.linspace(1, 1.3, 32)
    sitk.WriteImage(sitk.GetImageFromArray((tissue * x).astype(np.float32)), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.array_equal(seen_of(volume, True), seen_of(volume, False)) != is_changed
