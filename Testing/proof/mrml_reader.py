"""The way of a DICOM segmentation into 3D Slicer's scene, with real MRML objects.

Slicer's DICOM plugin lets dcmqi write label volumes, with as many segments in each as do not
overlap, imports them into one segmentation node, and takes its geometry from the volume of the
series. The same is done here with the classes that Slicer does it with.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import slicer
import vtk
from readers import Points, label_volumes

_LOGICS = {
    "terminologies": "vtkSlicerTerminologiesModuleLogic",
    "volumes": "vtkSlicerVolumesLogic",
    "segmentations": "vtkSlicerSegmentationsModuleLogic",
}


@contextmanager
def empty_scene() -> Iterator[None]:
    """An empty scene with the logics that Slicer's functions ask for."""
    vtk.vtkObject.GlobalWarningDisplayOff()
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    logics = {name: getattr(slicer, class_name)() for name, class_name in _LOGICS.items()}
    for logic in logics.values():
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
    before = getattr(slicer, "mrmlScene", None), getattr(slicer, "modules", None)
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(
        **{name: SimpleNamespace(logic=lambda it=logic: it) for name, logic in logics.items()}
    )
    yield
    slicer.mrmlScene, slicer.modules = before
    scene.Clear(1)
    for logic in logics.values():
        logic.SetMRMLScene(None)


def by_slicer(
    path: Path, num_segments: int, files: Sequence[Path], programs: str | None = None
) -> Points:
    """Read an object as Slicer does, beside the volume of its series.

    Args:
        path: The object.
        num_segments: How many segments it describes.
        files: The slices of the series, in any order.
        programs: The folder of dcmqi's programs; by default the PATH.
    """
    with empty_scene(), TemporaryDirectory() as folder:
        volume = load_series(files)
        node = new_segmentation(volume)
        ids = {}
        for file, values in label_volumes(path, Path(folder), programs, "--mergeSegments"):
            ids |= import_labels(node, file, values)
        lost = [np.empty((0, 3))] * num_segments
        return [
            segment_points(node, ids[number], volume) if number in ids else lost[number - 1]
            for number in range(1, num_segments + 1)
        ]


def load_series(files: Sequence[Path]) -> Any:
    """Load the slices of a series as one volume node, with Slicer's reader."""
    reader = slicer.vtkMRMLVolumeArchetypeStorageNode()
    reader.SetFileName(str(files[0]))
    for file in files:
        reader.AddFileName(str(file))
    return _read(reader, "vtkMRMLScalarVolumeNode")


def new_segmentation(volume: Any) -> Any:
    """Add an empty segmentation that has the geometry of a volume."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "read")
    node.GetSegmentation().SetSourceRepresentationName("Binary labelmap")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def import_labels(node: Any, file: Path, values: Mapping[int, int]) -> dict[int, str]:
    """Import a label volume; return the new segments' ids by their number in the object.

    Args:
        node: The segmentation.
        file: The label volume.
        values: The segment number of each label value.
    """
    reader = slicer.vtkMRMLVolumeArchetypeStorageNode()
    reader.SetFileName(str(file))
    reader.SetSingleFile(1)
    labels = _read(reader, "vtkMRMLLabelMapVolumeNode")
    segmentation = node.GetSegmentation()
    before = segmentation.GetNumberOfSegments()
    logic = slicer.modules.segmentations.logic()
    if not logic.ImportLabelmapToSegmentationNode(labels, node):
        raise ValueError(f"'{file.name}' was not imported")
    slicer.mrmlScene.RemoveNode(labels)
    new = [
        segmentation.GetNthSegmentID(n) for n in range(before, segmentation.GetNumberOfSegments())
    ]
    # Slicer's plugin gives names and codes to the new segments one after the other
    return dict(zip((values[value] for value in sorted(values)), new, strict=False))


def segment_points(node: Any, segment_id: str, volume: Any) -> np.ndarray:
    """Return the voxel centres of a segment on the grid of a volume, in LPS."""
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras)
    ras = np.argwhere(mask)[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3]
    return ras * (-1, -1, 1)


def _read(reader: Any, class_name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass(class_name)
    if not reader.ReadData(node):
        raise ValueError(f"Slicer did not read '{reader.GetFileName()}'")
    return node
