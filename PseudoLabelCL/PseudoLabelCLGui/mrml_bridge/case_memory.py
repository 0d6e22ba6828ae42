"""The voxels of a case on their way from the desk's files into the scene."""

from pathlib import Path

from PseudoLabelCLGui.mrml_bridge.voxel_memory import VoxelMemory
from PseudoLabelCLLib.domain.desk_answers import CaseFiles
from PseudoLabelCLLib.domain.segmentation import LabelSchema


class CaseMemory:
    """The voxels of a case on their way into the scene.

    Making it is quick and belongs to the GUI thread; `read` may run in a thread and takes nearly
    all the time; `show_case` then puts the result into the scene.

    Args:
        files: What the desk answered.
        labels: The structures.
        with_image: Whether the image is wanted too; it is not if the scene has it.

    Raises:
        VolumeError: A file is missing, damaged, or of another size.
    """

    def __init__(self, files: CaseFiles, labels: LabelSchema, *, with_image: bool) -> None:
        def of_labels(file: str | None) -> VoxelMemory | None:
            return VoxelMemory.for_labels(Path(file), files.geometry, labels) if file else None

        def of_volume(file: str | None) -> VoxelMemory | None:
            return VoxelMemory.for_volume(Path(file), files.geometry) if file else None

        self.files = files
        self.labels = labels
        self.image = of_volume(files.image if with_image else None)
        self.doubt = (
            VoxelMemory.for_doubt(Path(files.uncertainty), files.geometry)
            if files.uncertainty
            else None
        )
        self.proposal = of_labels(editable_file(files))
        self.previous = of_labels(files.previous)

    def read(self) -> None:
        """Read all voxels; may run in a thread.

        Raises:
            VolumeError: A file is missing, damaged, or of another size.
            AnnotationError: A label value does not fit.
        """
        for memory in (self.image, self.proposal, self.doubt, self.previous):
            if memory is not None:
                memory.read()


def editable_file(files: CaseFiles) -> str | None:
    """Return the labels that a person begins with: the newest that anyone made of the case."""
    return files.reviewed or files.proposal or files.annotation
