"""Structure sets of radiotherapy (RTSTRUCT) as annotations: contours filled on slices."""

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Polygon
from nrrd_by_hand import masks_of
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.storage.dicom.structure_set import STRUCTURE_SET_CLASS
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

pytestmark = pytest.mark.filterwarnings("ignore")
GEOMETRY = phantoms.grid("oblique", size=(24, 20, 6))
SCHEMA = LabelSchema((LabelClass(1, "Heart", "#e69f00"), LabelClass(2, "Lung", "#56b4e9")))
# corners in pixels (i, j), off the pixel centres
HEART = [(3.2, 2.4), (12.6, 3.3), (14.4, 9.7), (8.3, 13.6), (2.7, 10.2)]
HOLE = [(6.3, 5.4), (9.6, 5.6), (9.4, 8.7), (6.6, 8.4)]
LUNG = [(16.3, 3.4), (22.4, 4.3), (20.6, 16.2), (16.7, 14.5)]


@pytest.fixture
def a_series(tmp_path):
    return phantoms.write_series(tmp_path / "series", GEOMETRY)


def filled(*polygons):
    """Pixels whose centres lie in an odd number of polygons, (j, i), by another library."""
    j, i = np.mgrid[: GEOMETRY.size[1], : GEOMETRY.size[0]]
    centres = np.stack([i.ravel(), j.ravel()], axis=1)
    count = sum(Polygon(polygon).contains_points(centres).astype(int) for polygon in polygons)
    return (count % 2 == 1).reshape(i.shape)


def on_slice(k, *polygons):
    return [(np.array([(*corner, k) for corner in polygon], float)) for polygon in polygons]


def write_structures(path, series, structures, kind="CLOSED_PLANAR", frame=None):
    """Write a structure set: {name: [corners in (i, j, k), ...]}, byte for byte as clinics do."""
    first = pydicom.dcmread(series.files[0], stop_before_pixels=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = STRUCTURE_SET_CLASS
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = STRUCTURE_SET_CLASS, meta.MediaStorageSOPInstanceUID
    made.Modality, made.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    made.StructureSetLabel = "plan"
    frame = frame or first.FrameOfReferenceUID
    reference, study, of_series = Dataset(), Dataset(), Dataset()
    of_series.SeriesInstanceUID = first.SeriesInstanceUID
    study.RTReferencedSeriesSequence = [of_series]
    reference.FrameOfReferenceUID = frame
    reference.RTReferencedStudySequence = [study]
    made.ReferencedFrameOfReferenceSequence = [reference]
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), start=11):
        roi, own = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame
        own.ReferencedROINumber, own.ContourSequence = number, []
        for corners in contours:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(corners)
            world = GEOMETRY.index_to_world(corners)
            contour.ContourData = [f"{value:.4f}" for value in world.ravel()]
            own.ContourSequence.append(contour)
        made.StructureSetROISequence.append(roi)
        # contours come in any order
        made.ROIContourSequence.insert(0, own)
    made.save_as(path)
    return path


def read(path, *answers, schema=SCHEMA):
    asking = Asking("", [GivenAnswer(*answer) for answer in answers])
    return read_segmentation(path, schema, near=GEOMETRY, asking=asking)


def test_contours_are_filled_on_their_slices_and_inner_ones_are_holes(a_series, tmp_path):
    heart = on_slice(1, HEART) + on_slice(2, HEART, HOLE) + on_slice(4, HEART)
    path = write_structures(
        tmp_path / "rs.dcm", a_series, {"Heart": heart, "lung ": on_slice(3, LUNG)}
    )
    labels, _, notices = read(path)
    expected = np.zeros(GEOMETRY.array_shape, np.int16)
    for k, polygons in ((1, [HEART]), (2, [HEART, HOLE]), (4, [HEART])):
        expected[k][filled(*polygons)] = 1
    expected[3][filled(LUNG)] = 2
    np.testing.assert_array_equal(labels.array, expected)
    assert labels.geometry == GEOMETRY
    assert notices == ()


def test_structure_set_is_an_annotation_of_the_command_line(a_series, tmp_path, capsys):
    both = {
        "Heart": [c for k in range(6) for c in on_slice(k, HEART)],
        "Lung": [c for k in range(6) for c in on_slice(k, LUNG)],
    }
    path = write_structures(tmp_path / "rs.dcm", a_series, both)
    root = tmp_path / "P"
    assert main(["create", str(root), "--annotated", str(a_series.folder), str(path)]) == 0, (
        capsys.readouterr().err
    )
    stored = masks_of(root / "annotations" / "series.seg.nrrd")
    assert set(stored) == {"Heart", "Lung"}
    for name, polygon in (("Heart", HEART), ("Lung", LUNG)):
        np.testing.assert_array_equal(stored[name], np.stack([filled(polygon)] * 6))


def test_structures_that_are_no_label_are_asked_about(a_series, tmp_path):
    outline = [(0.4, 0.4), (22.6, 0.4), (22.6, 18.6), (0.4, 18.6)]
    structures = {"External": on_slice(2, outline), "Heart": on_slice(2, HEART)}
    path = write_structures(tmp_path / "rs.dcm", a_series, structures)
    with pytest.raises(QuestionError, match="External") as told:
        read(path)
    assert told.value.question.kind is QuestionKind.UNLISTED
    labels = read(path, (QuestionKind.UNLISTED, "background"))[0]
    np.testing.assert_array_equal(labels.array[2], filled(HEART))
    assert np.count_nonzero(labels.array) == np.count_nonzero(filled(HEART))


def test_overlap_of_structures_is_asked_about_with_its_voxels(a_series, tmp_path):
    structures = {"Heart": on_slice(2, HEART), "Lung": on_slice(2, HOLE)}
    path = write_structures(tmp_path / "rs.dcm", a_series, structures)
    with pytest.raises(QuestionError) as told:
        read(path)
    question = told.value.question
    assert (question.kind, question.num_voxels) == (
        QuestionKind.OVERLAP,
        np.count_nonzero(filled(HOLE)),
    )
    labels = read(path, (QuestionKind.OVERLAP, "later"))[0]
    np.testing.assert_array_equal(labels.array[2], np.where(filled(HOLE), 2, filled(HEART)))
    labels = read(path, (QuestionKind.OVERLAP, "earlier"))[0]
    np.testing.assert_array_equal(labels.array[2], filled(HEART))


def test_contours_between_the_slices_are_refused(a_series, tmp_path):
    path = write_structures(tmp_path / "rs.dcm", a_series, {"Heart": on_slice(2.5, HEART)})
    with pytest.raises(AnnotationError, match=r"one lies 0\.50 of a slice away"):
        read(path)


def test_contours_that_are_not_closed_are_refused_with_their_number(a_series, tmp_path):
    heart = {"Heart": on_slice(2, HEART, HOLE)}
    path = write_structures(tmp_path / "rs.dcm", a_series, heart, kind="OPEN_PLANAR")
    with pytest.raises(AnnotationError, match="2 contours of 'Heart' are not closed"):
        read(path)


def test_contours_outside_the_image_are_asked_about(a_series, tmp_path):
    heart = {"Heart": on_slice(2, HEART) + on_slice(9, HEART)}
    path = write_structures(tmp_path / "rs.dcm", a_series, heart)
    with pytest.raises(QuestionError, match="1 contour") as told:
        read(path)
    assert told.value.question.kind is QuestionKind.OUTSIDE


def test_structure_set_of_another_frame_of_reference_is_refused(a_series, tmp_path, capsys):
    heart = {"Heart": [c for k in range(6) for c in on_slice(k, HEART)]}
    path = write_structures(tmp_path / "rs.dcm", a_series, heart, frame="1.2.3.4")
    pair = ["--annotated", str(a_series.folder), str(path)]
    assert main(["create", str(tmp_path / "P"), *pair]) == 1
    assert "another frame of reference (1.2.3.4)" in capsys.readouterr().err


def test_damaged_structure_set_is_told(a_series, tmp_path):
    path = write_structures(tmp_path / "rs.dcm", a_series, {"Heart": on_slice(2, HEART[:2])})
    assert not np.any(read(path)[0].array)
    made = pydicom.dcmread(path)
    made.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2"]
    made.save_as(path)
    with pytest.raises(AnnotationError, match="damaged"):
        read(path)


def test_search_gives_a_structure_set_to_its_series(a_series, tmp_path):
    write_structures(a_series.folder / "rs.dcm", a_series, {"Heart": on_slice(2, HEART)})
    (volume,) = find_volumes(tmp_path, ()).volumes
    assert volume.annotation == str(a_series.folder / "rs.dcm")
