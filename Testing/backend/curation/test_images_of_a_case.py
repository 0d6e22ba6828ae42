"""Several images of one patient: channels of a project, and an image for each of them in a case."""

from dataclasses import replace

import numpy as np
import pytest
from small_projects import GRID, SCHEMA, SIZE, add_case, drawn, write_drawing, write_image

from PseudoLabelCLLib.curation.cases.change_cases import remove_cases
from PseudoLabelCLLib.curation.cases.further_images import add_further_image, with_channels
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.grids.case_images import case_images, on_grid
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import QuestionError
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

# Twice as fine in plane, of the same place.
FINER = Geometry(
    (48, 40, 5), (0.75, 0.75, 8.0),
    tuple(GRID.index_to_world((-0.25, -0.25, 0)).tolist()), GRID.direction,
)  # fmt: skip


def ramp(geometry):
    """An intensity that says where in the patient a voxel lies: a plane through space."""
    k, j, i = np.indices(geometry.array_shape)
    world = geometry.index_to_world(np.stack((i, j, k), axis=-1))
    return (world @ (1.0, 3.0, 7.0) + 500).astype(np.float32)


def write_ramp(path, geometry):
    write_volume(path, Volume(ramp(geometry), geometry))
    return path


def add_two(root, project, case_id, folder, *, role=CaseRole.UNLABELLED, second=GRID, **options):
    """Add a case with a FLAIR image, and a T1 image on some grid."""
    flair = write_image(folder / f"{case_id}_FLAIR.nrrd", seed=len(case_id))
    t1 = write_ramp(folder / f"{case_id}_T1.nrrd", second)
    label = write_drawing(folder / f"{case_id}.seg.nrrd") if role.needs_annotation else None
    options = {"further_images": (NamedImage("T1", str(t1)),), "channel": "FLAIR", **options}
    return add_case(root, project, case_id, role, flair, label, **options)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "project"
    create_project(root, Project("Brains", SCHEMA, config_for(Profile.QUICK)))
    return root


@pytest.fixture
def two_channels(root, tmp_path):
    """A project with an annotated case and an unlabelled one, of FLAIR and T1."""
    project, _ = add_two(root, load_project(root), "p1", tmp_path, role=CaseRole.ANNOTATED)
    add_two(root, project, "p2", tmp_path)
    return root


def test_first_case_names_the_channels_of_the_project(two_channels):
    project = load_project(two_channels)
    assert project.channels == ("FLAIR", "T1")
    assert project.num_channels == 2
    case = project.case("p2")
    assert case.image.endswith("p2_FLAIR.nrrd")
    assert [(one.channel, one.image.rpartition("/")[2]) for one in case.further_images] == [
        ("T1", "p2_T1.nrrd")
    ]
    assert case.further_images[0].geometry.is_close_to(GRID)


def test_a_case_with_one_unnamed_image_has_no_channels(root, tmp_path):
    project, _ = add_case(root, load_project(root), "a", CaseRole.UNLABELLED,
                          write_image(tmp_path / "a.nrrd"))  # fmt: skip
    assert load_project(root).channels == ()
    assert project.num_channels == 1
    (volume,) = case_images(root, (), project.case("a"))
    np.testing.assert_array_equal(volume.array, read_volume(tmp_path / "a.nrrd").array)


def test_images_come_in_the_order_of_the_project_whatever_the_order_of_the_case(root, tmp_path):
    project = with_channels(load_project(root), ("FLAIR", "T1", "T2"))
    t1, t2 = (write_image(tmp_path / f"{name}.nrrd", seed) for seed, name in ((3, "t1"), (4, "t2")))
    images = (NamedImage("t2", str(t2)), NamedImage("T1", str(t1)))
    flair = write_image(tmp_path / "flair.nrrd")
    project, _ = add_case(root, project, "a", CaseRole.UNLABELLED, flair, further_images=images)
    found = case_images(root, project.channels, project.case("a"))
    for volume, path in zip(found, (flair, t1, t2), strict=True):
        np.testing.assert_array_equal(volume.array, read_volume(path).array)


def test_an_image_on_another_grid_lies_where_it_lay_in_the_patient(root, tmp_path):
    project, notices = add_two(root, load_project(root), "p1", tmp_path, second=FINER)
    assert any("the network sees it resampled onto that grid" in told for told in notices)
    _, t1 = case_images(root, project.channels, project.case("p1"))
    assert t1.geometry.is_close_to(GRID)
    # a plane stays itself under linear interpolation, up to float32
    np.testing.assert_allclose(t1.array, ramp(GRID), atol=1e-2)


@pytest.mark.parametrize("turned", [(0, 1, 0, -1, 0, 0, 0, 0, 1), (1, 0, 0, 0, 0, 1, 0, -1, 0)])
def test_turned_and_oblique_images_land_in_place(turned):
    angle = 0.3
    oblique = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
    source = Geometry((60, 60, 60), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0), oblique)
    target = Geometry((10, 12, 8), (2.0, 1.5, 1.0), (0.0, 0.0, 0.0), turned)
    found = on_grid(Volume(ramp(source), source), target)
    inside = source.world_to_index(
        target.index_to_world(np.stack(np.indices(target.array_shape)[::-1], axis=-1))
    )
    covered = np.all((inside >= 0) & (inside <= 59), axis=-1)
    assert covered.mean() > 0.5
    np.testing.assert_allclose(found.array[covered], ramp(target)[covered], atol=1e-2)


def test_an_image_of_the_same_grid_is_taken_as_it_is_without_a_note(root, tmp_path):
    project, notices = add_two(root, load_project(root), "p1", tmp_path)
    assert notices == ()
    _, t1 = case_images(root, project.channels, project.case("p1"))
    np.testing.assert_array_equal(t1.array, ramp(GRID))


def test_what_a_further_image_covers_is_said_in_per_cent(root, tmp_path):
    half = replace(GRID, size=(SIZE[0] // 2, *SIZE[1:]))
    project, notices = add_two(root, load_project(root), "p1", tmp_path, second=half)
    assert any("covers 50 % of its FLAIR image" in told for told in notices)
    _, t1 = case_images(root, project.channels, project.case("p1"))
    outside = t1.array[:, :, SIZE[0] // 2 :]
    assert set(np.unique(outside)) == {ramp(half).min()}


def test_images_of_different_places_are_refused_and_nothing_is_kept(root, tmp_path):
    far = replace(GRID, origin_mm=(500.0, 0.0, 0.0))
    with pytest.raises(VolumeError, match=r"T1 image of case 'p1' .* do not overlap"):
        add_two(root, load_project(root), "p1", tmp_path, second=far)
    assert load_project(root).cases == ()
    assert load_project(root).channels == ()


def test_a_case_without_a_channel_is_named_when_added_and_stops_the_training(
    two_channels, tmp_path
):
    project, notices = add_case(
        two_channels, load_project(two_channels), "p3", CaseRole.UNLABELLED,
        write_image(tmp_path / "p3.nrrd", 9),
    )  # fmt: skip
    assert "Case 'p3' has no T1 image yet; it needs one before training." in notices
    assert project.missing_channels(project.case("p3")) == ("T1",)
    errors = [f for f in check_cases(two_channels, project) if f.severity == "error"]
    assert [finding.message for finding in errors] == ["Case 'p3' has no T1 image."]
    with pytest.raises(VolumeError, match="Case 'p3' has no T1 image"):
        case_images(two_channels, project.channels, project.case("p3"))


def test_a_further_image_completes_a_case(two_channels, tmp_path):
    project, _ = add_case(
        two_channels, load_project(two_channels), "p3", CaseRole.UNLABELLED,
        write_image(tmp_path / "p3.nrrd", 9),
    )  # fmt: skip
    t1 = write_ramp(tmp_path / "p3_T1.nrrd", FINER)
    project, notices = add_further_image(two_channels, project, "p3", NamedImage("t1", str(t1)))
    assert any("resampled" in told for told in notices)
    assert load_project(two_channels) == project
    assert project.missing_channels(project.case("p3")) == ()
    assert project.channels == ("FLAIR", "T1")


def test_a_further_image_of_the_first_case_names_both_channels(root, tmp_path):
    project, _ = add_case(root, load_project(root), "a", CaseRole.ANNOTATED,
                          write_image(tmp_path / "a.nrrd"),
                          write_drawing(tmp_path / "a.seg.nrrd"))  # fmt: skip
    project, _ = add_case(root, project, "b", CaseRole.UNLABELLED,
                          write_image(tmp_path / "b.nrrd", 2))  # fmt: skip
    adc = NamedImage("ADC", str(write_ramp(tmp_path / "adc.nrrd", GRID)))
    with pytest.raises(ProjectError, match="its first image has no name"):
        add_further_image(root, project, "a", adc)
    project, _ = add_further_image(root, project, "a", adc, first_channel="T2")
    assert load_project(root).channels == ("T2", "ADC")
    assert project.missing_channels(project.case("b")) == ("ADC",)
    assert project.case("a").annotation is not None


def test_channels_cannot_change_once_a_round_has_begun(two_channels, tmp_path):
    save_round(two_channels, Round(0, RoundState.TRAINING))
    project = load_project(two_channels)
    t2 = NamedImage("T2", str(write_ramp(tmp_path / "t2.nrrd", GRID)))
    with pytest.raises(ProjectError, match=r"after round 0 no channel can be added"):
        add_further_image(two_channels, project, "p1", t2)
    assert load_project(two_channels).channels == ("FLAIR", "T1")


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        (("FLAIR", "flair"), "Two channels are called"),
        (("", "T1"), "is empty"),
        (("T1,T2",), "contains one of"),
        (("a/b",), "contains one of"),
        (("aux",), "device on Windows"),
        (("Image",), "another column in tables"),
        (("x" * 40,), "longer than"),
        (tuple(f"c{n}" for n in range(17)), "17 channels"),
    ],
)
def test_names_that_cannot_be_told_apart_or_written_are_refused(root, channels, found):
    with pytest.raises(ProjectError, match=found):
        with_channels(load_project(root), channels)


def test_the_first_channel_cannot_become_another_one(two_channels):
    with pytest.raises(ProjectError, match="first channel of the project is 'FLAIR', not 'T1'"):
        with_channels(load_project(two_channels), ("T1", "FLAIR"))


def test_an_image_that_changed_since_it_was_added_is_named_with_its_channel(two_channels, tmp_path):
    write_ramp(tmp_path / "p2_T1.nrrd", FINER)
    project = load_project(two_channels)
    errors = [f.message for f in check_cases(two_channels, project) if f.severity == "error"]
    assert len(errors) == 1
    assert errors[0].startswith("The T1 image of case 'p2' has changed: it was 24 x 20 x 5 voxels")


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros(GRID.array_shape, np.float32), "T1: The image of case 'p3' is constant"),
        (np.full(GRID.array_shape, np.nan, np.float32), "T1: The image of case 'p3' has 2400 vox"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_a_further_image_that_shows_nothing_is_refused(two_channels, tmp_path, array, found):
    path = tmp_path / "flat.nrrd"
    write_volume(path, Volume(array, GRID))
    with pytest.raises(VolumeError, match=found):
        add_two(two_channels, load_project(two_channels), "p3", tmp_path,
                further_images=(NamedImage("T1", str(path)),))  # fmt: skip


def test_a_label_map_given_as_a_further_image_is_asked_about(two_channels, tmp_path):
    label = write_drawing(tmp_path / "labels.nrrd")
    with pytest.raises(QuestionError, match=r"'labels\.nrrd'"):
        add_two(two_channels, load_project(two_channels), "p3", tmp_path,
                further_images=(NamedImage("T1", str(label)),))  # fmt: skip
    assert len(load_project(two_channels).cases) == 2


def test_copies_of_all_images_are_kept_and_set_aside_with_their_case(root, tmp_path):
    project, _ = add_two(root, load_project(root), "p1", tmp_path, copy_image=True)
    layout = ProjectLayout(root)
    copies = [layout.volume_copy("p1"), layout.channel_copy("p1", "T1")]
    assert all(copy.exists() for copy in copies)
    (tmp_path / "p1_T1.nrrd").unlink()
    _, t1 = case_images(root, project.channels, project.case("p1"))
    np.testing.assert_array_equal(t1.array, ramp(GRID))
    remove_cases(root, project, ["p1"])
    assert not any(copy.exists() for copy in copies)
    aside = {p.relative_to(root / "set_aside").as_posix().partition("/")[2]
             for p in (root / "set_aside").rglob("*.nrrd")}  # fmt: skip
    assert aside == {"volumes/p1.nrrd", "volumes/T1/p1.nrrd"}


def test_notes_on_grids_are_told_by_the_check_too(root, tmp_path):
    project, _ = add_two(
        root, load_project(root), "p1", tmp_path, role=CaseRole.ANNOTATED, second=FINER
    )
    notes = [f.message for f in check_cases(root, project) if f.severity == "note"]
    assert any("The T1 image of case 'p1' has a different grid" in told for told in notes)


def test_segmentation_lies_on_the_grid_of_the_first_channel(two_channels):
    project = load_project(two_channels)
    case = project.case("p1")
    assert case.geometry.is_close_to(GRID)
    assert drawn().shape == case.geometry.array_shape
