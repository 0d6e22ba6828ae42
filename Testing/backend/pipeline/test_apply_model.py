"""A model applied to new volumes: which series, which names, and what is refused."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
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
from PseudoLabelCLLib.messages.job_messages import Line, decode_line, encode_line
from PseudoLabelCLLib.messages.jobs import EvaluateJob, EvaluationPair, PredictJob
from PseudoLabelCLLib.pipeline.prediction import apply_model as apply_module
from PseudoLabelCLLib.pipeline.prediction.apply_model import apply_model
from PseudoLabelCLLib.pipeline.prediction.evaluate import evaluate
from PseudoLabelCLLib.pipeline.prediction.model_file import write_model
from PseudoLabelCLLib.process.failure import failure_of
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
    with pytest.raises(PseudoLabelCLError, match=r"The volume .* was not found"):
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


def test_parts_of_one_series_have_results_of_their_own_names(a_model, tmp_path):
    folder, geometry = tmp_path / "scan", grid(size=(40, 36, 4))
    folder.mkdir()
    for number, echo in enumerate(("4.6", "9.2")):
        for file in write_series(tmp_path / echo, geometry, EchoTime=echo).files:
            header = pydicom.dcmread(file)
            header.SOPInstanceUID = f"{header.SOPInstanceUID}.{number}"
            header.save_as(folder / f"{number}-{file.name}")
    uids = (f"{SERIES};EchoTime=4.6", f"{SERIES};EchoTime=9.2")
    job = PredictJob(a_model, (str(folder),) * 2, str(tmp_path / "out"), series_uids=uids)
    apply_model(job, Listener())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "scan-EchoTime 4.6.seg.nrrd", "scan-EchoTime 9.2.seg.nrrd",
    ]  # fmt: skip


def a_cine(path, num_frames=3, code=1):
    """Write a 4-D NIfTI file whose frames differ, and return them."""
    frames = np.random.default_rng(num_frames).normal(size=(40, 36, 4, num_frames))
    affine = np.array([[-1.4, 0.2, 0, 30], [0.2, 1.4, 0, -20], [0, 0, 6, 5], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(frames.astype(np.float32), affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    nibabel.save(image, path)
    return frames.astype(np.float32), image.affine


def segmented_alone(a_model, frame, affine, folder):
    """Return what the model makes of one frame that was saved as a file of its own."""
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Image(frame, affine), folder / "alone.nii.gz")
    images, out = (str(folder / "alone.nii.gz"),), folder / "out"
    job = PredictJob(a_model, images, str(out), format=SegmentationFormat.NIFTI)
    apply_model(job, Listener())
    return nibabel.load(out / "alone.nii.gz").get_fdata()


def test_file_of_several_volumes_is_asked_about_before_anything_is_written(a_model, tmp_path):
    a_cine(tmp_path / "p1.nii.gz", 3)
    a_cine(tmp_path / "p2.nii.gz", 12)
    images = (str(tmp_path / "p1.nii.gz"), str(tmp_path / "p2.nii.gz"))
    with pytest.raises(QuestionError) as asked:
        apply_model(PredictJob(a_model, images, str(tmp_path / "out")), Listener())
    assert [one.case_id for one in asked.value.questions] == ["p1", "p2"]
    assert "3 volumes of 40 x 36 x 4 voxels" in asked.value.message
    assert "--answer p1:frames=every" in asked.value.remedy
    assert "about 'p2': --answer frames=VALUE answers for all" in asked.value.remedy
    assert not (tmp_path / "out").exists()


def test_one_volume_of_several_is_segmented_as_if_it_were_alone_in_its_file(a_model, tmp_path):
    frames, affine = a_cine(tmp_path / "p1.nii.gz")
    listener = Listener()
    job = PredictJob(
        a_model,
        (str(tmp_path / "p1.nii.gz"),),
        str(tmp_path / "out"),
        format=SegmentationFormat.NIFTI,
        answers=(GivenAnswer(QuestionKind.FRAMES, "2"),),
    )
    (told,) = apply_model(job, listener)["segmentations"]
    assert told["frame"] == 2
    assert any("Volume 2 of the 3 in 'p1.nii.gz'" in text for text, _ in listener.notices)
    found = nibabel.load(tmp_path / "out" / "p1.nii.gz")
    source = nibabel.load(tmp_path / "p1.nii.gz")
    assert found.shape == (40, 36, 4)
    for read in ("get_qform", "get_sform"):
        (matrix, code), (own, own_code) = (
            getattr(one.header, read)(coded=True) for one in (found, source)
        )
        assert code == own_code
        np.testing.assert_allclose(matrix, own, atol=1e-5)
    alone = segmented_alone(a_model, frames[..., 1], affine, tmp_path / "alone")
    np.testing.assert_array_equal(found.get_fdata(), alone)
    other = segmented_alone(a_model, frames[..., 0], affine, tmp_path / "other")
    assert (found.get_fdata() != other).any()


def test_every_volume_of_a_file_has_a_result_named_as_its_case_would_be(a_model, tmp_path):
    a_cine(tmp_path / "p1.nii.gz", 3)
    a_cine(tmp_path / "p2.nii.gz", 2)
    listener = Listener()
    job = PredictJob(
        a_model,
        (str(tmp_path / "p1.nii.gz"), str(tmp_path / "p2.nii.gz")),
        str(tmp_path / "out"),
        answers=(
            GivenAnswer(QuestionKind.FRAMES, "every"),
            GivenAnswer(QuestionKind.FRAMES, "leave", "p2"),
        ),
    )
    told = apply_model(job, listener)["segmentations"]
    assert [one["frame"] for one in told] == [1, 2, 3]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "p1_1.seg.nrrd", "p1_2.seg.nrrd", "p1_3.seg.nrrd",
    ]  # fmt: skip
    assert any("Left out, as answered: 'p2.nii.gz'" in text for text, _ in listener.notices)
    source = sitk.ReadImage(str(tmp_path / "p1.nii.gz"))
    for name in ("p1_1", "p1_3"):
        found = sitk.ReadImage(str(tmp_path / "out" / f"{name}.seg.nrrd"))
        assert found.GetOrigin() == pytest.approx(source.GetOrigin()[:3], abs=1e-4)
        assert found.GetSpacing()[:3] == pytest.approx(source.GetSpacing()[:3], abs=1e-5)


def test_questions_of_a_job_reach_the_one_who_started_it(a_model, tmp_path):
    a_cine(tmp_path / "p1.nii.gz")
    job = PredictJob(a_model, (str(tmp_path / "p1.nii.gz"),), str(tmp_path / "out"))
    with pytest.raises(QuestionError) as asked:
        apply_model(job, Listener())
    failed = failure_of(asked.value)
    assert decode_line(encode_line(Line("j", 0, failed))).message == failed
    assert [one.case_id for one in failed.questions] == ["p1"]


@pytest.mark.parametrize("series_of_references", [True, False])
def test_one_volume_of_several_is_measured_as_if_it_were_alone(
    a_model, tmp_path, series_of_references
):
    frames, affine = a_cine(tmp_path / "p1.nii.gz")
    masks = (frames > 0.5).astype(np.uint8)
    own = masks if series_of_references else masks[..., 1]
    nibabel.save(nibabel.Nifti1Image(own, affine), tmp_path / "reference.nii.gz")
    nibabel.save(nibabel.Nifti1Image(frames[..., 1], affine), tmp_path / "alone.nii.gz")
    nibabel.save(nibabel.Nifti1Image(masks[..., 1], affine), tmp_path / "mask.nii.gz")

    def measured(image, reference, *answers):
        pair = EvaluationPair("p1", str(tmp_path / image), str(tmp_path / reference))
        job = EvaluateJob(model=a_model, pairs=(pair,), answers=answers)
        return evaluate(job, Listener())["models"][0]["cases"]

    with pytest.raises(QuestionError, match="3 volumes of 40 x 36 x 4 voxels"):
        measured("p1.nii.gz", "reference.nii.gz")
    second = GivenAnswer(QuestionKind.FRAMES, "2")
    found = measured("p1.nii.gz", "reference.nii.gz", second)
    assert found == measured("alone.nii.gz", "mask.nii.gz")
    assert found != measured("p1.nii.gz", "reference.nii.gz", GivenAnswer(QuestionKind.FRAMES, "1"))
