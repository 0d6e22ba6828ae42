"""The voxels of a case on their way from the service's files into the scene."""

from pathlib import Path

import numpy as np

from PseudoLabelCLGui.mrml_bridge.segmentation_snapshot import CopyPlace
from PseudoLabelCLGui.mrml_bridge.voxel_memory import SpareVoxels, VoxelMemory
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import CaseFiles


class CaseMemory:
    """The voxels of a case on their way into the scene.

    Making it is quick and belongs to the GUI thread; `read` may run in a thread and takes nearly
    all the time; `show_case` then puts the result into the scene.

    Args:
        files: What the service answered.
        labels: The structures.
        with_image: Whether the image is wanted too; it is not if the scene has it.
        with_doubt: Whether the map of doubt is wanted.
        spare: Memory of a case that was left, or None.

    Raises:
        VolumeError: A file is missing, damaged, or of another size.
    """

    def __init__(
        self,
        files: CaseFiles,
        labels: LabelSchema,
        *,
        with_image: bool,
        with_doubt: bool = True,
        spare: SpareVoxels | None = None,
    ) -> None:
        grid = files.geometry

        def of_labels(file: str | None) -> VoxelMemory | None:
            return VoxelMemory.for_labels(Path(file), grid, labels, spare) if file else None

        self.files = files
        self.labels = labels
        self.image = self.doubt = None
        if with_image and files.image:
            self.image = VoxelMemory.for_volume(Path(files.image), grid, spare)
        if with_doubt and files.uncertainty:
            self.doubt = VoxelMemory.for_doubt(Path(files.uncertainty), grid, spare)
        self.proposal = of_labels(editable_file(files))
        self.previous = of_labels(files.previous)
        # where a correction is copied to: memory that was touched before is filled quickly
        self.copy_place: CopyPlace = []
        self.slices: tuple[int, ...] = files.doubtful_slices

    def read(self) -> None:
        """Read all voxels; may run in a thread.

        Raises:
            VolumeError: A file is missing, damaged, or of another size.
            AnnotationError: A label value does not fit.
        """
        for memory in (self.image, self.proposal, self.doubt, self.previous):
            if memory is not None:
                memory.read()
        if self.proposal is not None:
            place = np.empty(self.proposal.geometry.array_shape, dtype=np.uint8)
            place.fill(0)
            self.copy_place = [place]
            self.slices = self._slices_to_judge()

    def _slices_to_judge(self) -> tuple[int, ...]:
        """Return the doubtful slices, those with a structure first; or the one with most of it."""
        assert self.proposal is not None
        counts = self.proposal.count_per_slice(self.files.slicing_axis)
        doubtful = self.files.doubtful_slices
        if not doubtful:
            return (int(counts.argmax()),) if counts.any() else ()
        return (*(n for n in doubtful if counts[n]), *(n for n in doubtful if not counts[n]))


def editable_file(files: CaseFiles) -> str | None:
    """Return the labels that a person begins with: the newest that anyone made of the case."""
    return files.reviewed or files.proposal or files.annotation
