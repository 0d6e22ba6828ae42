"""A segmentation on the grid of its DICOM series, and what was lost on the way, counted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.grids.match_grid import matched_to_grid
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text, counted
from PseudoLabelCLLib.domain.volume import LabelVolume


@dataclass(frozen=True)
class OnSourceGrid:
    """A segmentation as the object will hold it.

    Args:
        numbers: Segment numbers 1, 2, ... in the order of the schema, 0 none; shape (k, j, i).
        num_voxels: How many each segment has, in the order of the schema.
        losses: Sentences about voxels that have no place on the grid; empty if all have one.
    """

    numbers: npt.NDArray[np.int16]
    num_voxels: tuple[int, ...]
    losses: tuple[Text, ...]

    def empty_segments(self, schema: LabelSchema) -> tuple[str, ...]:
        """Return the names of the structures without a voxel."""
        return tuple(
            name for name, count in zip(schema.names, self.num_voxels, strict=True) if not count
        )


def onto_source_grid(
    labels: LabelVolume, schema: LabelSchema, geometry: Geometry, *, file_name: str
) -> OnSourceGrid:
    """Return a segmentation on the grid of its series, by position, with segment numbers.

    Raises:
        AnnotationError: It does not lie where the series lies.
    """
    placed, _ = matched_to_grid(labels, geometry, file_name=file_name)
    before, after = _counted(labels.array, schema), _counted(placed.array, schema)
    losses = tuple(
        counted(
            there,
            "'{structure}' has {count} voxel on the grid of the series, {here} on its own.",
            "'{structure}' has {count} voxels on the grid of the series, {here} on its own.",
            structure=name,
            here=here,
        )
        for name, here, there in zip(schema.names, before, after, strict=True)
        if here != there
    )
    table = np.zeros(max(schema.values) + 1, np.int16)
    table[list(schema.values)] = np.arange(1, len(schema) + 1)
    return OnSourceGrid(table[placed.array], after, losses)


def _counted(array: npt.NDArray[Any], schema: LabelSchema) -> tuple[int, ...]:
    return tuple(int(np.count_nonzero(array == value)) for value in schema.values)
