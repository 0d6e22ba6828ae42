"""Synthetic files in the layouts of the public downloads that the presets are for."""

import json

import nibabel
import numpy as np
import pytest

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.pipeline.slices.case_slices import preprocess_plan
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.volume_io import read_volume


def organ(shape, values, seed):
    """Nested ellipsoids in noise: an image and its label map."""
    rng = np.random.default_rng(seed)
    middle = [side / 2 + rng.uniform(-1, 1) for side in shape]
    offsets = [
        (axis - m) / side for axis, m, side in zip(np.indices(shape), middle, shape, strict=True)
    ]
    radius = np.sqrt(sum(offset**2 for offset in offsets))
    image, labels = rng.normal(100, 10, shape), np.zeros(shape, np.int16)
    for number, value in enumerate(values):
        inside = radius < 0.45 * (1 - number / len(values))
        labels[inside] = value
        image[inside] += 40 * (number + 1)
    return image.astype(np.float32), labels


def save(path, array, spacing):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, np.diag([*spacing, 1]))
    image.header.set_zooms((*spacing, *[1.0] * (array.ndim - 3)))
    nibabel.save(image, path)
    return path


def create(project, preset, drawn, unlabelled, *more, profile="paper"):
    words = ["create", project, "--preset", preset, "--profile", profile, "--annotated", *drawn]
    return main([str(word) for word in (*words, "--unlabelled", unlabelled, *more)])


def names_of(project, role):
    return {case.id for case in project.cases_with_role(role)}


def window_of(root):
    settled = preprocess_plan(root, load_project(root))
    return settled.window_size, settled.in_plane_spacing_mm


def file_of(name, ending):
    return name.with_name(f"{name.name}{ending}.nii.gz")


@pytest.fixture
def acdc(tmp_path):
    """Two patients of ACDC: the cine, two of its frames with segmentations, and a text file."""
    folder = tmp_path / "training"
    for patient in (1, 2):
        frames = [organ((40, 36, 6), (1, 2, 3), 10 * patient + n) for n in range(3)]
        own = folder / f"patient{patient:03d}"
        name, spacing = own / own.name, (1.5, 1.5, 10.0)
        save(file_of(name, "_4d"), np.stack([image for image, _ in frames], axis=-1), spacing)
        for number in (1, 3):
            image, labels = frames[number - 1]
            save(file_of(name, f"_frame{number:02d}"), image, spacing)
            save(file_of(name, f"_frame{number:02d}_gt"), labels.astype(np.uint8), spacing)
        (own / "Info.cfg").write_text("ED: 1\nES: 3\nGroup: NOR\nNbFrame: 3\n")
    return folder


def test_a_cine_of_acdc_is_asked_about_and_its_frames_are_not_taken_twice(acdc, tmp_path, capfd):
    root = tmp_path / "project"
    first = acdc / "patient001" / "patient001"
    drawn = file_of(first, "_frame01"), file_of(first, "_frame01_gt")
    assert create(root, "acdc", drawn, acdc) == 1
    assert "holds 3 volumes of 40 x 36 x 6 voxels (frames of a cine" in capfd.readouterr().err
    assert create(root, "acdc", drawn, acdc, "--answer", "frames=1") == 0
    # segmentations are no images, and the annotated frame is not unlabelled, too
    project = load_project(root)
    assert names_of(project, CaseRole.UNLABELLED) == {
        "patient001_4d", "patient001_frame03",
        "patient002_4d", "patient002_frame01", "patient002_frame03",
    }  # fmt: skip
    assert window_of(root) == ((192, 192), 1.36719)
    assert main(["train", str(root), "--device", "cpu"]) == 1
    told = capfd.readouterr().err
    assert "'patient001_4d' and 'patient001_frame01' have the same image" in told
    assert "'patient002_frame01' and 'patient002_4d' have the same image" in told


@pytest.fixture
def decathlon(tmp_path):
    """Task 5 of the Decathlon: T2 and ADC in one file, and what macOS leaves beside it."""
    folder = tmp_path / "Task05_Prostate"
    for number in range(3):
        image, labels = organ((36, 40, 6), (1, 2), number)
        name = f"prostate_{number:02d}.nii.gz"
        part = "imagesTs" if number == 2 else "imagesTr"
        save(folder / part / name, np.stack([image, 300 - image], axis=-1), (0.6, 0.6, 3.6))
        (folder / part / f"._{name}").write_bytes(b"\0\5\26\7" + bytes(60))
        if number < 2:
            save(folder / "labelsTr" / name, labels.astype(np.float32), (0.6, 0.6, 3.6))
    (folder / "dataset.json").write_text(json.dumps({"modality": {"0": "T2", "1": "ADC"}}))
    return folder


def test_t2_of_the_decathlons_prostates_is_taken_where_the_answer_says_so(decathlon, tmp_path):
    root = tmp_path / "project"
    drawn = [decathlon / part / "prostate_00.nii.gz" for part in ("imagesTr", "labelsTr")]
    assert create(root, "prostate", drawn, decathlon / "imagesTr", profile="legacy") == 1
    more = (decathlon / "imagesTs", "--answer", "frames=1")
    assert create(root, "prostate", drawn, decathlon / "imagesTr", *more, profile="legacy") == 0
    project = load_project(root)
    assert names_of(project, CaseRole.UNLABELLED) == {"prostate_01", "prostate_02"}
    case = project.case("prostate_01")
    image, _ = organ((36, 40, 6), (1, 2), 1)  # T2, not ADC
    np.testing.assert_array_equal(read_volume(root / case.image).array, image.T)
    assert window_of(root) == ((192, 192), 0.625)
    assert project.config.training.joint.min_structures == 1


def test_a_stray_value_of_mmwhs_becomes_background_where_the_answer_says_so(tmp_path, capfd):
    root, folder = tmp_path / "project", tmp_path / "mr_train"
    values = (500, 600, 420, 550, 205, 820, 850)
    for number in (1001, 1002):
        image, labels = organ((36, 34, 30), values, number)
        labels[0, 0, 0] = 421  # as one of the public label maps has
        save(folder / f"mr_train_{number}_image.nii.gz", image, (1.1, 1.1, 1.3))
        save(folder / f"mr_train_{number}_label.nii.gz", labels, (1.1, 1.1, 1.3))
    drawn = [folder / f"mr_train_1001_{kind}.nii.gz" for kind in ("image", "label")]
    names = ",".join(f"{value}=structure {value}" for value in values)
    assert create(root, "mmwhs", drawn, folder, "--labels", names) == 1
    assert "421 (1 voxel)" in capfd.readouterr().err
    answer = ("--labels", names, "--answer", "unlisted=background")
    assert create(root, "mmwhs", drawn, folder, *answer) == 0
    project = load_project(root)
    assert names_of(project, CaseRole.UNLABELLED) == {"mr_train_1002_image"}
    assert project.schema.values == values
    assert window_of(root) == ((160, 160), 1.5)


@pytest.mark.parametrize(
    ("preset", "image", "label", "spacing", "window"),
    [
        (
            "hvsmr",
            "training_axial_crop_pat{}.nii.gz",
            "training_axial_crop_pat{}-label.nii.gz",
            (0.8, 0.8, 0.8),
            ((352, 352), 0.7),
        ),
        ("chd", "ct_100{}_image.nii.gz", "ct_100{}_label.nii.gz", (0.5, 0.5, 1.0), (512, 512)),
    ],
)
def test_images_and_labels_in_one_folder_are_told_apart(
    tmp_path, preset, image, label, spacing, window
):
    root, folder = tmp_path / "project", tmp_path / "data"
    for number in range(3):
        array, labels = organ((36, 34, 24), (1, 2), number)
        save(folder / image.format(number), array * 5 - 1000, spacing)
        save(folder / label.format(number), labels, spacing)
    drawn = folder / image.format(0), folder / label.format(0)
    assert create(root, preset, drawn, folder, "--pretraining", "positional") == 0
    project = load_project(root)
    assert len(names_of(project, CaseRole.UNLABELLED)) == 2
    size, pixel_mm = window_of(root)
    assert (size, pixel_mm) == window if preset == "hvsmr" else size == window
    assert not project.config.preprocess.bias_correction
