"""Reading what lies in a project, fast enough to show it: segments, labels, doubt."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.json_codec import from_json, without_version
from PseudoLabelCLLib.storage.files.atomic_files import read_json
from PseudoLabelCLLib.storage.images.itk_files import grid_of, read_header, read_image
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, segments_of
from PseudoLabelCLLib.storage.segments.segment_matching import match_segments
from PseudoLabelCLLib.storage.segments.slicer_segments import Segment


def read_doubt(path: Path) -> Doubt | None:
    """Return the doubt about a proposal, or None where it was never written.

    Raises:
        ProjectDamagedError: The file is not what was written there.
        StorageError: It cannot be read.
    """
    if not path.exists():
        return None
    return from_json(Doubt, without_version(read_json(path), path.name), path.name)


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Return the segments that the header of a file describes; none for a plain label file.

    Raises:
        VolumeError: The file cannot be read.
        AnnotationError: A field is not what Slicer writes.
    """
    return segments_of(read_header(path), path)


def read_labels(path: Path, schema: LabelSchema) -> LabelVolume:
    """Read a segmentation of the project: the same as `read_segmentation`, in a fraction of time.

    The files that the program writes have one layer with a value of its own for each segment, so
    that one look into a table of 256 values tells the label of a voxel. Any other file is left to
    `read_segmentation`.

    Raises:
        AnnotationError: The labels do not fit the schema.
        VolumeError: The file cannot be read.
        StorageError: The disk refuses.
    """
    image = read_image(path)
    segments = segments_of(image, path)
    array = sitk.GetArrayViewFromImage(image)
    table = _table_of(path, segments, schema)
    geometry = grid_of(path, image)
    if table is None or array.dtype != np.uint8 or array.shape != geometry.array_shape:
        return read_segmentation(path, schema)[0]
    found = table[: int(array.max()) + 1]
    if np.array_equal(found, np.arange(len(found))):  # no look into the table, which takes longer
        return LabelVolume(array.astype(np.int16), geometry)
    return LabelVolume(table[array], geometry)


def _table_of(
    path: Path, segments: tuple[Segment, ...], schema: LabelSchema
) -> npt.NDArray[np.int16] | None:
    """Return the label of each value in the file, or None if a table cannot tell."""
    values = [segment.label_value for segment in segments]
    one_layer = all(segment.layer == 0 for segment in segments)
    if not segments or not one_layer or len(set(values)) < len(values):
        return None
    matched = match_segments(path.name, segments, {}, schema)[0]
    if len(matched) < len(segments) or max(values) > np.iinfo(np.uint8).max:
        return None
    table = np.zeros(np.iinfo(np.uint8).max + 1, np.int16)
    for value, segment in matched.items():
        table[segment.label_value] = value
    return table
