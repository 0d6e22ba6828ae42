"""Segmentations of new volumes, shown over their volumes without a long block of the window."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import (
    VoxelMemory,
    add_segmentation,
    fits_case,
    made_as,
    source_of,
    unpack_labels,
)
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.slice_views import Stage
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema


class SegmentedVolumes:
    """Puts finished segmentations into the scene, where their volumes are there.

    Voxels are read in threads; only what is ready is put into the scene.

    Args:
        work: Reads voxels in threads.
        written: Where volumes that lay nowhere on disk were written, each named by its node.
        folder: For files that nobody needs afterwards.
        labels: Returns the structures that the model segments.
        stage: The views, which show a result with its volume alone.
    """

    def __init__(
        self,
        work: BackgroundWork,
        written: Path,
        folder: Path,
        labels: Callable[[], tuple[LabelClass, ...]],
        stage: Stage,
    ) -> None:
        self._work = work
        self._written = written
        self._folder = folder
        self._labels = labels
        self._stage = stage
        self._numShown = 0

    def show(self, image: str, segmentation: str) -> None:
        """Read a finished segmentation in threads and show it, if its volume is in the scene.

        Args:
            image: The volume that was segmented: a file, or a folder of DICOM slices.
            segmentation: The file that was written.
        """
        if not self._volumes(image):
            return
        self._numShown += 1
        unpacked = self._folder / f"segmented-{self._numShown}.npy"
        labels = LabelSchema(self._labels())
        self._work.do(
            lambda: unpack_labels(Path(segmentation), unpacked),
            lambda grid: self._read(image, unpacked, grid, labels),
        )

    def _volumes(self, image: str) -> list[Any]:
        """Return the nodes that lie in a file; several if a folder holds several series."""
        path = Path(image)
        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        return [node for node in nodes if made_as(node) is None and self._isFrom(node, path)]

    def _isFrom(self, node: Any, path: Path) -> bool:
        if path.parent == self._written:
            return path.stem == str(node.GetID())
        source = source_of(node)
        return source is not None and source.path == path

    def _read(self, image: str, unpacked: Path, grid: Geometry, labels: LabelSchema) -> None:
        volume = next((one for one in self._volumes(image) if fits_case(one, grid)), None)
        if volume is None:  # it was deleted, or changed, while it was segmented
            unpacked.unlink(missing_ok=True)
            return
        memory = VoxelMemory.for_labels(unpacked, grid, labels)
        self._work.do(memory.read, lambda _none: self._put(memory, labels, volume))

    def _put(self, memory: VoxelMemory, labels: LabelSchema, volume: Any) -> None:
        memory.file.unlink(missing_ok=True)
        if slicer.mrmlScene.IsNodePresent(volume):
            name = _("{volume} segmentation").format(volume=volume.GetName())
            node = add_segmentation(memory, labels, name, volume)
            if self._stage.isOfCase:
                self._stage.hideOthers()  # it comes to light when the case is left
            else:
                self._stage.show(volume, None, (node,))
