"""Volumes found in files and folders: what is proposed, under which name, and what is told."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_objects import KIDNEY, LIVER, described, structures, write_object
from dicom_phantoms import grid, write_series
from hypothesis import given, settings
from hypothesis import strategies as st

from PseudoLabelCLLib.curation.find import find_volumes as find_volumes_module
from PseudoLabelCLLib.curation.find import folder_walk
from PseudoLabelCLLib.curation.find.case_names import free_name
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.curation.find.segmentation_pairs import pair_segmentations
from PseudoLabelCLLib.domain.case import check_case_id
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import GivenAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

GRID = Geometry((6, 5, 4), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, Volume(np.zeros(GRID.array_shape, np.int16), GRID))


def pairs_in(found, folder):
    """Case -> (volume, segmentation) as short paths."""
    return {
        v.case_id: tuple(
            path and Path(path).relative_to(folder).as_posix() for path in (v.image, v.annotation)
        )
        for v in found.volumes
    }


def messages(found):
    return " ".join(problem.message for problem in found.problems)


def test_single_file_is_proposed_with_its_size(tmp_path):
    put(tmp_path, "heart 1.nii.gz", "other.nrrd")

    found = find_volumes(tmp_path / "heart 1.nii.gz", ())

    assert pairs_in(found, tmp_path) == {"heart 1": ("heart 1.nii.gz", None)}
    assert found.volumes[0].description == "6 x 5 x 4 voxels of 1 x 2 x 3 mm"
    assert found.problems == ()


@pytest.mark.parametrize(
    "segmentation",
    [
        "p1.seg.nrrd", "p1_seg.nii.gz", "p1-label.nrrd", "P1_GT.nii.gz", "p1.mask.mha",
        "labels/p1.nii.gz", "Segmentations/p1.seg.nrrd", "labels/p1_seg.nrrd",
    ],
)  # fmt: skip
def test_segmentation_of_the_same_name_is_proposed(tmp_path, segmentation):
    put(tmp_path, "p1.nii.gz", "p10.nii.gz", segmentation)

    wanted = {"p1": ("p1.nii.gz", segmentation), "p10": ("p10.nii.gz", None)}
    assert pairs_in(find_volumes(tmp_path, ()), tmp_path) == wanted
    alone = find_volumes(tmp_path / "p1.nii.gz", ())
    assert pairs_in(alone, tmp_path) == {"p1": wanted["p1"]}


def test_folders_of_images_and_labels_beside_each_other_are_paired(tmp_path):
    put(tmp_path, "imagesTr/la_1_0000.nii.gz", "labelsTr/la_1.nii.gz", "imagesTs/la_2_0000.nii.gz")

    assert pairs_in(find_volumes(tmp_path, ()), tmp_path) == {
        "la_1_0000": ("imagesTr/la_1_0000.nii.gz", "labelsTr/la_1.nii.gz"),
        "la_2_0000": ("imagesTs/la_2_0000.nii.gz", None),
    }


def test_segmentation_without_its_volume_is_told_and_no_volume(tmp_path):
    put(tmp_path, "a.nrrd", "b.seg.nrrd", "c_seg.nii.gz", "labels/d.nrrd")

    found = find_volumes(tmp_path, ())

    assert list(pairs_in(found, tmp_path)) == ["a"]
    assert "is a segmentation, judging by its name" in messages(found)
    assert "2 others" in messages(found)
    assert not any(problem.is_error for problem in found.problems)
    # a person who names the very file knows what it is, but for Slicer's segmentations
    assert list(pairs_in(find_volumes(tmp_path / "c_seg.nii.gz", ()), tmp_path)) == ["c_seg"]
    assert "not a volume" in messages(find_volumes(tmp_path / "b.seg.nrrd", ()))


def test_second_segmentation_is_told(tmp_path):
    put(tmp_path, "a.nrrd", "a.seg.nrrd", "a_mask.nrrd")

    found = find_volumes(tmp_path, ())

    assert pairs_in(found, tmp_path) == {"a": ("a.nrrd", "a.seg.nrrd")}
    assert "a_mask.nrrd" in messages(found)


def test_names_are_free_and_fit(tmp_path):
    put(tmp_path, "one/Scan.nrrd", "two/scan.nii.gz", "three/scan.mha", f"{'x' * 90}.nrrd")

    found = find_volumes(tmp_path, ["ONE"])

    names = [volume.case_id for volume in found.volumes]
    assert sorted(name for name in names if "x" not in name) == ["one-2", "three", "two"]
    assert len({name.casefold() for name in (*names, "scan-2")}) == 5


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=6))
def test_every_name_that_is_made_can_be_a_case(wanted):
    taken = {"con", "a"}
    names = [free_name(name, taken) for name in (*wanted, "con", "a.", " a", "...")]
    for name in names:
        check_case_id(name)
    assert len({name.casefold() for name in names}) == len(names)


def test_volumes_come_in_the_order_that_a_person_counts(tmp_path):
    put(tmp_path, "p10.nrrd", "p9.nrrd", "P1.nrrd", "b/p2.nrrd")

    found = find_volumes(tmp_path, ())

    assert [volume.case_id for volume in found.volumes] == ["P1", "p9", "p10", "p2"]


def test_unreadable_files_are_told_and_the_others_found(tmp_path):
    put(tmp_path, "good.nrrd")
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    (tmp_path / "empty.nrrd").write_bytes(b"")
    (tmp_path / "readme.txt").write_text("about")

    found = find_volumes(tmp_path, ())

    assert list(pairs_in(found, tmp_path)) == ["good"]
    assert len(found.problems) == 2
    assert all(problem.is_error and problem.remedy for problem in found.problems)
    assert "broken.nii.gz" in messages(found)


def test_nothing_found_is_told(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    assert "No volume was found" in messages(find_volumes(tmp_path, ()))
    assert "unknown format" in messages(find_volumes(tmp_path / "a.txt", ()))
    with pytest.raises(VolumeError, match="was not found"):
        find_volumes(tmp_path / "gone", ())


def test_hidden_files_and_own_projects_are_passed_over(tmp_path):
    put(tmp_path, "a.nrrd", ".trash/b.nrrd", "._a.nrrd", "project/volumes/c.nrrd")
    (tmp_path / "project" / "project.json").write_text("{}")

    found = find_volumes(tmp_path, ())

    assert list(pairs_in(found, tmp_path)) == ["a"]
    assert "is a project" in messages(found)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_once(tmp_path):
    put(tmp_path, "here/a.nrrd", "elsewhere/b.nrrd")
    (tmp_path / "here" / "loop").symlink_to(tmp_path / "here")
    (tmp_path / "here" / "far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "dangling.nrrd").symlink_to(tmp_path / "gone.nrrd")

    found = find_volumes(tmp_path / "here", ())

    assert [volume.case_id for volume in found.volumes] == ["a", "b"]
    assert found.problems == ()


@pytest.mark.long
def test_ten_thousand_files_do_no_harm(tmp_path):
    for number in range(100):
        folder = tmp_path / f"f{number}"
        folder.mkdir()
        for name in range(100):
            os.close(os.open(folder / f"{name}.txt", os.O_CREAT))
    put(tmp_path, "f50/a.nrrd")

    assert [volume.case_id for volume in find_volumes(tmp_path, ()).volumes] == ["a"]


def test_too_many_files_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_walk, "MAX_FILES", 3)
    put(tmp_path, "a.nrrd", *(f"sub/{n}.nrrd" for n in range(3)))

    found = find_volumes(tmp_path, ())

    assert list(pairs_in(found, tmp_path)) == ["a"]
    assert "more than 3 files" in messages(found)


def many_pairs(number):
    return [Path(f"d/{n}{end}") for n in range(number) for end in (".nrrd", ".seg.nrrd")]


def test_pairing_keeps_every_file_once():
    files = [*many_pairs(300), Path("d/x_seg.nrrd"), Path("d/3_seg.nrrd"), Path("d/4_mask.mha")]
    pairs = pair_segmentations(files)
    used = [f for pair in pairs.volumes for f in pair if f]
    assert sorted((*used, *pairs.unmatched, *pairs.spare)) == sorted(files)
    assert pairs.unmatched == (Path("d/x_seg.nrrd"),)


# --- DICOM ---

LOCALISER = [1, 0, 0, 0, 0, -1]


def put_series(folder, name, geometry=None, **changes):
    """Write a series beside others: its files bear its name and no suffix."""
    made = write_series(folder / "new", geometry, SeriesInstanceUID=f"1.2.3.{name}", **changes)
    for file in made.files:
        file.rename(folder / f"IM{name}_{file.stem}")
    (folder / "new").rmdir()
    return made


def test_each_series_is_proposed_with_its_description_and_size(tmp_path):
    folder = tmp_path / "patient ü"
    small = put_series(folder, 1, grid(size=(7, 6, 5)), SeriesDescription="T2 ax")
    put_series(folder, 2, SeriesDescription="")
    (folder / "notes.txt").write_text("about")

    found = find_volumes(tmp_path, ())

    assert [v.case_id for v in found.volumes] == ["patient ü T2 ax", "patient ü 2"]
    first = found.volumes[0]
    assert (first.image, first.series_uid, first.annotation) == (str(folder), "1.2.3.1", None)
    assert first.description == f"T2 ax, {small.geometry.describe()}"
    read = read_volume(folder, first.series_uid)
    assert read.geometry.describe() == small.geometry.describe()
    assert np.array_equal(read.array, small.voxels)
    assert found.problems == ()


def test_lone_series_is_called_like_its_folder(tmp_path):
    put_series(tmp_path / "p1" / "dicom-a", 1)
    assert [v.case_id for v in find_volumes(tmp_path / "p1", ()).volumes] == ["dicom-a"]


def test_series_of_a_chosen_slice_is_proposed_alone(tmp_path):
    put_series(tmp_path, 1)
    put_series(tmp_path, 2)

    (volume,) = find_volumes(tmp_path / "IM2_0003", ()).volumes

    assert (volume.series_uid, volume.image) == ("1.2.3.2", str(tmp_path))


def test_series_that_is_no_volume_is_told_with_its_name(tmp_path):
    put_series(tmp_path, 1)
    put_series(tmp_path, 2, SeriesDescription="scout")
    turned = write_series(
        tmp_path / "new", grid(size=(7, 6, 1)), SeriesInstanceUID="1.2.3.2",
        ImageOrientationPatient=LOCALISER,
    )  # fmt: skip
    turned.files[0].rename(tmp_path / "IM2_turned")
    (tmp_path / "IM3").write_bytes(bytes(128) + b"DICM" + b"nothing behind it")

    found = find_volumes(tmp_path, ())

    assert [volume.series_uid for volume in found.volumes] == ["1.2.3.1"]
    assert "scout" in messages(found)
    assert "different directions" in messages(found)
    assert "1 of the DICOM files" in messages(found)
    assert [problem.is_error for problem in found.problems] == [True, False]


def put_object(file, series, kind="BINARY"):
    """Write a segmentation object of a series with highdicom."""
    file.parent.mkdir(parents=True, exist_ok=True)
    kidney, liver = structures(series.geometry.array_shape)
    segments = [described(1, "kidney", KIDNEY), described(2, "liver", LIVER)]
    return write_object(file, series, [kidney, liver], segments, kind)


@pytest.fixture
def two_series(tmp_path):
    grid_ = grid(size=(16, 12, 8))
    return [
        write_series(tmp_path / name, grid_, SeriesInstanceUID=f"1.2.3.{number}")
        for number, name in enumerate(("ax", "cor"), start=1)
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_object_goes_to_the_series_that_it_refers_to(two_series, tmp_path, kind):
    """It lies in a folder of its own, or among the slices of the other series."""
    second = put_object(tmp_path / "ax" / "seg", two_series[1], kind)
    first = put_object(tmp_path / "z segmentations" / "seg.dcm", two_series[0], kind)

    found = find_volumes(tmp_path, ())

    given = {volume.series_uid: volume.annotation for volume in found.volumes}
    assert given == {"1.2.3.1": str(first), "1.2.3.2": str(second)}
    assert [volume.case_id for volume in found.volumes] == ["ax", "cor"]
    assert found.problems == ()


@pytest.mark.filterwarnings("ignore")
def test_object_without_its_series_one_too_many_and_fractions_are_told(two_series, tmp_path):
    for name in ("seg1.dcm", "seg2.dcm"):
        put_object(tmp_path / "ax" / name, two_series[0])
    put_object(tmp_path / "fractions" / "f.dcm", two_series[1], "FRACTIONAL")
    put_object(tmp_path / "lost.dcm", two_series[1])
    shutil.rmtree(tmp_path / "cor")

    found = find_volumes(tmp_path, ())

    (volume,) = found.volumes
    assert volume.annotation == str(tmp_path / "ax" / "seg1.dcm")
    told = messages(found)
    assert "seg2.dcm' is another segmentation" in told
    assert "lost.dcm' is a DICOM segmentation, and no series that it refers to" in told
    assert "f.dcm' is a segmentation that holds fractions" in told


@pytest.mark.filterwarnings("ignore")
def test_chosen_object_is_no_volume_and_chosen_slice_brings_its_object(two_series, tmp_path):
    made = put_object(tmp_path / "ax" / "seg.dcm", two_series[0])
    (volume,) = find_volumes(two_series[0].files[3], ()).volumes
    assert volume.annotation == str(made)
    alone = find_volumes(made, ())
    assert alone.volumes == ()
    assert "is a segmentation, not a volume" in messages(alone)


def test_a_long_search_tells_how_many_of_the_files_seen_were_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(find_volumes_module, "FILES_PER_WORD", 3)
    write_series(tmp_path / "a dicom", grid(size=(4, 4, 8)))
    put(tmp_path, *(f"volumes/{n}.nii.gz" for n in range(5)), "volumes/0.seg.nrrd")
    (tmp_path / "volumes" / "notes.txt").write_text("no volume")
    told = []

    find_volumes(tmp_path, (), progress=lambda *words: told.append(words))

    assert [one for one in told if "DICOM" in one[0]] == [
        ("Looking at DICOM files", done, 8) for done in (0, 3, 6)
    ]  # fmt: skip
    assert [one for one in told if "headers" in one[0]] == [
        ("Reading the headers of volumes", 12, 15)
    ]


def test_series_of_one_patient_in_folders_of_their_own_are_one_question(tmp_path):
    for number, name in enumerate(("p1/T1", "p1/T2", "p2/T1", "p2/T2")):
        write_series(tmp_path / name, SeriesInstanceUID=f"1.2.3.{number}")

    (problem,) = find_volumes(tmp_path, ()).problems
    assert problem.question.kind is QuestionKind.CHANNELS
    assert "2 patients have several images each, such as 'p1': T1, T2" in problem.message
    given = [GivenAnswer(QuestionKind.CHANNELS, "T2")]
    found = find_volumes(tmp_path, (), answers=given).volumes
    assert [(v.case_id, v.series_uid) for v in found] == [("p1", "1.2.3.1"), ("p2", "1.2.3.3")]
    together = find_volumes(tmp_path, (), channels=("T2", "T1")).volumes
    assert [(v.case_id, v.series_uid, v.further_images[0].series_uid) for v in together] == [
        ("p1", "1.2.3.1", "1.2.3.0"), ("p2", "1.2.3.3", "1.2.3.2"),
    ]  # fmt: skip


def put_study(folder, number, *descriptions):
    for n, description in enumerate(descriptions):
        put_series(
            folder, 10 * number + n, SeriesDescription=description,
            StudyInstanceUID=f"1.2.9.{number}",
        )  # fmt: skip


def test_series_of_one_study_are_proposed_as_one_case_with_channels(tmp_path):
    put_study(tmp_path / "Anna", 1, "localizer", "Ax T2 FLAIR fs", "t1_mprage", "T2 TSE")
    put_study(tmp_path / "Bert", 2, "T2_tse_ax", "T1 MPRAGE", "FLAIR 3D")

    found = find_volumes(tmp_path, (), channels=("FLAIR", "T1", "T2"))

    assert [(v.case_id, v.series_uid, v.channel) for v in found.volumes] == [
        ("Anna", "1.2.3.11", "FLAIR"), ("Bert", "1.2.3.22", "FLAIR"),
    ]  # fmt: skip
    assert [[(one.channel, one.series_uid) for one in v.further_images] for v in found.volumes] == [
        [("T1", "1.2.3.12"), ("T2", "1.2.3.13")], [("T1", "1.2.3.21"), ("T2", "1.2.3.20")],
    ]  # fmt: skip
    assert all(one.image == v.image for v in found.volumes for one in v.further_images)
    assert found.volumes[0].description.startswith("Ax T2 FLAIR fs, ")
    assert found.volumes[0].description.endswith(", T1: t1_mprage, T2: T2 TSE")
    (note,) = found.problems
    assert not note.is_error
    assert "left out: localizer." in note.message


def test_series_of_which_several_may_be_a_channel_are_never_paired(tmp_path):
    put_study(tmp_path / "Anna", 1, "FLAIR", "T1 pre", "T1 post")

    found = find_volumes(tmp_path, (), channels=("FLAIR", "T1"))

    assert [(v.case_id, v.further_images) for v in found.volumes] == [
        ("Anna FLAIR", ()), ("Anna T1 pre", ()), ("Anna T1 post", ()),
    ]  # fmt: skip
    (note,) = found.problems
    assert "may be the T1 image" in note.message


def test_series_of_different_studies_are_never_paired(tmp_path):
    put_study(tmp_path / "Anna", 1, "FLAIR")
    put_study(tmp_path / "Anna", 2, "T1")

    found = find_volumes(tmp_path, (), channels=("FLAIR", "T1"))

    assert [(v.case_id, v.further_images) for v in found.volumes] == [
        ("Anna FLAIR", ()), ("Anna T1", ()),
    ]  # fmt: skip


def test_study_without_the_first_channel_is_proposed_series_by_series(tmp_path):
    put_study(tmp_path / "Anna", 1, "T1", "T2")
    found = find_volumes(tmp_path, (), channels=("FLAIR", "T1", "T2"))
    assert [v.further_images for v in found.volumes] == [(), ()]


def test_channels_of_a_study_may_lie_in_folders_that_do_not_name_them(tmp_path):
    for number, name in enumerate(("FLAIR", "T1")):
        write_series(
            tmp_path / "Anna" / f"S{number}", SeriesInstanceUID=f"1.2.3.{number}",
            SeriesDescription=name,
        )  # fmt: skip
    (volume,) = find_volumes(tmp_path, (), channels=("FLAIR", "T1")).volumes
    assert (volume.case_id, volume.series_uid) == ("Anna", "1.2.3.0")
    (further,) = volume.further_images
    assert (further.image, further.series_uid) == (str(tmp_path / "Anna" / "S1"), "1.2.3.1")


def test_projects_of_one_image_know_nothing_of_studies(tmp_path):
    put_study(tmp_path / "Anna", 1, "FLAIR", "T1")
    assert [v.case_id for v in find_volumes(tmp_path, ()).volumes] == ["Anna FLAIR", "Anna T1"]


def test_series_whose_folders_are_called_the_same_get_the_name_of_the_folder_above(tmp_path):
    for number, name in enumerate(("p1/dicom", "p2/dicom", "p3/dicom")):
        write_series(tmp_path / name, SeriesInstanceUID=f"1.2.3.{number}")

    assert [v.case_id for v in find_volumes(tmp_path, ()).volumes] == ["p1", "p2", "p3"]
