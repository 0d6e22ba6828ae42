"""Segmentation nodes: their labels, what is wrong with them, and their voxels out of the scene."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from PseudoLabelCLGui.mrml_bridge.geometry import (
    geometry_of,
    geometry_of_labelmap,
    match_rasters,
)
from PseudoLabelCLGui.mrml_bridge.segmentation_snapshot import (
    STATUS_TAG,
    CopyPlace,
    Layer,
    SegmentationSnapshot,
    SegmentEntry,
)
from PseudoLabelCLGui.mrml_bridge.statuses import segment_of
from PseudoLabelCLGui.mrml_bridge.terminology import text_of_segment
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segment_identity import label_of_segment
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.segments.terminology_text import terminology_of, terminology_text

BINARY_LABELMAP = "Binary labelmap"


def labels_of(segmentation_node: Any) -> tuple[LabelClass, ...]:
    """Return the segments as labels, with values 1, 2, ... in their order.

    Two segments may still bear the same name; a `LabelSchema` refuses that.
    """
    return tuple(
        LabelClass(
            value=number,
            name=entry.name,
            color=_color_text(entry.rgb),
            terminology=entry.terminology,
            segment_id=entry.segment_id,
        )
        for number, entry in enumerate(_entries(segmentation_node), start=1)
    )


def set_terminology(segmentation_node: Any, segment_id: str, terminology: Terminology) -> None:
    """Give a segment its codes; the names of the lists that it had stay.

    Raises:
        AnnotationError: There is no such segment.
    """
    segment = segment_of(segmentation_node, segment_id)
    text = terminology_text(terminology, like=text_of_segment(segment))
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text)


def segmentation_problems(
    segmentation_node: Any,
    volume_node: Any,
    labels: LabelSchema | None,
    *,
    look_at_voxels: bool = True,
) -> tuple[str, ...]:
    """Tell what stands in the way of using a segmentation, each with its remedy.

    Args:
        segmentation_node: The segmentation.
        volume_node: The volume that it belongs to.
        labels: The labels of the project; None if they are to be taken from this segmentation.
        look_at_voxels: Whether to look for empty and overlapping segments, which takes long on a
            large volume; `SegmentationSnapshot.problems` does the same in a thread.
    """
    problems = [
        *_node_problems(segmentation_node),
        *_match_problems(segmentation_node, labels),
        *_grid_problems(segmentation_node, volume_node),
    ]
    if look_at_voxels and not problems:
        problems += snapshot_segmentation(segmentation_node, volume_node).problems()
    return tuple(problems)


def snapshot_segmentation(
    segmentation_node: Any,
    volume_node: Any,
    geometry: Geometry | None = None,
    *,
    copy_place: CopyPlace | None = None,
    is_copy: bool = True,
) -> SegmentationSnapshot:
    """Copy a segmentation out of the scene, onto the grid of its volume.

    Args:
        segmentation_node: The segmentation.
        volume_node: Its volume.
        geometry: The grid of the volume in its file, if that orders the voxels otherwise.
        copy_place: An array that is taken for the copy if it fits, or None.
        is_copy: Whether voxels are copied; without, the snapshot is good only at once, on the GUI
            thread.

    Raises:
        AnnotationError: It is transformed, holds no label volumes, or has another grid.
        VolumeError: The volume has no voxels.
    """
    problems = [*_node_problems(segmentation_node), *_grid_problems(segmentation_node, volume_node)]
    if problems:
        raise AnnotationError(Text(problems[0]))
    geometry = geometry or geometry_of(volume_node)
    entries = _entries(segmentation_node)
    labelmaps = _layers_of(segmentation_node)
    kind = np.result_type(np.uint8, *(voxels.dtype for voxels, _grid in labelmaps.values()))
    pasted = [
        _pasted(voxels, grid, geometry, _Copying(kind, copy_place or [], is_copy=is_copy))
        for voxels, grid in labelmaps.values()
    ]
    layers = tuple(layer for layer, _count in pasted)
    return SegmentationSnapshot(
        name=segmentation_node.GetName(),
        geometry=geometry,
        layers=layers or (np.zeros(geometry.array_shape, dtype=np.uint8),),
        segments=_renumbered(entries, list(labelmaps)),
        num_voxels_outside=sum(count for _layer, count in pasted),
    )


def save_segmentation(segmentation_node: Any, file: Path, volume_node: Any) -> None:
    """Write a segmentation as an uncompressed .seg.nrrd on the grid of its volume.

    On a large volume take `snapshot_segmentation` and write that in a thread.

    Raises:
        AnnotationError: It is transformed, holds no label volumes, or has another grid.
        StorageError: The disk refuses.
    """
    snapshot_segmentation(segmentation_node, volume_node).write(file)


def _entries(segmentation_node: Any) -> tuple[SegmentEntry, ...]:
    segmentation = segmentation_node.GetSegmentation()
    found = []
    for number in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(number)
        segment = segmentation.GetSegment(segment_id)
        text = text_of_segment(segment)
        found.append(
            SegmentEntry(
                segment_id=segment_id,
                name=(segment.GetName() or "").strip() or segment_id,
                rgb=tuple(segment.GetColor()),
                layer=segmentation.GetLayerIndex(segment_id),
                label_value=segment.GetLabelValue(),
                terminology=terminology_of(text),
                terminology_text=text,
                status=_status_of(segment),
            )
        )
    return tuple(found)


def _status_of(segment: Any) -> str:
    text = vtk.reference("")
    return str(text) if segment.GetTag(STATUS_TAG, text) else ""


def _color_text(rgb: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(min(max(part, 0.0), 1.0) * 255):02x}" for part in rgb)


def _layers_of(segmentation_node: Any) -> dict[int, tuple[Layer, Geometry]]:
    """Return the voxels and grid of every layer that has voxels, by its number."""
    segmentation = segmentation_node.GetSegmentation()
    found = {}
    for number in range(segmentation.GetNumberOfLayers()):
        labelmap = segmentation.GetLayerDataObject(number, BINARY_LABELMAP)
        if labelmap is not None and labelmap.GetNumberOfPoints() > 0:
            grid = geometry_of_labelmap(labelmap)
            scalars = labelmap.GetPointData().GetScalars()
            if scalars is not None:
                found[number] = (vtk_to_numpy(scalars).reshape(grid.array_shape), grid)
    return found


@dataclass(frozen=True)
class _Copying:
    kind: np.dtype[Any]
    place: CopyPlace
    is_copy: bool

    def empty(self, shape: tuple[int, ...]) -> Layer:
        if self.place and (self.place[0].shape, self.place[0].dtype) == (shape, self.kind):
            return self.place.pop()
        return np.empty(shape, dtype=self.kind)

    def copy_of(self, voxels: Layer) -> Layer:
        if not self.is_copy and voxels.dtype == self.kind:
            return voxels
        whole = self.empty(voxels.shape)
        np.copyto(whole, voxels)
        return whole


def _pasted(
    voxels: Layer, grid: Geometry, geometry: Geometry, copying: _Copying
) -> tuple[Layer, int]:
    """Copy a layer onto another grid of the same raster; count what falls outside."""
    match = match_rasters(grid, geometry)
    if match is None:
        raise AnnotationError(
            Text(_("The voxels of a segmentation and its volume do not coincide."))
        )
    turned, shape = match.put_right(voxels), geometry.array_shape
    if not any(match.offset) and turned.shape == shape:
        return copying.copy_of(turned), 0
    inside = tuple(
        slice(max(0, -start), max(0, min(have, want - start)))
        for start, have, want in zip(match.offset, turned.shape, shape, strict=True)
    )
    part = turned[inside]
    there = tuple(
        slice(max(0, start), max(0, start) + length)
        for start, length in zip(match.offset, part.shape, strict=True)
    )
    whole = copying.empty(shape)
    whole.fill(0)
    if part.size:
        whole[there] = part
    lost = 0 if part.size == voxels.size else np.count_nonzero(voxels) - np.count_nonzero(part)
    return whole, int(lost)


def _renumbered(entries: tuple[SegmentEntry, ...], kept: list[int]) -> tuple[SegmentEntry, ...]:
    """Let segments point at the layers that were kept; those of empty layers join the first."""
    values = {number: [e.label_value for e in entries if e.layer == number] for number in kept}
    unused = max(values[kept[0]], default=0) + 1 if kept else 1
    found = []
    for entry in entries:
        fields = dict(vars(entry))
        if entry.layer in kept:
            fields["layer"] = kept.index(entry.layer)
        else:
            fields |= {"layer": 0, "label_value": unused}
            unused += 1
        found.append(SegmentEntry(**fields))
    return tuple(found)


def _node_problems(segmentation_node: Any) -> Iterator[str]:
    name = segmentation_node.GetName()
    if segmentation_node.GetParentTransformNode() is not None:
        yield _(
            "Segmentation '{name}' is under transform '{transform}'. Harden the transform (in "
            "the Data module: right-click, Harden transform) or remove it."
        ).format(name=name, transform=segmentation_node.GetParentTransformNode().GetName())
    segmentation = segmentation_node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0:
        yield _("Segmentation '{name}' has no segments. Add one in the Segment Editor.").format(
            name=name
        )
    elif segmentation.GetSourceRepresentationName() != BINARY_LABELMAP:
        yield _(
            "Segmentation '{name}' is stored as {kind}, not as voxels. In the Segmentations "
            "module, create 'Binary labelmap' under Representations and make it the source."
        ).format(name=name, kind=segmentation.GetSourceRepresentationName())


def _grid_problems(segmentation_node: Any, volume_node: Any) -> Iterator[str]:
    geometry = geometry_of(volume_node)
    for _voxels, grid in _layers_of(segmentation_node).values():
        if match_rasters(grid, geometry) is None:
            yield _(
                "Segmentation '{name}' is on a different grid ({found}) from volume '{volume}' "
                "({expected}). In the Segment Editor choose '{volume}' as source volume, press "
                "the button next to it (Specify geometry), and use the geometry of '{volume}'."
            ).format(
                name=segmentation_node.GetName(),
                found=_grid_words(grid),
                volume=volume_node.GetName(),
                expected=_grid_words(geometry),
            )
            return


def _grid_words(geometry: Geometry) -> str:
    origin = ", ".join(f"{mm:.4g}" for mm in geometry.origin_mm)
    turned = not np.allclose(np.abs(geometry.direction_matrix), np.eye(3), atol=1e-4)
    words = _("{grid} from ({origin}) mm").format(grid=geometry.describe(), origin=origin)
    return words + (_(", oblique") if turned else "")


def _match_problems(segmentation_node: Any, labels: LabelSchema | None) -> Iterator[str]:
    if labels is None:
        return
    entries = _entries(segmentation_node)
    seen: dict[int, SegmentEntry] = {}
    for entry in entries:
        label = label_of_segment(entry, entries, labels)
        if label is None:
            continue  # what it is, is asked when its file is read
        if label.value in seen:
            yield _(
                "Segments '{first}' and '{second}' of '{name}' are both '{label}'. Merge them, "
                "or rename one."
            ).format(
                first=seen[label.value].name,
                second=entry.name,
                name=segmentation_node.GetName(),
                label=label.name,
            )
        else:
            seen[label.value] = entry
