"""A segmentation taken out of the scene: numpy layers on the volume's grid, fit for a thread."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLGui.mrml_bridge.nrrd_file import write_nrrd
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segment_identity import label_of_segment
from PseudoLabelCLLib.domain.segmentation import LabelSchema, Terminology
from PseudoLabelCLLib.storage.segments.terminology_text import terminology_text

STATUS_TAG = "Segmentation.Status"
Layer = npt.NDArray[Any]
Labels = npt.NDArray[np.int16]
# No array, or one that the voxels of the next snapshot may be copied into.
CopyPlace = list[npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class SegmentEntry:
    """One segment.

    Args:
        segment_id: Its identity in Slicer.
        name: What a person calls it.
        rgb: Its colour, each part in 0..1.
        layer: Which layer holds it.
        label_value: Its integer within the layer.
        terminology: Its codes, if they were chosen.
        terminology_text: The same as Slicer writes it, or empty.
        status: How far a person is with it, as Slicer writes it, or empty.
    """

    segment_id: str
    name: str
    rgb: tuple[float, float, float]
    layer: int
    label_value: int
    terminology: Terminology | None = None
    terminology_text: str = ""
    status: str = ""


@dataclass(frozen=True)
class Overlap:
    """How many voxels two segments share."""

    first: str
    second: str
    num_voxels: int


@dataclass(frozen=True)
class SegmentationSnapshot:
    """A copy of a segmentation; no method touches the scene.

    Args:
        name: Of the node, for messages.
        geometry: The grid of its volume.
        layers: Label volumes on that grid, shape (k, j, i), all of one type.
        segments: In the order of the node.
        num_voxels_outside: Segmented voxels that lie outside the volume and are not in `layers`.
    """

    name: str
    geometry: Geometry
    layers: tuple[Layer, ...]
    segments: tuple[SegmentEntry, ...]
    num_voxels_outside: int = 0

    def write(self, path: Path) -> None:
        """Write it as an uncompressed .seg.nrrd, as Slicer would; may run in a thread.

        Raises:
            StorageError: The disk refuses.
        """
        write_nrrd(path, self.layers, self.geometry, self._header())

    def differs_from(self, values: Labels, labels: LabelSchema) -> bool:
        """Return whether any voxel has another label value than in an array of shape (k, j, i).

        Where labels overlap, the later counts; segments that fit no label are left out. It is a
        copy of what the project showed, so that identifiers count.
        """
        entries = self._fitting(labels)
        is_as_stored = len(self.layers) == 1 and all(
            entry.label_value == value for value, entry in entries
        )
        for k, other in enumerate(values):
            # nearly always so, and much quicker than merging
            if is_as_stored and np.array_equal(self.layers[0][k], other):
                continue
            if not np.array_equal(self._merged_plane(k, entries), other):
                return True
        return False

    def is_same_as(self, other: "SegmentationSnapshot") -> bool:
        """Return whether another snapshot has the same segments with the same voxels."""
        mine, others = (
            [(entry.segment_id, entry.layer, entry.label_value) for entry in one.segments]
            for one in (self, other)
        )
        if mine != others or len(self.layers) != len(other.layers):
            return False
        return all(np.array_equal(*pair) for pair in zip(self.layers, other.layers, strict=True))

    def has_unknown_segments(self, labels: LabelSchema) -> bool:
        """Return whether a segment that is not one of the structures has voxels."""
        known = {label.segment_id for label in labels}
        unknown = [entry for entry in self.segments if entry.segment_id not in known]
        return any(self._has_voxels(entry) for entry in unknown)

    def empty_segments(self) -> tuple[str, ...]:
        """Return the names of the segments without a voxel."""
        return tuple(entry.name for entry in self.segments if not self._has_voxels(entry))

    def overlaps(self) -> tuple[Overlap, ...]:
        """Count the voxels that two segments share; only those of different layers can."""
        found: list[Overlap] = []
        for one, other in combinations(range(len(self.layers)), 2):
            both = (self.layers[one] != 0) & (self.layers[other] != 0)
            found.extend(self._shared(one, other, both) if both.any() else ())
        return tuple(found)

    def problems(self) -> tuple[str, ...]:
        """Tell what stands in the way or is remarkable, each with its remedy."""
        return (*self._empty(), *self._overlapping(), *self._outside())

    def _empty(self) -> Iterator[str]:
        for name in self.empty_segments():
            yield _(
                "Segment '{segment}' of '{name}' is empty. Segment it, or delete it if the volume "
                "does not show this structure."
            ).format(segment=name, name=self.name)

    def _overlapping(self) -> Iterator[str]:
        for overlap in self.overlaps():
            yield _(
                "Segments '{first}' and '{second}' of '{name}' overlap in {count} voxels, but a "
                "voxel can belong to only one structure: the one further down the project's "
                "list will count. To keep the other one, erase the overlap from this one."
            ).format(
                first=overlap.first,
                second=overlap.second,
                name=self.name,
                count=overlap.num_voxels,
            )

    def _outside(self) -> Iterator[str]:
        if self.num_voxels_outside:
            yield _(
                "{count} voxels of '{name}' lie outside the volume and cannot be used. "
                "Check that the segmentation belongs to this volume."
            ).format(count=self.num_voxels_outside, name=self.name)

    def _shared(self, one: int, other: int, both: npt.NDArray[np.bool_]) -> Iterator[Overlap]:
        values, others = self.layers[one][both], self.layers[other][both]
        for entry in (s for s in self.segments if s.layer == one):
            mine = others[values == entry.label_value]
            for neighbour in (s for s in self.segments if s.layer == other):
                count = int(np.count_nonzero(mine == neighbour.label_value))
                if count:
                    yield Overlap(entry.name, neighbour.name, count)

    def _fitting(self, labels: LabelSchema) -> list[tuple[int, SegmentEntry]]:
        """Return the segments that fit a label, with its value, in the order of the labels."""
        fitting = {}
        for entry in self.segments:
            label = label_of_segment(entry, self.segments, labels, is_own=True)
            if label is not None:
                fitting[label.value] = entry
        return [(value, fitting[value]) for value in labels.values if value in fitting]

    def _merged_plane(self, k: int, entries: list[tuple[int, SegmentEntry]]) -> Labels:
        plane = np.zeros(self.geometry.array_shape[1:], dtype=np.int16)
        for value, entry in entries:
            np.copyto(plane, value, where=self.layers[entry.layer][k] == entry.label_value)
        return plane

    def _has_voxels(self, entry: SegmentEntry) -> bool:
        layer = self.layers[entry.layer]
        middle = len(layer) // 2
        # most structures cross the middle: then a few planes tell
        planes = sorted(range(len(layer)), key=lambda k: abs(k - middle))
        return any((layer[k] == entry.label_value).any() for k in planes)

    def _header(self) -> dict[str, str]:
        extent = " ".join(f"0 {n - 1}" for n in self.geometry.size)
        header = {
            "Segmentation_MasterRepresentation": "Binary labelmap",
            "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
            "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        }
        for number, entry in enumerate(self.segments):
            fields = {
                "ID": entry.segment_id,
                "Name": entry.name,
                "NameAutoGenerated": "0",
                "Color": " ".join(repr(float(part)) for part in entry.rgb),
                "ColorAutoGenerated": "0",
                "Extent": extent,
                "LabelValue": str(entry.label_value),
                "Layer": str(entry.layer),
                "Tags": _tags_of(entry),
            }
            header |= {f"Segment{number}_{key}": text for key, text in fields.items()}
        return header


def _tags_of(entry: SegmentEntry) -> str:
    text = entry.terminology_text
    if not text and entry.terminology is not None:
        text = terminology_text(entry.terminology)
    status = f"{STATUS_TAG}:{entry.status}|" if entry.status else ""
    return f"{status}TerminologyEntry:{text}|" if text else status
