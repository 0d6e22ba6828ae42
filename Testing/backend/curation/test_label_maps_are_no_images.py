"""Label maps are never training images: by the names of public collections, and by their voxels."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.find.file_names import channels_in
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.curation.find.label_map_look import label_map_look
from PseudoLabelCLLib.curation.find.segmentation_pairs import pair_segmentations
from PseudoLabelCLLib.domain.question import GivenAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.storage.project.project_store import load_project, save_cases

SHAPE = (12, 10, 4)
AFFINE = np.diag([-1.5, -1.5, 6.0, 1.0])
TRUTH = np.zeros(SHAPE, np.uint8)
TRUTH[2:6, 2:7] = 1
TRUTH[6:8, 2:4, 1:] = 2


def put_label(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(TRUTH, AFFINE), path)


def put_image(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 9, SHAPE)
    nibabel.save(nibabel.Nifti1Image((TRUTH * 80 + noise).astype(np.float32), AFFINE), path)


def names_in(folder):
    """Image -> segmentation, as short paths."""
    return {
        Path(v.image).relative_to(folder).as_posix(): v.annotation
        and Path(v.annotation).relative_to(folder).as_posix()
        for v in find_volumes(folder, ()).volumes
    }


LAYOUTS = {
    "ACDC": {"patient001/patient001_frame01.nii.gz": "patient001/patient001_frame01_gt.nii.gz"},
    "KiTS": {
        "case_00000/imaging.nii.gz": "case_00000/segmentation.nii.gz",
        "case_00001/imaging.nii.gz": "case_00001/segmentation.nii.gz",
    },
    "LiTS": {
        "volume-0.nii": "segmentation-0.nii",
        "volume-1.nii": "segmentation-1.nii",
        "volume-10.nii": "segmentation-10.nii",
        "volume-130.nii": "segmentation-130.nii",
    },
    "BIDS": {"sub-01/anat/sub-01_T1w.nii.gz": "sub-01/anat/sub-01_dseg.nii.gz"},
    "nnU-Net": {"imagesTr/la_003_0000.nii.gz": "labelsTr/la_003.nii.gz"},
    "decathlon": {"imagesTr/la_003.nii.gz": "labelsTr/la_003.nii.gz"},
    "MONAI Label": {"p1.nii.gz": "labels/final/p1.nii.gz"},
    "GT folder": {"p1.nii.gz": "GT/p1.nii.gz"},
    "mask folder": {"images/p1.nii.gz": "mask/p1.nii.gz"},
    "seg folder": {"images/site 1/p1.nii.gz": "seg/site 1/p1.nii.gz"},
    "MM-WHS": {"ct_train_1001_image.nii.gz": "ct_train_1001_label.nii.gz"},
    "PROMISE12": {"Case00.nii.gz": "Case00_segmentation.nii.gz"},
    "SegTHOR": {"Patient_01/Patient_01.nii.gz": "Patient_01/GT.nii.gz"},
    "MSSEG": {"01/3DFLAIR.nii.gz": "01/ManualSegmentation_1.nii.gz"},
    "glued numbers": {"img001.nii.gz": "mask001.nii.gz", "img002.nii.gz": "mask002.nii.gz"},
    "mask first": {"anna.nii.gz": "mask_anna.nii.gz"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_public_layouts_give_images_with_their_segmentations(tmp_path, layout):
    for image, label in LAYOUTS[layout].items():
        put_image(tmp_path / image)
        put_label(tmp_path / label)
    assert names_in(tmp_path) == LAYOUTS[layout]


def test_label_maps_without_their_image_are_told_and_no_volume(tmp_path):
    put_image(tmp_path / "p1.nii.gz")
    for name in (
        "sub-02_dseg.nii.gz", "labels/original/p7.nii.gz", "p8_mask.nii.gz", "s1/segmentation.nii",
        "derivatives/sub-03_desc-brain_mask.nii.gz", "labelsTr/x.nii.gz",
    ):  # fmt: skip
        put_label(tmp_path / name)
    assert names_in(tmp_path) == {"p1.nii.gz": None}
    (problem,) = find_volumes(tmp_path, ()).problems
    assert "5 others" in problem.message


@pytest.mark.parametrize("name", ["GT 1.nii.gz", "seg-lab_7.nii.gz", "maskell.nii.gz", "gtx.nii"])
def test_patient_whose_name_begins_like_a_label_is_an_image(tmp_path, name):
    put_image(tmp_path / name)
    put_image(tmp_path / "other.nii.gz")
    assert set(names_in(tmp_path)) == {name, "other.nii.gz"}


def test_folder_above_the_search_says_nothing(tmp_path):
    put_image(tmp_path / "masks" / "study" / "p1.nii.gz")
    assert names_in(tmp_path / "masks" / "study") == {"p1.nii.gz": None}


def test_final_labels_are_taken_before_original_ones():
    files = [Path("d/p.nii"), Path("d/labels/original/p.nii"), Path("d/labels/final/p.nii")]
    pairs = pair_segmentations(files, Path("d"))
    assert pairs.volumes == ((files[0], files[2]),)
    assert pairs.spare == (files[1],)


def test_two_volumes_that_a_label_map_fits_get_none(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        put_image(tmp_path / name)
    put_label(tmp_path / "segmentation.nii.gz")
    assert names_in(tmp_path) == {"a.nii.gz": None, "b.nii.gz": None}


def test_patients_whose_files_are_called_the_same_get_their_folders_name(tmp_path):
    for name in ("s1/p1/t.nii.gz", "s1/p2/t.nii.gz", "s2/p1/t.nii.gz", "s2/p3/own.nii.gz"):
        put_image(tmp_path / name)
    found = [volume.case_id for volume in find_volumes(tmp_path, ()).volumes]
    assert found == ["s1_p1", "s1_p2", "s2_p1", "own"]


def test_command_line_takes_the_folders_name_where_all_files_are_called_the_same(tmp_path, capsys):
    for patient in ("p1", "p2", "p3"):
        put_image(tmp_path / "F" / patient / "t.nii.gz", int(patient[1:]))
    put_label(tmp_path / "F" / "p1" / "segmentation.nii.gz")
    pair = [str(tmp_path / "F" / "p1" / name) for name in ("t.nii.gz", "segmentation.nii.gz")]
    root = str(tmp_path / "P")
    code = main(["create", root, "--annotated", *pair, "--unlabelled", str(tmp_path / "F")])
    assert code == 0, capsys.readouterr().err
    assert [case.id for case in load_project(tmp_path / "P").cases] == ["p1", "p2", "p3"]


def test_one_name_twice_among_others_is_still_refused(tmp_path, capsys):
    """A copy of the annotated volume would be an unlabelled case as well."""
    for name in ("a/p1.nii.gz", "b/p1.nii.gz", "b/p2.nii.gz"):
        put_image(tmp_path / name)
    put_label(tmp_path / "a" / "p1_seg.nii.gz")
    pair = [str(tmp_path / "a" / name) for name in ("p1.nii.gz", "p1_seg.nii.gz")]
    root = str(tmp_path / "P")
    assert main(["create", root, "--annotated", *pair, "--unlabelled", str(tmp_path / "b")]) == 1
    assert "Two volumes would both be called 'p1'" in capsys.readouterr().err


# --- several channels of one patient ---


@pytest.fixture
def a_folder_of_channels(tmp_path):
    for patient in ("p07", "p19"):
        for channel in ("FLAIR", "T1", "T2"):
            put_image(tmp_path / f"{patient}_{channel}.nii.gz")
        put_label(tmp_path / f"{patient}_seg.nii.gz")
    put_image(tmp_path / "p26_T1.nii.gz")
    return tmp_path


def test_channels_of_one_patient_are_one_question(a_folder_of_channels):
    found = find_volumes(a_folder_of_channels, ())
    assert found.volumes == ()
    (question,) = [p.question for p in found.problems if p.question]
    assert question.kind is QuestionKind.CHANNELS
    assert "2 patients have several images each, such as 'p07': FLAIR, T1, T2" in question.message
    names = ["FLAIR", "T1", "T2"]
    together = [f"all:{name}" for name in names]
    assert [c.value for c in question.choices] == [*together, *names, "every", "leave"]


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("T1", ["p07_T1", "p19_T1", "p26_T1"]),
        ("every", [f"{p}_{c}" for p in ("p07", "p19") for c in ("FLAIR", "T1", "T2")] + ["p26_T1"]),
        ("leave", ["p26_T1"]),
    ],
)
def test_chosen_channel_serves_the_whole_folder(a_folder_of_channels, answer, wanted):
    given = [GivenAnswer(QuestionKind.CHANNELS, answer)]
    found = find_volumes(a_folder_of_channels, (), answers=given)
    assert sorted(volume.case_id for volume in found.volumes) == wanted
    if answer == "T1":
        labels = {v.case_id: v.annotation and Path(v.annotation).name for v in found.volumes}
        assert labels["p07_T1"] == "p07_seg.nii.gz"


def test_images_of_a_patient_are_found_together_where_the_project_has_channels(
    a_folder_of_channels,
):
    found = find_volumes(a_folder_of_channels, (), channels=("T1", "FLAIR", "T2"))
    volumes = {volume.case_id: volume for volume in found.volumes}
    assert set(volumes) == {"p07", "p19", "p26"}
    assert {volume.channel for volume in found.volumes} == {"T1"}
    assert [one.channel for one in volumes["p07"].further_images] == ["FLAIR", "T2"]
    assert Path(volumes["p07"].annotation).name == "p07_seg.nii.gz"
    assert volumes["p26"].further_images == ()


def test_a_file_that_names_no_channel_is_left_out_beside_those_that_do(a_folder_of_channels):
    put_image(a_folder_of_channels / "p07_lesions.nii.gz", 4)
    found = find_volumes(a_folder_of_channels, (), channels=("T1", "FLAIR", "T2"))
    assert {volume.case_id for volume in found.volumes} == {"p07", "p19", "p26"}
    (problem,) = found.problems
    assert not problem.is_error
    assert "p07_lesions.nii.gz" in problem.message
    assert "which channel it is, and is left out" in problem.message


def test_one_file_brings_the_other_images_of_its_patient_and_of_no_other(a_folder_of_channels):
    found = find_volumes(a_folder_of_channels / "p07_T2.nii.gz", (), channels=("FLAIR", "T1", "T2"))
    (volume,) = found.volumes
    assert found.problems == ()
    assert volume.case_id == "p07"
    assert Path(volume.image).name == "p07_FLAIR.nii.gz"
    assert [Path(one.image).name for one in volume.further_images] == [
        "p07_T1.nii.gz", "p07_T2.nii.gz",
    ]  # fmt: skip


def test_all_images_of_a_patient_can_be_the_answer(a_folder_of_channels):
    given = [GivenAnswer(QuestionKind.CHANNELS, "all:T1")]
    volumes = find_volumes(a_folder_of_channels, (), answers=given).volumes
    assert {volume.case_id: len(volume.further_images) for volume in volumes} == {
        "p07": 2, "p19": 2, "p26": 0,
    }  # fmt: skip
    assert {volume.channel for volume in volumes} == {"T1"}


@pytest.fixture
def a_project_of_t1(tmp_path):
    """A project with the T1 of a patient whose folder holds three images."""
    first = tmp_path / "first"
    for channel in ("FLAIR", "T1", "T2"):
        put_image(first / f"p01_{channel}.nii.gz")
    put_image(tmp_path / "a.nii.gz", 3)
    put_label(tmp_path / "a_seg.nii.gz")
    pair = [str(tmp_path / "a.nii.gz"), str(tmp_path / "a_seg.nii.gz")]
    root = tmp_path / "P"
    create = ["create", str(root), "--annotated", *pair, "--unlabelled", str(first)]
    assert main([*create, "--answer", "channels=T1"]) == 0
    return root


def test_chosen_channel_is_kept_with_the_case_and_serves_the_next_folder(
    a_project_of_t1, tmp_path, capsys
):
    kept = load_project(a_project_of_t1).case("p01_T1").answers
    assert [(one.kind, one.value) for one in kept] == [(QuestionKind.CHANNELS, "T1")]
    assert kept[0].message == "'p01' has several images: FLAIR, T1, T2."
    second = tmp_path / "second"
    for channel in ("FLAIR", "T1", "T2"):
        put_image(second / f"p02_{channel}.nii.gz", 1)
    capsys.readouterr()
    assert main(["add", str(a_project_of_t1), "--unlabelled", str(second)]) == 0
    assert "the answer that the project keeps was used: channels=T1" in capsys.readouterr().err
    project = load_project(a_project_of_t1)
    assert project.case("p02_T1").answer_to(QuestionKind.CHANNELS) == "T1"
    assert {case.id for case in project.cases} == {"a", "p01_T1", "p02_T1"}


def test_another_answer_counts_before_the_kept_one_and_from_then_on(a_project_of_t1, tmp_path):
    for folder in ("second", "third"):
        for channel in ("FLAIR", "T1", "T2"):
            put_image(tmp_path / folder / f"{folder}_{channel}.nii.gz", 1)
    add = ["add", str(a_project_of_t1), "--unlabelled"]
    assert main([*add, str(tmp_path / "second"), "--answer", "channels=T2"]) == 0
    assert main([*add, str(tmp_path / "third")]) == 0
    names = [case.id for case in load_project(a_project_of_t1).cases]
    assert names == ["a", "p01_T1", "second_T2", "third_T2"]


def test_kept_channel_that_a_folder_lacks_is_asked_about_again(a_project_of_t1, tmp_path, capsys):
    for channel in ("ADC", "DWI"):
        put_image(tmp_path / "second" / f"p02_{channel}.nii.gz", 1)
    add = ["add", str(a_project_of_t1), "--unlabelled", str(tmp_path / "second")]
    assert main(add) == 1
    assert "--answer channels=ADC" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "num_groups"),
    [
        (["imagesTr/a_0000.nii", "imagesTr/a_0001.nii"], 1),
        (["p1_0000.nii", "p1_0001.nii", "p2_0000.nii", "p2_0001.nii"], 2),
        (["case_0000.nii", "case_0001.nii", "case_0002.nii"], 0),
        (["case_0001.nii", "case_0002.nii"], 0),
        (["imagesTr/a_0000.nii", "imagesTr/b_0000.nii"], 0),
        (["p1/t1.nii", "p1/t2.nii", "p2/t1.nii", "p2/t2.nii"], 2),
        (["p1_T1.nii", "p2_T2.nii"], 0),
        (["p1__CT.nii", "p1__PT.nii"], 1),
    ],
)
def test_numbers_of_patients_are_no_channels(files, num_groups):
    assert len(channels_in(map(Path, files))) == num_groups


# --- by their voxels ---


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_label_map_is_known_by_its_voxels(kind):
    look = label_map_look(TRUTH.astype(kind))
    assert (look.num_values, look.commonest) == (3, 0)
    assert look.num_others == np.count_nonzero(TRUTH)
    inverted = label_map_look((TRUTH == 0).astype(kind) * 255)
    assert (inverted.num_values, inverted.commonest) == (2, 255)


@pytest.mark.parametrize(
    "image",
    [
        TRUTH + 0.5,
        np.arange(TRUTH.size).reshape(SHAPE) % 65,
        np.arange(TRUTH.size).reshape(SHAPE) % 64,  # no value in more than half of the voxels
        np.zeros(SHAPE),
        np.where(TRUTH, np.arange(TRUTH.size).reshape(SHAPE), 0),  # much background, many values
    ],
)
def test_image_does_not_look_like_a_label_map(image):
    assert label_map_look(image) is None


@pytest.fixture
def acdc(tmp_path):
    """20 patients with their `_gt` beside them."""
    for n in range(1, 21):
        put_image(tmp_path / "F" / f"patient{n:03d}_frame01.nii.gz", n)
        put_label(tmp_path / "F" / f"patient{n:03d}_frame01_gt.nii.gz")
    return tmp_path


def test_folder_like_acdc_gives_19_images_and_no_label_map(acdc, capsys):
    drawn = [str(acdc / "F" / f"patient001_frame01{end}.nii.gz") for end in ("", "_gt")]
    root = acdc / "P"
    code = main(["create", str(root), "--annotated", *drawn, "--unlabelled", str(acdc / "F")])
    assert code == 0, capsys.readouterr().err
    cases = load_project(root).cases
    assert len(cases) == 20
    assert not any("_gt" in case.image for case in cases)
    assert "are not used as training images" in capsys.readouterr().out


def test_shell_pattern_gives_no_label_map_either(acdc, capsys):
    files = sorted(map(str, (acdc / "F").glob("*.nii.gz")))
    drawn = [f for f in files if "001" in f][::1]
    code = main(
        ["create", str(acdc / "P"), "--annotated", *sorted(drawn, key=len), "--unlabelled", *files]
    )
    assert code == 0, capsys.readouterr().err
    assert not any("_gt" in case.image for case in load_project(acdc / "P").cases)


def test_label_map_by_any_name_is_asked_about_and_the_answer_kept(tmp_path, capsys):
    put_label(tmp_path / "p1_lesions.nii.gz")
    put_image(tmp_path / "p2.nii.gz")
    ask = ["create", str(tmp_path / "P"), "--labels", "1=a", "--unlabelled", str(tmp_path)]
    assert main(ask) == 1
    told = capsys.readouterr().err
    assert f"({np.count_nonzero(TRUTH)} voxels are not)" in told
    assert "--answer p1_lesions:label-map=leave" in told
    assert not (tmp_path / "P").exists()
    assert main([*ask, "--answer", "label-map=leave"]) == 0
    project = load_project(tmp_path / "P")
    assert [case.id for case in project.cases] == ["p2"]
    image = str(tmp_path / "p1_lesions.nii.gz")
    add = ["add", str(tmp_path / "P"), "--unlabelled", image]
    assert main([*add, "--answer", "label-map=image"]) == 0
    (kept,) = load_project(tmp_path / "P").case("p1_lesions").answers
    assert (kept.kind, kept.value) == (QuestionKind.LABEL_MAP, "image")
    capsys.readouterr()
    main(["status", str(tmp_path / "P"), "--check"])
    assert "The answer was: image" in capsys.readouterr().out


def test_check_asks_about_label_maps_in_projects_of_before(tmp_path, capsys):
    put_label(tmp_path / "p1.nii.gz")
    root = tmp_path / "P"
    create = ["create", str(root), "--labels", "1=a", "--unlabelled", str(tmp_path / "p1.nii.gz")]
    assert main([*create, "--answer", "label-map=image"]) == 0
    project = load_project(root)
    before = replace(project.case("p1"), answers=())
    save_cases(root, project.with_case(before))
    (found,) = [f for f in check_cases(root, load_project(root)) if f.severity == "question"]
    assert (found.case_id, found.question.kind) == ("p1", QuestionKind.LABEL_MAP)
    assert found.question.num_voxels == np.count_nonzero(TRUTH)
    capsys.readouterr()
    assert main(["status", str(root), "--check"]) == 0
    assert "looks like a label map" in capsys.readouterr().out
    keep_answer(root, load_project(root), found.question, "image")
    assert not [f for f in check_cases(root, load_project(root)) if f.severity == "question"]
