"""Segmentations in and out: Slicer's .seg.nrrd with its segments, and plain label volumes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat, is_slicer_segmentation
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.segmentation import (
    BACKGROUND_VALUE,
    MAX_LABEL_VALUE,
    LabelClass,
    LabelSchema,
    SegmentStatus,
)
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.images.itk_files import (
    grid_of,
    image_of,
    read_header,
    read_image,
    voxels_of,
    write_image,
)
from PseudoLabelCLLib.storage.segments.label_values import (
    SWAPPED,
    Labels,
    are_label_values,
    check_values,
    count_any_values,
    count_values,
    plain_labels,
    schema_of_values,
)
from PseudoLabelCLLib.storage.segments.segment_matching import (
    ask_which_has_the_voxels,
    match_segments,
    settle_overlaps,
    unclaimed_notice,
)
from PseudoLabelCLLib.storage.segments.slicer_segments import (
    Segment,
    header_for,
    schema_of,
    segments_in,
)

Layers = npt.NDArray[Any]


def read_segmentation(
    path: Path,
    schema: LabelSchema | None,
    near: Geometry | None = None,
    asking: Asking | None = None,
    *,
    made_from: Path | None = None,
) -> tuple[LabelVolume, LabelSchema, tuple[Text, ...]]:
    """Read a segmentation as one label volume with the values of a schema.

    Names and terms tell which segment is which label. Identifiers count only where the project
    gave them, for Slicer renumbers them in every file.

    Args:
        path: A .seg.nrrd file, a DICOM segmentation object or structure set, or a label volume
            (.nii, .nii.gz, .nrrd, .mha, .mhd).
        schema: The labels of the project; None takes those of the file.
        near: The grid of the volume, for files that leave theirs open: objects without a slice
            distance, NIfTI files with two places.
        asking: Asks the person about what could be wrong; None for a file of the project.
        made_from: A file of the project that a person changed into this one, or None; a segment
            with identifier and name of one of its segments is the same structure.

    Returns:
        The labels on the file's own grid, their schema (longer than the one given if a person
        wants values that it lacks as new structures), and sentences about what a person should
        know (overlaps, ignored voxels).

    Raises:
        AnnotationError: The labels do not fit the schema, or it is not a segmentation.
        QuestionError: A person has to say what is meant.
        VolumeError: The file is damaged.
        StorageError: The disk refuses.
    """
    if looks_like_dicom(path):
        return _read_dicom(path, schema, near, asking)
    image = read_image(path)
    segments = segments_of(image, path)
    geometry = grid_of(path, image, near)
    if segments:
        used = schema or schema_of(segments)
        found = _Found(path, segments, _layers_of(image, geometry))
        known = segments_of(read_header(made_from), made_from) if made_from else None
        array, statuses, used, notices = _merge(found, used, asking, made_from=known)
        return LabelVolume(array, geometry, statuses), used, notices
    if is_slicer_segmentation(path) and (schema is None or asking is not None):
        raise AnnotationError(
            Text(
                "'{file}' is a segmentation of Slicer by its name but describes no "
                "segments, so nothing says which structure each value is.",
                file=path.name,
            ),
            Text(
                "Open it in Slicer, name its segments, and save it again. If its values are "
                "the label values of the project, rename it to end in .nrrd."
            ),
        )
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise AnnotationError(
            Text(
                "'{file}' holds several values per voxel and no segments; expected labels.",
                file=path.name,
            ),
            SWAPPED,
        )
    voxels = voxels_of(path, image).reshape(geometry.array_shape)
    values = plain_labels(path, voxels)
    if asking is not None and (near is None or math.prod(near.size) <= math.prod(geometry.size)):
        values.settle_background(schema, asking)
    schema = schema_of_values(path, values.counts) if schema is None else schema
    if asking is not None:
        schema = values.settle_unlisted(schema, asking)
    check_values(path, values.counts, schema)
    return LabelVolume(values.labels, geometry), schema, ()


def _read_dicom(
    path: Path, schema: LabelSchema | None, near: Geometry | None, asking: Asking | None
) -> tuple[LabelVolume, LabelSchema, tuple[Text, ...]]:
    # The library of DICOM loads slowly, and other files do without.
    from PseudoLabelCLLib.storage.dicom.annotation import (  # noqa: PLC0415
        read_object_as_labels,
    )
    from PseudoLabelCLLib.storage.dicom.structure_set import (  # noqa: PLC0415
        is_structure_set,
        read_structures_as_labels,
    )

    if is_structure_set(path):
        return read_structures_as_labels(path, schema, near, asking)
    return read_object_as_labels(path, schema, near, asking)


def write_segmentation(
    path: Path, labels: LabelVolume, schema: LabelSchema, image: Path | None = None
) -> None:
    """Write a segmentation; a path ending in .seg.nrrd gets names, colours and codes for Slicer.

    Args:
        path: Where to.
        labels: What is written.
        schema: The labels of the project.
        image: The file of the image, whose place a NIfTI file takes over as it is.

    Raises:
        AnnotationError: A voxel holds a value that the schema lacks.
        VolumeError: The format cannot be written.
        StorageError: The disk refuses.
    """
    check_values(path, count_values(labels.array), schema)
    fits_a_byte = max(schema.values) <= np.iinfo(np.uint8).max
    written = image_of(labels.array.astype(np.uint8 if fits_a_byte else np.int16), labels.geometry)
    if path.name.lower().endswith(SegmentationFormat.SEG_NRRD.suffix):
        for key, text in header_for(schema, labels.geometry.size, labels.statuses).items():
            written.SetMetaData(key, text)
    write_image(path, written, image)


def segments_of(image: Any, path: Path) -> tuple[Segment, ...]:
    """Return the segments that the header of a file describes; none for a plain label file.

    Args:
        image: The image, or a reader that has read its header.
        path: For messages.

    Raises:
        AnnotationError: A field is not what Slicer writes.
    """
    # a damaged key is no text that ITK would take back
    keys = (k for k in image.GetMetaDataKeys() if k.startswith("Segment") and k.isascii())
    header = {key: _readable(image.GetMetaData(key)) for key in keys}
    is_image = isinstance(image, sitk.Image)
    num_layers = (
        image.GetNumberOfComponentsPerPixel() if is_image else image.GetNumberOfComponents()
    )
    return segments_in(header, path.name, num_layers)


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True)
class _Found:
    """A file as it is: its segments, and its label volumes of shape (layers, k, j, i)."""

    path: Path
    segments: tuple[Segment, ...]
    layers: Layers


def _layers_of(image: Any, geometry: Geometry) -> Layers:
    """Return the label volumes of a file, shape (layers, k, j, i)."""
    array = sitk.GetArrayFromImage(image)
    num_layers = image.GetNumberOfComponentsPerPixel()
    return np.moveaxis(array.reshape((*geometry.array_shape, num_layers)), -1, 0)


def _merge(
    found: _Found,
    schema: LabelSchema,
    asking: Asking | None,
    *,
    made_from: tuple[Segment, ...] | None,
) -> tuple[Labels, dict[int, SegmentStatus], LabelSchema, tuple[Text, ...]]:
    path, segments, layers = found.path, found.segments, found.layers
    for segment in segments:
        if segment.layer >= len(layers):
            raise AnnotationError(
                Text(
                    "'{file}' is damaged: segment '{segment}' lies in layer {layer}, the "
                    "file has {count}.",
                    file=path.name,
                    segment=segment.name,
                    layer=segment.layer,
                    count=len(layers),
                ),
                Text("Save the segmentation again in Slicer."),
            )
    counts = [count_any_values(layer) for layer in layers]
    segments = tuple(_without_doubles(path, segments, counts, asking))
    occupied = {
        s: counts[s.layer][s.label_value] for s in segments if s.label_value in counts[s.layer]
    }
    matched, notices, schema = match_segments(
        path.name, segments, occupied, schema, asking, made_from=made_from
    )
    if len(layers) == 1 and are_label_values(layers[0]):
        merged = _translated(layers[0], {s.label_value: v for v, s in matched.items()})
    else:
        merged, overlaps = _joined(path, layers, matched, schema, asking)
        notices.extend(overlaps)
    notices.extend(
        unclaimed_notice(path.name, count, asking) for count in _unclaimed(counts, segments)
    )
    statuses = {value: s.status for value, s in matched.items() if s.status is not None}
    return merged, statuses, schema, tuple(notices)


def _without_doubles(
    path: Path,
    segments: tuple[Segment, ...],
    counts: list[dict[int, int]],
    asking: Asking | None,
) -> Iterator[Segment]:
    """Yield the segments, and of several with the same voxels the one that keeps them."""
    for segment in segments:
        count = counts[segment.layer].get(segment.label_value, 0)
        place = (segment.layer, segment.label_value)
        sharing = [other for other in segments if (other.layer, other.label_value) == place]
        if not count or len(sharing) == 1:
            yield segment
        elif segment is sharing[0]:
            yield ask_which_has_the_voxels(path.name, sharing, count, asking)


def _translated(layer: npt.NDArray[Any], values: dict[int, int]) -> Labels:
    """Return a layer with the values of the project: one look into a table for each voxel."""
    table = np.zeros(MAX_LABEL_VALUE + 1, np.int16)
    for own, value in values.items():
        if own <= MAX_LABEL_VALUE:
            table[own] = value
    translated: Labels = table[layer]
    return translated


def _joined(
    path: Path,
    layers: Layers,
    matched: dict[int, Segment],
    schema: LabelSchema,
    asking: Asking | None,
) -> tuple[Labels, list[Text]]:
    """Return layers that may overlap as one, and the overlaps in words."""
    labels = [label for label in schema if label.value in matched]
    merged, overlaps = _painted(layers, matched, labels)
    later_wins, notices = settle_overlaps(path.name, overlaps, asking)
    if not later_wins:
        merged, _ = _painted(layers, matched, labels[::-1])
    return merged, notices


def _painted(
    layers: Layers, matched: dict[int, Segment], labels: list[LabelClass]
) -> tuple[Labels, dict[tuple[str, str], int]]:
    """Return labels painted over each other in their order, and how many voxels were taken."""
    merged, overlaps = np.zeros(layers.shape[1:], dtype=np.int16), dict[tuple[str, str], int]()
    for label in labels:
        segment = matched[label.value]
        mask = layers[segment.layer] == segment.label_value
        taken = merged[mask]
        for other in labels:
            count = int(np.count_nonzero(taken == other.value))
            if count:
                overlaps[other.name, label.name] = count
        merged[mask] = label.value
    return merged, overlaps


def _unclaimed(counts: list[dict[int, int]], segments: tuple[Segment, ...]) -> Iterator[int]:
    for index, found in enumerate(counts):
        known = {BACKGROUND_VALUE, *(s.label_value for s in segments if s.layer == index)}
        count = sum(number for value, number in found.items() if value not in known)
        if count:
            yield count
