"""What Slicer's own DICOM export makes of a prepared proposal, step by step with its classes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
import vtk
from PseudoLabelCLGui.mrml_bridge import prepare_for_dicom_export, show_segmentation

from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology

sys.path.append(str(Path(__file__).parents[1] / "proof"))
sys.path.append(str(Path(__file__).parents[1] / "backend"))
import dicom_phantoms as phantoms
from grid_by_hand import grid_of_series
from mrml_reader import load_series
from readers import by_hand, voxels_on
from trial_objects import bodies

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        shutil.which("itkimage2segimage") is None, reason="dcmqi is not on the PATH"
    ),
]
LABELS = LabelSchema(
    tuple(
        LabelClass(n, name, "#56b4e9", propose_terminology(name)[0])
        for n, name in enumerate(("liver", "left kidney", "spleen"), start=1)
    )
)


def tag_of(segment, name):
    text = vtk.reference("")
    assert segment.GetTag(name, text)
    return str(text)


def code(thing):
    return {
        "CodeValue": thing.GetCodeValue(),
        "CodingSchemeDesignator": thing.GetCodingSchemeDesignator(),
        "CodeMeaning": thing.GetCodeMeaning(),
    }


def described(segment):
    """Describe a segment for dcmqi by its tags, read by Slicer's terminology logic."""
    entry = slicer.vtkSlicerTerminologyEntry()
    text = tag_of(segment, slicer.vtkSegment.GetTerminologyEntryTagName())
    slicer.modules.terminologies.logic().DeserializeTerminologyEntry(text, entry)
    return {
        "labelID": 1,
        "SegmentLabel": segment.GetName(),
        "SegmentDescription": entry.GetCategoryObject().GetCodeMeaning(),
        "SegmentAlgorithmType": tag_of(segment, "DICOM.SegmentAlgorithmType"),
        "SegmentAlgorithmName": tag_of(segment, "DICOM.SegmentAlgorithmName"),
        "SegmentedPropertyCategoryCodeSequence": code(entry.GetCategoryObject()),
        "SegmentedPropertyTypeCodeSequence": code(entry.GetTypeObject()),
    }


def label_file(node, segment_id, file):
    """Store one segment on the grid of the volume that the segmentation refers to."""
    ids, merged = vtk.vtkStringArray(), slicer.vtkOrientedImageData()
    ids.InsertNextValue(segment_id)
    node.GenerateMergedLabelmapForAllSegments(merged, 0, None, ids)
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.modules.segmentations.logic()
    assert logic.CreateLabelmapVolumeFromOrientedImageData(merged, labels)
    writer = slicer.vtkMRMLNRRDStorageNode()
    writer.SetFileName(str(file))
    assert writer.WriteData(labels)
    slicer.mrmlScene.RemoveNode(labels)
    return file


@pytest.mark.parametrize("plane", ["oblique", "flipped in-plane"])
def test_slicers_export_keeps_voxels_names_and_origin(scene, tmp_path, plane):
    series = phantoms.write_series(tmp_path / "series", phantoms.grid(plane))
    grid = grid_of_series(series.folder)
    drawn = bodies(grid.shape)
    np.save(tmp_path / "labels.npy", drawn.astype(np.int16))
    volume = load_series(grid.files)
    node = show_segmentation(tmp_path / "labels.npy", series.geometry, LABELS, "proposal", volume)
    prepare_for_dicom_export(node, volume)
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(label.segment_id) for label in LABELS]
    meta = {
        "ContentCreatorName": "Slicer", "SeriesNumber": "100", "InstanceNumber": "1",
        "segmentAttributes": [[described(segment)] for segment in segments],
    }  # fmt: skip
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    files = [label_file(node, s.segment_id, tmp_path / f"{s.value}.nrrd") for s in LABELS]
    subprocess.run(
        [
            "itkimage2segimage", "--inputDICOMDirectory", series.folder,
            "--inputImageList", ",".join(map(str, files)),
            "--inputMetadata", tmp_path / "meta.json", "--outputDICOM", tmp_path / "out.dcm",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    for number, points in enumerate(by_hand(tmp_path / "out.dcm", 3), start=1):
        assert np.array_equal(voxels_on(grid, points), drawn == number)
    told = pydicom.dcmread(tmp_path / "out.dcm").SegmentSequence
    assert [item.SegmentLabel for item in told] == ["liver", "left kidney", "spleen"]
    assert {item.SegmentAlgorithmType for item in told} == {"AUTOMATIC"}
    assert {item.SegmentAlgorithmName for item in told} == {"PseudoLabelCL"}
    codes = [item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in told]
    assert codes == [label.terminology.type.value for label in LABELS]
