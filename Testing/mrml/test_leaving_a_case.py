"""Leaving a case: its memory is given up in one piece, and nothing of it is worked on any more."""

import gc

import numpy as np
import pytest
from PseudoLabelCLGui.mrml_bridge import forget_case, show_case
from scene_things import GEOMETRIES, LABELS, SIZE, some_labels

from PseudoLabelCLLib.domain.desk_answers import CaseFiles


def shown_case(folder, rng):
    """Show a case with image, proposal, doubt and the round before; nobody else holds it."""
    arrays = {
        "image": rng.integers(-500, 500, SIZE[::-1], dtype=np.int16),
        "proposal": some_labels(),
        "previous": some_labels(),
        "uncertainty": rng.random(SIZE[::-1], dtype=np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return show_case(
        CaseFiles(
            case_id="heart",
            round_index=3,
            geometry=GEOMETRIES["plain"],
            reviewed=None,
            annotation=None,
            slicing_axis=2,
            doubtful_slices=(),
            **{name: str(folder / f"{name}.npy") for name in arrays},
        ),
        LABELS,
        None,
    )


@pytest.mark.parametrize("kind", ["proposal", "previous"])
def test_the_segments_of_a_node_that_goes_are_not_copied_out_of_it(scene, tmp_path, rng, kind):
    # VTK gives every segment of a segmentation that ends voxels of its own: half a second
    shown = shown_case(tmp_path, rng)
    segmentation = getattr(shown, kind).GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    del segmentation
    forget_case(shown)
    del shown
    gc.collect()
    assert len(segments) == len(LABELS.values)
    assert [segment.GetRepresentation("Binary labelmap") for segment in segments] == [None] * 3
