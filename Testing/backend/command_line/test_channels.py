"""Several images of one patient on the command line, from their files to a segmentation."""

import json

import numpy as np
import pytest
from a_service import worker_in_this_process
from dicom_phantoms import write_series

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.export.model_card import read_model_card
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

GRID = Geometry((32, 32, 4), (1.5, 1.5, 6.0), (3.0, -4.0, 5.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
FINER = Geometry((64, 64, 4), (0.75, 0.75, 6.0), (2.625, -4.375, 5.0), GRID.direction)
SCHEMA = LabelSchema.from_values((1,))
TINY = (
    "preprocess.window_size=[32,32]", "network.widths=[4,4,4,4,4,4]", "network.embedding_size=4",
    "training.supervised.num_steps=4", "training.supervised.batch_size=2",
    "training.joint.num_steps=3", "training.joint.batch_size=2",
    "training.contrastive.num_pairs=2", "training.consistency.num_slices=2",
    "training.copy_paste.num_slices=2", "pseudo_label.num_augmented_copies=2",
)  # fmt: skip
SETTINGS = [part for setting in TINY for part in ("--set", setting)]


def disk():
    array = np.zeros(GRID.array_shape, np.int16)
    array[:, 10:20, 12:24] = 1
    return array


def put(path, seed, geometry=GRID):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(100, 9, geometry.array_shape)
    if geometry is GRID:
        noise += 60 * disk()
    write_volume(path, Volume(noise.astype(np.float32), geometry))
    return path


def put_label(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(disk(), GRID), SCHEMA)
    return path


@pytest.fixture
def nnunet(tmp_path):
    """Three patients as nnU-Net names them; the second image of each lies on a finer grid."""
    data = tmp_path / "nnunet"
    for number in (1, 2, 3):
        put(data / "imagesTr" / f"p{number}_0000.nii.gz", number)
        put(data / "imagesTr" / f"p{number}_0001.nii.gz", 10 + number, FINER)
    put_label(data / "labelsTr" / "p1.nii.gz")
    return data


@pytest.fixture
def create(tmp_path):
    """Runs `create` for a project of FLAIR and T1."""

    def run(*arguments, channels="FLAIR,T1"):
        project = tmp_path / "P"
        return main(
            ["create", str(project), *map(str, arguments), "--channels", channels, *SETTINGS]
        )

    return run


def files_of(project):
    return {
        case.id: [
            case.image.rpartition("/")[2],
            *(one.image.rpartition("/")[2] for one in case.further_images),
        ]
        for case in project.cases
    }


def test_names_of_nnunet_are_channels_by_their_number(create, nnunet, tmp_path, capsys):
    pair = (nnunet / "imagesTr" / "p1_0000.nii.gz", nnunet / "labelsTr" / "p1.nii.gz")
    assert create("--annotated", *pair, "--unlabelled", nnunet / "imagesTr") == 0
    project = load_project(tmp_path / "P")
    assert project.channels == ("FLAIR", "T1")
    assert files_of(project) == {
        name: [f"{name}_0000.nii.gz", f"{name}_0001.nii.gz"] for name in ("p1", "p2", "p3")
    }
    assert "p2: The T1 image of case 'p2' has a different grid" in capsys.readouterr().err
    assert main(["status", str(tmp_path / "P")]) == 0
    assert "Channels: FLAIR, T1" in capsys.readouterr().out


def test_names_that_end_in_the_channel_are_grouped_whichever_is_named(create, tmp_path):
    data = tmp_path / "named"
    for patient in ("a", "b"):
        for channel in ("flair", "T1"):
            put(data / f"{patient}_{channel}.nrrd", len(channel))
    put_label(data / "a_seg.nrrd")
    files = [data / f"b_{channel}.nrrd" for channel in ("T1", "flair")]
    pair = (data / "a_T1.nrrd", data / "a_seg.nrrd")
    assert create("--annotated", *pair, "--unlabelled", *files) == 0
    assert files_of(load_project(tmp_path / "P")) == {
        "a": ["a_flair.nrrd", "a_T1.nrrd"],
        "b": ["b_flair.nrrd", "b_T1.nrrd"],
    }


def test_a_folder_for_each_patient_names_the_case(create, tmp_path):
    data = tmp_path / "folders"
    for patient in ("a", "b"):
        for channel in ("FLAIR", "T1"):
            put(data / patient / f"{channel}.nrrd", len(channel))
    put_label(data / "a" / "FLAIR.seg.nrrd")
    pair = (data / "a" / "FLAIR.nrrd", data / "a" / "FLAIR.seg.nrrd")
    assert create("--annotated", *pair, "--unlabelled", data) == 0
    assert files_of(load_project(tmp_path / "P")) == {
        name: ["FLAIR.nrrd", "T1.nrrd"] for name in ("a", "b")
    }


def test_a_table_has_a_column_for_each_channel(create, nnunet, tmp_path):
    table = nnunet / "cases.csv"
    lines = ["id;role;FLAIR;T1;annotation"]
    lines += [
        f"{name};{role};imagesTr/{name}_0000.nii.gz;imagesTr/{name}_0001.nii.gz;{label}"
        for name, role, label in (("p1", "annotated", "labelsTr/p1.nii.gz"),
                                  ("p2", "unlabelled", ""))
    ]  # fmt: skip
    table.write_text("\n".join(lines), "utf-8")
    assert create("--table", table) == 0
    assert files_of(load_project(tmp_path / "P")) == {
        name: [f"{name}_0000.nii.gz", f"{name}_0001.nii.gz"] for name in ("p1", "p2")
    }
    # a project knows its channels: no need to name them again
    table.write_text(f"{lines[0]}\n{lines[2].replace('p2;', 'p9;', 1)}", "utf-8")
    assert main(["add", str(tmp_path / "P"), "--table", str(table)]) == 0
    assert [len(files) for files in files_of(load_project(tmp_path / "P")).values()] == [2, 2, 2]


def test_a_table_without_an_image_of_a_channel_names_line_and_channel(create, nnunet, capsys):
    table = nnunet / "cases.csv"
    table.write_text("id,role,FLAIR,T1\np2,unlabelled,imagesTr/p2_0000.nii.gz,\n", "utf-8")
    assert create("--table", table, "--labels", "1=disk") != 0
    assert "Line 2 of 'cases.csv' gives no T1 image." in capsys.readouterr().err


def test_a_table_without_the_column_of_a_channel_is_refused(create, nnunet, capsys):
    table = nnunet / "cases.csv"
    table.write_text("id,role,FLAIR\np2,unlabelled,imagesTr/p2_0000.nii.gz\n", "utf-8")
    assert create("--table", table, "--labels", "1=disk") != 0
    assert "lacks the column t1" in capsys.readouterr().err


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_patient_without_a_channel_stops_the_command_and_leaves_nothing(
    create, nnunet, tmp_path, capsys, as_folder
):
    (nnunet / "imagesTr" / "p3_0001.nii.gz").unlink()
    named = nnunet / "imagesTr"
    images = [named] if as_folder else [named / "p2_0000.nii.gz", named / "p3_0000.nii.gz"]
    assert create("--unlabelled", *images, "--labels", "1=disk") != 0
    told = capsys.readouterr().err
    assert "'p3' has no T1 image: none lies beside" in told
    assert not (tmp_path / "P").exists()


def test_a_name_that_says_no_channel_is_told_how_to_be_named(create, tmp_path, capsys):
    image = put(tmp_path / "scan.nrrd", 1)
    assert create("--unlabelled", image, "--labels", "1=disk") != 0
    told = capsys.readouterr().err
    assert "The name of 'scan.nrrd' does not say which of the channels FLAIR, T1 it is." in told
    assert "p1_FLAIR and p1_T1" in told


@pytest.mark.parametrize("names", ["FLAIR,flair", "FLAIR,", "a/b,c"])
def test_names_of_channels_are_checked_before_anything_is_read(create, tmp_path, names, capsys):
    with pytest.raises(SystemExit):
        create("--unlabelled", tmp_path, channels=names)
    assert "channel" in capsys.readouterr().err


def test_the_question_about_a_folder_can_be_answered_with_all_images(tmp_path, capsys):
    data = tmp_path / "named"
    for patient in ("a", "b"):
        for channel in ("FLAIR", "T1"):
            put(data / f"{patient}_{channel}.nrrd", len(channel))
    put_label(data / "a_seg.nrrd")
    command = ["create", str(tmp_path / "P"), "--unlabelled", str(data),
               "--annotated", str(data / "a_T1.nrrd"), str(data / "a_seg.nrrd")]  # fmt: skip
    assert main(command) != 0
    assert "--answer channels=all:T1" in capsys.readouterr().err
    assert main([*command, "--answer", "channels=all:T1"]) == 0
    project = load_project(tmp_path / "P")
    assert project.channels == ("T1", "FLAIR")
    assert files_of(project) == {
        name: [f"{name}_T1.nrrd", f"{name}_FLAIR.nrrd"] for name in ("a", "b")
    }


@pytest.fixture
def a_trained_project(create, nnunet, tmp_path, monkeypatch):
    images = nnunet / "imagesTr"
    pair = (images / "p1_0000.nii.gz", nnunet / "labelsTr" / "p1.nii.gz")
    assert create("--annotated", *pair, "--unlabelled", images) == 0
    root = tmp_path / "P"
    with worker_in_this_process(monkeypatch):
        assert main(["train", str(root), "--device", "cpu", "--rounds", "2"]) == 0
        yield root


def test_two_channels_go_from_their_files_to_a_segmentation(
    a_trained_project, nnunet, tmp_path, capsys
):
    root, images = a_trained_project, nnunet / "imagesTr"
    model = root / "rounds" / "round_01" / "model.plcl"
    assert read_model_card(model).channels == ("FLAIR", "T1")
    predict = ["predict", str(model), "--device", "cpu", "--output"]

    out = tmp_path / "by name"
    assert main([*predict, str(out), *map(str, sorted(images.glob("p[23]_*")))]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["p2.seg.nrrd", "p3.seg.nrrd"]
    assert read_volume(out / "p2.seg.nrrd").geometry.is_close_to(GRID)

    named = ",".join(
        f"{channel}={images / file}"
        for channel, file in (("t1", "p2_0001.nii.gz"), ("FLAIR", "p2_0000.nii.gz"))
    )
    other = tmp_path / "explicit"
    assert main([*predict, str(other), named]) == 0
    ours, theirs = (read_volume(folder / "p2.seg.nrrd").array for folder in (other, out))
    np.testing.assert_array_equal(ours, theirs)

    pair = ["--pair", str(images / "p1_0000.nii.gz"), str(nnunet / "labelsTr" / "p1.nii.gz")]
    capsys.readouterr()
    assert main(["evaluate", str(root), *pair, "--device", "cpu", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["models"]) == 2


@pytest.mark.parametrize(
    "settings",
    [
        ("pretraining.method=positional", "pretraining.positional.num_steps=2",
         "pretraining.positional.batch_size=4"),
        ("pretraining.method=global+local", "pretraining.global_local.global_steps=2",
         "pretraining.global_local.local_steps=2", "pretraining.global_local.num_partitions=2"),
    ],
    ids=["positional", "global+local"],
)  # fmt: skip
def test_pretraining_sees_all_channels_and_round_0_begins_with_its_weights(
    create, nnunet, tmp_path, monkeypatch, settings
):
    images = nnunet / "imagesTr"
    pair = (images / "p1_0000.nii.gz", nnunet / "labelsTr" / "p1.nii.gz")
    more = [part for setting in settings for part in ("--set", setting)]
    assert create("--annotated", *pair, "--unlabelled", images, *more) == 0
    root = tmp_path / "P"
    with worker_in_this_process(monkeypatch):
        answer = ("--answer", "slice-order=as-stored")  # these phantoms have no ends
        assert main(["train", str(root), "--device", "cpu", *answer]) == 0
    record = json.loads((root / "pretraining" / "pretraining.json").read_text("utf-8"))
    assert record["settings"]["channels"] == ["FLAIR", "T1"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["p2_0000.nii.gz"], "'p2' has no T1 image: none lies beside"),
        (["FLAIR=p2_0000.nii.gz"], "names no T1 image"),
    ],
)
def test_predict_names_the_image_that_is_missing(
    a_trained_project, monkeypatch, capsys, names, found
):
    tmp_path = a_trained_project.parent
    images = tmp_path / "nnunet" / "imagesTr"
    (images / "p2_0001.nii.gz").unlink()
    monkeypatch.chdir(images)
    model = a_trained_project / "rounds" / "round_00" / "model.plcl"
    out = tmp_path / "out"
    assert main(["predict", str(model), *names, "--output", str(out), "--device", "cpu"]) != 0
    assert found in capsys.readouterr().err
    assert not out.exists()


def test_predict_finds_images_that_are_called_otherwise(a_trained_project, tmp_path):
    for name, seed in (("FL", 1), ("T1w", 2)):
        put(tmp_path / "other" / f"x_{name}.nrrd", seed)
    model = a_trained_project / "rounds" / "round_00" / "model.plcl"
    out = tmp_path / "out"
    command = ["predict", str(model), str(tmp_path / "other" / "x_FL.nrrd"), "--output", str(out),
               "--channels", "FL,T1w", "--device", "cpu"]  # fmt: skip
    assert main(command) == 0
    assert len(list(out.iterdir())) == 1


def test_dicom_study_in_one_folder_becomes_a_case_with_channels(tmp_path, capfd):
    patient = tmp_path / "pacs" / "Anna"
    for number, name in enumerate(("localizer", "Ax T2 FLAIR", "t1_mprage"), start=1):
        made = write_series(
            patient / "new", SeriesInstanceUID=f"1.2.3.{number}", SeriesDescription=name
        )
        for file in made.files:
            file.rename(patient / f"IM{number}_{file.stem}")
    (patient / "new").rmdir()
    root = tmp_path / "project"

    words = ["create", str(root), "--unlabelled", str(patient.parent), "--labels", "1=lesion"]
    assert main([*words, "--channels", "FLAIR,T1"]) == 0

    assert "left out: localizer" in capfd.readouterr().err
    (case,) = load_project(root).cases
    assert (case.id, case.dicom_series_uid) == ("Anna", "1.2.3.2")
    (further,) = case.further_images
    assert (further.channel, further.dicom_series_uid) == ("T1", "1.2.3.3")
