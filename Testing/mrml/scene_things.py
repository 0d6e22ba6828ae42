"""Volumes and segmentations for the tests: made by MRML's own means, not by the bridge."""

import numpy as np
import SimpleITK as sitk
import slicer

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology

SIZE = (11, 9, 7)


def turned(degrees_x, degrees_y, degrees_z, flip=(1, 1, 1)):
    """Return a direction matrix: rotations about x, y, z, then single axes reversed."""
    a, b, c = np.radians((degrees_x, degrees_y, degrees_z))
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    matrix = np.array(about_z) @ about_y @ about_x @ np.diag(flip)
    return tuple(matrix.ravel().tolist())


GEOMETRIES = {
    "plain": Geometry(SIZE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), turned(0, 0, 0)),
    "anisotropic": Geometry(SIZE, (0.4, 0.7, 5.0), (-81.5, 12.25, 300.125), turned(0, 0, 0)),
    "oblique": Geometry(SIZE, (0.8, 0.9, 2.5), (10.0, -20.0, 33.3), turned(12, -25, 40)),
    "left-handed": Geometry(SIZE, (1.1, 0.9, 3.0), (5.0, 6.0, 7.0), turned(0, 0, 0, (1, 1, -1))),
    "oblique and left-handed": Geometry(
        SIZE, (1.3, 0.6, 4.0), (-7.0, 80.0, -9.5), turned(-33, 14, 71, (-1, 1, 1))
    ),
    "sagittal": Geometry(SIZE, (0.5, 0.5, 3.0), (1.0, 2.0, 3.0), (0, 0, 1, 1, 0, 0, 0, -1, 0)),
}


def ras_matrix(geometry):
    """Return index to RAS, written down from the definition of the two systems."""
    i, j, k = (np.array(geometry.direction).reshape(3, 3)[:, axis] for axis in range(3))
    matrix = np.eye(4)
    for column, (axis, spacing) in enumerate(zip((i, j, k), geometry.spacing_mm, strict=True)):
        matrix[:3, column] = -axis[0] * spacing, -axis[1] * spacing, axis[2] * spacing
    x, y, z = geometry.origin_mm
    matrix[:3, 3] = -x, -y, z
    return matrix


def add_volume_node(array, geometry, name="volume", class_name="vtkMRMLScalarVolumeNode"):
    return slicer.util.addVolumeFromArray(
        array, ijkToRAS=ras_matrix(geometry), name=name, nodeClassName=class_name
    )


def add_segmentation_node(volume_node, masks, name="segmentation", ids=None):
    """Add a segmentation from boolean arrays by name, each painted as Slicer's scripts do it."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    for segment_name, mask in masks.items():
        segment_id = (ids or {}).get(segment_name, "")
        segment_id = node.GetSegmentation().AddEmptySegment(segment_id, segment_name)
        if mask is not None:
            slicer.util.updateSegmentBinaryLabelmapFromArray(
                mask.astype(np.uint8), node, segment_id, volume_node
            )
    return node


def segment_ids(node):
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]


def painted(node, segment_id, volume_node):
    """Return a segment's voxels on a volume's grid, as Slicer resamples it."""
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume_node)
    return array.astype(bool)


def box(*slices, shape=SIZE[::-1]):
    mask = np.zeros(shape, dtype=bool)
    mask[slices] = True
    return mask


def physical_values(image, points):
    """Return the voxels of an ITK image at LPS points that are voxel centres."""
    indices = [image.TransformPhysicalPointToIndex([float(x) for x in p]) for p in points]
    return np.array([image.GetPixel(index) for index in indices])


def ras_points(geometry, indices):
    """Return the RAS points of voxel indices (i, j, k)."""
    homogeneous = np.column_stack([indices, np.ones(len(indices))])
    return (ras_matrix(geometry) @ homogeneous.T).T[:, :3]


def all_indices(size=SIZE):
    return np.stack(np.meshgrid(*(range(n) for n in size), indexing="ij"), axis=-1).reshape(-1, 3)


def read_itk(path):
    return sitk.ReadImage(str(path))


HEART = Terminology(
    category=Code("SCT", "123037004", "Anatomical Structure"),
    type=Code("SCT", "80891009", "Heart"),
)
LEFT_KIDNEY = Terminology(
    category=Code("SCT", "123037004", "Anatomical Structure"),
    type=Code("SCT", "64033007", "Kidney"),
    type_modifier=Code("SCT", "7771000", "Left"),
    region=Code("SCT", "113345001", "Abdomen"),
    region_modifier=Code("SCT", "24028007", "Right"),
)
LABELS = LabelSchema(
    (
        LabelClass(2, "Herz, größer 心", "#e69f00", HEART, "heart"),
        LabelClass(5, "niere", "#56b4e9", LEFT_KIDNEY, "kidney"),
        LabelClass(9, "rest", "#009e73", None, "Segment_1"),
    )
)


def some_labels(shape=SIZE[::-1]):
    """Return label values of `LABELS`, an asymmetric picture."""
    values = np.zeros(shape, dtype=np.int16)
    values[1:4, 2:6, 1:5] = 2
    values[3:6, 4:8, 5:10] = 5
    values[0, 0, 0:3] = 9
    return values
