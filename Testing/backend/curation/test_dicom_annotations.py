"""DICOM segmentation objects of other programs serve as annotations, each voxel at its place."""

import shutil

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_objects import KIDNEY, LIVER, SPLEEN, described, structures, write_object
from small_projects import add_case

from PseudoLabelCLLib.curation.cases.add_cases import annotate_case
from PseudoLabelCLLib.curation.cases.label_schema_file import schema_from_annotation
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import AnnotationError, PseudoLabelCLError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

pytestmark = pytest.mark.filterwarnings("ignore")
GEOMETRY = phantoms.grid("oblique", size=(16, 12, 8))
# Values and order differ from those of every object below.
SCHEMA = LabelSchema(
    (
        LabelClass(7, "Leber", "#56b4e9", LIVER),
        LabelClass(3, "kidney", "#e69f00", KIDNEY),
    )
)


@pytest.fixture(scope="module")
def a_series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series") / "ct"
    return phantoms.write_series(folder, GEOMETRY, order=[5, 2, 7, 0, 4, 1, 6, 3])


@pytest.fixture
def an_object(a_series, tmp_path):
    kidney, liver = structures(GEOMETRY.array_shape)
    segments = [described(1, "Nr. 1", KIDNEY), described(2, "Nr. 2", LIVER)]
    return write_object(tmp_path / "seg.dcm", a_series, [kidney, liver], segments)


@pytest.fixture
def a_project(tmp_path):
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    return root, project


def annotated(a_project, image, annotation, answers=(), **more):
    """Add a case with the object; return its labels as the project keeps them, and notices."""
    root, project = a_project
    project, notices = add_case(
        root,
        project,
        "case",
        CaseRole.ANNOTATED,
        image,
        annotation,
        asking=Asking("case", answers),
        **more,
    )
    stored = read_segmentation(ProjectLayout(root).annotation("case"), SCHEMA)[0]
    return stored, notices


def expected(kidney, liver):
    return np.where(liver, 7, np.where(kidney, 3, 0))


KINDS = {
    "binary": {"kind": "BINARY"},
    "binary with empty slices": {"kind": "BINARY", "omit_empty_frames": False},
    "label map": {"kind": "LABELMAP"},
    "compressed label map": {
        "kind": "LABELMAP", "transfer_syntax_uid": pydicom.uid.RLELossless,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_object_on_some_slices_fills_the_grid_of_its_series(a_series, a_project, tmp_path, kind):
    kidney, liver = structures(GEOMETRY.array_shape)
    segments = [described(1, "Nr. 1", KIDNEY), described(2, "Nr. 2", LIVER)]
    path = write_object(tmp_path / "seg", a_series, [kidney, liver], segments, **KINDS[kind])
    stored, notices = annotated(a_project, a_series.folder, path)
    assert not any("grid" in notice for notice in notices)
    assert stored.geometry.is_close_to(GEOMETRY)
    np.testing.assert_array_equal(stored.array, expected(kidney, liver))


def test_waiting_case_is_annotated_with_an_object(a_series, an_object, a_project):
    root, project = a_project
    project, _ = add_case(root, project, "case", CaseRole.UNLABELLED, a_series.folder)
    project, notices = annotate_case(root, project, "case", an_object)
    assert project.case("case").role is CaseRole.ANNOTATED
    stored = read_segmentation(ProjectLayout(root).annotation("case"), SCHEMA)[0]
    np.testing.assert_array_equal(stored.array, expected(*structures(GEOMETRY.array_shape)))
    assert any("'Nr. 2' counts as 'Leber'" in notice for notice in notices)


def test_slices_between_stored_ones_stay_empty_where_the_object_tells_no_distance(
    a_series, a_project, tmp_path
):
    kidney, liver = structures(GEOMETRY.array_shape)
    for mask in (kidney, liver):
        mask[1::2] = False  # every second slice was drawn
    segments = [described(1, "kidney", KIDNEY), described(2, "liver", LIVER)]
    path = write_object(tmp_path / "seg.dcm", a_series, [kidney, liver], segments)
    header = pydicom.dcmread(path)
    measures = header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    if "SpacingBetweenSlices" in measures:
        del measures.SpacingBetweenSlices
    header.save_as(path)
    answers = (
        GivenAnswer(QuestionKind.SPARSE, "all"),
    )  # the empty slices are meant to be background
    stored, _ = annotated(a_project, a_series.folder, path, answers)
    np.testing.assert_array_equal(stored.array, expected(kidney, liver))


def test_volume_with_turned_axes_gets_every_voxel_at_its_place(
    a_series, an_object, a_project, tmp_path
):
    """The same volume as a file whose slices run the other way and whose rows are columns."""
    image = sitk.GetImageFromArray(a_series.voxels)
    image.SetSpacing(GEOMETRY.spacing_mm)
    image.SetOrigin(GEOMETRY.origin_mm)
    image.SetDirection(GEOMETRY.direction)
    turned = sitk.PermuteAxes(sitk.Flip(image, [True, False, True]), [1, 0, 2])
    sitk.WriteImage(turned, str(tmp_path / "turned.nrrd"))
    stored, notices = annotated(a_project, tmp_path / "turned.nrrd", an_object)
    as_turned = expected(*structures(GEOMETRY.array_shape))[::-1, :, ::-1].transpose(0, 2, 1)
    np.testing.assert_array_equal(stored.array, as_turned)
    assert any("the frame of reference of" in notice for notice in notices)


def test_codes_against_names_are_asked_about_and_numbers_never_count(a_series, a_project, tmp_path):
    """Names say the opposite of the codes; the numbers say the opposite of both."""
    kidney, liver = structures(GEOMETRY.array_shape)
    segments = [described(1, "kidney", LIVER), described(2, "Leber", KIDNEY)]
    path = write_object(tmp_path / "seg.dcm", a_series, [liver, kidney], segments)
    with pytest.raises(
        QuestionError, match="'kidney' is called like 'kidney' and has the terminology of"
    ):
        annotated(a_project, a_series.folder, path)
    answer = GivenAnswer(QuestionKind.NAME_OR_TERM, "term")
    stored, _ = annotated(a_project, a_series.folder, path, [answer])
    np.testing.assert_array_equal(stored.array, expected(kidney, liver))


def test_segments_with_one_code_are_known_by_name(a_series, a_project, tmp_path):
    kidney, liver = structures(GEOMETRY.array_shape)
    segments = [described(1, "Kidney"), described(2, "leber")]
    path = write_object(tmp_path / "seg.dcm", a_series, [kidney, liver], segments)
    stored, _ = annotated(a_project, a_series.folder, path)
    np.testing.assert_array_equal(stored.array, expected(kidney, liver))


def test_segment_that_is_no_label_is_asked_about_by_name(a_series, a_project, tmp_path):
    kidney, liver = structures(GEOMETRY.array_shape)
    segments = [described(1, "kidney", KIDNEY), described(2, "Milz", SPLEEN)]
    path = write_object(tmp_path / "seg.dcm", a_series, [kidney, liver], segments)
    told = r"are not structures of the project: Milz \([0-9]+ voxels\)"
    with pytest.raises(QuestionError, match=told):
        annotated(a_project, a_series.folder, path)
    answer = GivenAnswer(QuestionKind.UNLISTED, "background")
    stored, _ = annotated(a_project, a_series.folder, path, [answer])
    np.testing.assert_array_equal(stored.array, expected(kidney, np.zeros_like(liver)))
    answer = GivenAnswer(QuestionKind.UNLISTED, "new")
    asking = Asking("case", [answer], labels_can_grow=True)
    labels, schema, _ = read_segmentation(path, SCHEMA, near=GEOMETRY, asking=asking)
    assert schema.names == ("Leber", "kidney", "Milz")
    np.testing.assert_array_equal(labels.array == schema.values[-1], liver)


def test_overlap_and_empty_segment_are_told(a_series, a_project, tmp_path):
    kidney, liver = structures(GEOMETRY.array_shape)
    kidney[3, 7, 2:6] = True  # four voxels of the liver
    segments = [
        described(1, "liver", LIVER), described(2, "kidney", KIDNEY),
        described(3, "spare", SPLEEN),
    ]  # fmt: skip
    path = write_object(
        tmp_path / "seg.dcm", a_series, [liver, kidney, np.zeros_like(liver)], segments
    )
    with pytest.raises(QuestionError, match="overlap in 4 voxels") as asked:
        annotated(a_project, a_series.folder, path)
    assert asked.value.question.num_voxels == 4
    later = (GivenAnswer(QuestionKind.OVERLAP, "later"),)
    stored, notices = annotated(a_project, a_series.folder, path, later)
    np.testing.assert_array_equal(stored.array, np.where(kidney, 3, np.where(liver, 7, 0)))
    told = " ".join(notices)
    assert "'Leber' and 'kidney' overlap in 4 voxels, which count as 'kidney'" in told
    assert "empty segment 'spare' is not a structure" in told


def test_fractions_are_refused_with_the_reason(a_series, a_project, tmp_path):
    segments = [described(1, "kidney", KIDNEY), described(2, "liver", LIVER)]
    path = write_object(
        tmp_path / "seg.dcm", a_series, structures(GEOMETRY.array_shape), segments, "FRACTIONAL"
    )
    with pytest.raises(AnnotationError, match="FRACTIONAL: it holds a probability"):
        annotated(a_project, a_series.folder, path)


def test_another_frame_of_reference_is_refused(a_series, an_object, a_project):
    phantoms.changed(an_object, FrameOfReferenceUID="1.2.3.4")
    with pytest.raises(AnnotationError, match=r"another frame of reference \(1\.2\.3\.4\)"):
        annotated(a_project, a_series.folder, an_object)
    assert not ProjectLayout(a_project[0]).annotation("case").exists()


def test_another_series_of_the_same_frame_is_told(a_series, an_object, a_project):
    header = pydicom.dcmread(an_object)
    header.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3.4"
    header.save_as(an_object)
    _, notices = annotated(a_project, a_series.folder, an_object)
    assert any("another series with the same frame of reference" in notice for notice in notices)


def test_object_elsewhere_is_refused(a_series, an_object, a_project, tmp_path):
    away = phantoms.Series(
        shutil.copytree(a_series.folder, tmp_path / "away"), (), GEOMETRY, a_series.voxels
    )
    for file in away.folder.iterdir():
        position = pydicom.dcmread(file).ImagePositionPatient
        phantoms.changed(file, ImagePositionPatient=[float(x) + 300 for x in position])
    with pytest.raises(AnnotationError, match="does not lie where the image lies"):
        annotated(a_project, away.folder, an_object)


def test_labels_of_a_project_can_come_from_an_object(an_object):
    found = schema_from_annotation(an_object)
    assert [(label.value, label.name) for label in found] == [(1, "Nr. 1"), (2, "Nr. 2")]
    assert [label.terminology.type for label in found] == [KIDNEY.type, LIVER.type]


def turned_frame(header):
    group = header.PerFrameFunctionalGroupsSequence[1]
    group.PlaneOrientationSequence = [pydicom.Dataset()]
    group.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, 1]


def unplaced_frame(header):
    del header.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def shifted_frame(header):
    place = header.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    x, y, z = (float(v) for v in place.ImagePositionPatient)
    place.ImagePositionPatient = [x + 30, y, z]


def segments_alike(header):
    header.SegmentSequence[1].SegmentNumber = 1


MALFORMED = {
    "turned frame": (turned_frame, "turned against each other"),
    "frame without a place": (unplaced_frame, "says where it lies"),
    "shifted frame": (shifted_frame, "shifted sideways|not regular"),
    "two segments of one number": (segments_alike, r"numbered \[1, 1\]"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_object_is_refused(an_object, kind):
    spoil, words = MALFORMED[kind]
    header = pydicom.dcmread(an_object)
    # orientation may be shared or told for each frame
    spoil(header)
    header.save_as(an_object)
    with pytest.raises(AnnotationError, match=words) as refusal:
        read_segmentation(an_object, SCHEMA)
    assert refusal.value.remedy


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_random_damage_is_refused_or_harmless_and_never_a_crash(a_series, tmp_path, kind):
    kidney, liver = structures(GEOMETRY.array_shape)
    segments = [described(1, "kidney", KIDNEY), described(2, "liver", LIVER)]
    path = write_object(tmp_path / "seg.dcm", a_series, [kidney, liver], segments, kind)
    data, rng, refusals = path.read_bytes(), np.random.default_rng(7), 0
    for _ in range(60):
        spoilt = bytearray(data)
        for place in rng.integers(132, len(data), 5):
            spoilt[place] = int(rng.integers(256))
        path.write_bytes(spoilt)
        try:
            read_segmentation(path, None)
        except PseudoLabelCLError:
            refusals += 1
    assert refusals


def test_value_that_is_cut_inside_is_no_crash(an_object):
    """A sequence whose length ends within an item, which pydicom reports as a failure to read."""
    data = bytearray(an_object.read_bytes())
    tag = data.index(b"\x62\x00\x02\x00SQ")  # the segments, by name and kind
    length = int.from_bytes(data[tag + 8 : tag + 12], "little")
    assert length < len(data)
    data[tag + 8 : tag + 12] = (length - 4).to_bytes(4, "little")
    an_object.write_bytes(data)
    with pytest.raises(AnnotationError, match=r"damaged|numbered"):
        read_segmentation(an_object, SCHEMA)
