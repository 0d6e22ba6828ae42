"""A model applied to new volumes: which series, which names, and what is refused."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_phantoms import SERIES, grid, write_series
from learning_doubles import CPU, Listener, make_network, model_card

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, StorageError, VolumeError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.question import GivenAnswer, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.slice_turn import slice_directions
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.messages.jobs import (
    PredictJob,
)
from PseudoLabelCLLib.pipeline.prediction import apply_model as apply_module
from PseudoLabelCLLib.pipeline.prediction.apply_model import apply_model
from PseudoLabelCLLib.pipeline.prediction.model_file import write_model
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

# Two series of one folder, on grids that tell them apart.
GRIDS = {f"{SERIES}.7": grid(size=(40, 36, 4)), f"{SERIES}.8": grid("coronal", size=(32, 44, 5))}


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr(apply_module, "choose_device", lambda _name: CPU)


@pytest.fixture
def a_model(tmp_path):
    write_model(tmp_path / "model.plcl", make_network(4), model_card())
    return str(tmp_path / "model.plcl")


@pytest.fixture
def two_series(tmp_path):
    folder = tmp_path / "scans"
    for number, (uid, geometry) in enumerate(GRIDS.items()):
        made = write_series(tmp_path / f"series {number}", geometry, SeriesInstanceUID=uid)
        folder.mkdir(exist_ok=True)
        for file in made.files:
            file.rename(folder / f"{number}-{file.name}")
    return str(folder)


def test_named_series_of_one_folder_are_each_segmented_on_their_own_grid(
    a_model, two_series, tmp_path
):
    job = PredictJob(
        a_model, (two_series, two_series), str(tmp_path / "out"), series_uids=tuple(GRIDS)
    )
    told = apply_model(job, Listener())["segmentations"]
    assert [one["series_uid"] for one in told] == list(GRIDS)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "scans-7.seg.nrrd", "scans-8.seg.nrrd",
    ]  # fmt: skip
    for one in told:
        found = read_segmentation(Path(one["output"]), model_card().schema)[0]
        assert found.geometry.is_close_to(GRIDS[one["series_uid"]])


def test_one_series_of_several_is_named_after_folder_and_series(a_model, two_series, tmp_path):
    image = tmp_path / "volume.nrrd"
    voxels = np.random.default_rng(0).normal(size=(4, 36, 40)).astype(np.float32)
    write_volume(image, Volume(voxels, grid(size=(40, 36, 4))))
    job = PredictJob(
        a_model,
        (str(image), two_series),
        str(tmp_path / "out"),
        format=SegmentationFormat.NIFTI,
        uncertainty=True,
        series_uids=(None, f"{SERIES}.8"),
    )
    apply_model(job, Listener())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "scans-8.nii.gz", "scans-8_uncertainty.nrrd", "volume.nii.gz", "volume_uncertainty.nrrd",
    ]  # fmt: skip


def an_image_with_two_places(path):
    image = nibabel.Nifti1Image(
        np.random.default_rng(0).normal(size=(40, 36, 4)).astype(np.float32), None
    )
    scanner = np.diag([-1.5, -1.5, 6.0, 1.0])
    moved = scanner.copy()
    moved[:3, 3] = (9.0, -6.0, 12.0)
    image.set_qform(scanner, 1)
    image.set_sform(moved, 2)
    nibabel.save(image, path)
    return str(path)


def test_predicted_nifti_lies_on_its_image_for_readers_of_either_matrix(a_model, tmp_path):
    image = an_image_with_two_places(tmp_path / "img.nii.gz")
    out = tmp_path / "out"
    apply_model(
        PredictJob(a_model, (image,), str(out), format=SegmentationFormat.NIFTI), Listener()
    )
    found, expected = (nibabel.load(f).header for f in (out / "img.nii.gz", image))
    for read in ("get_qform", "get_sform"):
        (matrix, code), (own, own_code) = (getattr(h, read)(coded=True) for h in (found, expected))
        assert code == own_code
        np.testing.assert_allclose(matrix, own, atol=1e-5)


def test_prediction_that_can_have_one_place_only_asks_which_of_two_is_meant(a_model, tmp_path):
    image = an_image_with_two_places(tmp_path / "img.nii.gz")
    out = tmp_path / "out"
    with pytest.raises(QuestionError, match=r"16\.2 mm apart"):
        apply_model(PredictJob(a_model, (image,), str(out)), Listener())
    assert not out.exists()
    answers = (GivenAnswer(QuestionKind.TWO_PLACES, "sform"),)
    apply_model(PredictJob(a_model, (image,), str(out), answers=answers), Listener())
    origin = sitk.ReadImage(str(out / "img.seg.nrrd")).GetOrigin()
    assert origin == pytest.approx((-9.0, 6.0, 12.0), abs=1e-4)


def test_only_series_of_a_folder_bears_the_name_of_the_folder(a_model, tmp_path):
    write_series(tmp_path / "scan", grid(size=(40, 36, 4)))
    images, out = (str(tmp_path / "scan"),), str(tmp_path / "out")
    apply_model(PredictJob(a_model, images, out, series_uids=(SERIES,)), Listener())
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["scan.seg.nrrd"]


def test_folder_with_several_series_needs_a_choice_before_anything_is_written(
    a_model, two_series, tmp_path
):
    with pytest.raises(VolumeError, match="series"):
        apply_model(PredictJob(a_model, (two_series,), str(tmp_path / "out")), Listener())
    assert not (tmp_path / "out").exists()


def test_same_series_twice_is_refused(a_model, two_series, tmp_path):
    job = PredictJob(
        a_model, (two_series,) * 2, str(tmp_path / "out"), series_uids=(f"{SERIES}.7",) * 2
    )
    with pytest.raises(StorageError, match="Two volumes"):
        apply_model(job, Listener())


def test_command_line_passes_the_series_on(a_model, two_series, tmp_path, monkeypatch):
    jobs = []

    def remember(job, *_rest):
        jobs.append(job)
        return {"segmentations": []}

    monkeypatch.setattr("PseudoLabelCLLib.command_line.job_commands.run_job_shown", remember)
    uid = f"{SERIES}.7"
    words = ["predict", a_model, "a.nrrd", two_series, "--output", "out", "--series", "-", uid]
    assert main(words) == 0
    assert jobs[0].volumes == ((str(tmp_path.cwd() / "a.nrrd"), None), (two_series, uid))


def test_volume_that_is_not_there_is_told_before_anything_is_written(a_model, tmp_path):
    job = PredictJob(a_model, (str(tmp_path / "gone.nrrd"),), str(tmp_path / "out"))
    with pytest.raises(PseudoLabelCLError, match="There is no volume"):
        apply_model(job, Listener())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("way", ["RAS", "PLS", "ARI"])
def test_volume_that_is_stored_another_way_is_segmented_as_if_it_were_stored_as_in_training(
    tmp_path, way
):
    training = grid(size=(40, 36, 4))
    voxels = np.random.default_rng(0).normal(size=(4, 36, 40)).astype(np.float32)
    write_volume(tmp_path / "as-trained.nrrd", Volume(voxels, training))
    stored = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "as-trained.nrrd")), way)
    sitk.WriteImage(stored, str(tmp_path / "other.nrrd"))
    card = model_card()
    preprocess = replace(card.preprocess, slice_directions=slice_directions(training, 2))
    write_model(tmp_path / "m.plcl", make_network(4), replace(card, preprocess=preprocess))

    images = (str(tmp_path / "as-trained.nrrd"), str(tmp_path / "other.nrrd"))
    apply_model(PredictJob(str(tmp_path / "m.plcl"), images, str(tmp_path / "out")), Listener())

    schema = model_card().schema
    as_trained = read_segmentation(tmp_path / "out" / "as-trained.seg.nrrd", schema)[0]
    other = read_segmentation(tmp_path / "out" / "other.seg.nrrd", schema)[0]
    assert other.geometry.array_shape == stored.GetSize()[::-1]
    at_places = sitk.GetImageFromArray(other.array.astype(np.int16))
    at_places.CopyInformation(stored)
    back = sitk.DICOMOrient(at_places, "LPS")
    assert len(np.unique(as_trained.array)) > 1
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), as_trained.array)
