"""Bringing a segmentation onto the grid of its volume, by position in the patient."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.geometry import CORNER_TOLERANCE_VOXELS, NUM_AXES, Geometry
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import Text, counted
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.images.itk_files import image_of, resampled

# A segmentation of which less than half lies in the volume belongs to another one.
_LEAST_INSIDE_FRACTION = 0.5


def matched_to_grid(
    labels: LabelVolume,
    geometry: Geometry,
    *,
    file_name: str,
    asking: Asking | None = None,
    places: Sequence[Geometry] = (),
) -> tuple[LabelVolume, tuple[Text, ...]]:
    """Return a segmentation on the grid of a volume, and what had to be done in words.

    Voxels that coincide stay what they are. Other grids are looked up at the nearest voxel in LPS
    millimetres, but never one of the array shape of the volume: such a header has most likely lost
    its place.

    Args:
        labels: The segmentation.
        geometry: The grid of the volume.
        file_name: For messages.
        asking: Asks the person; None looks up by position whatever the grid is, for callers that
            judge the outcome themselves.
        places: Other grids of the very same voxels, which the header of the volume names.

    Raises:
        AnnotationError: Segmentation and volume do not overlap, or hardly.
        QuestionError: A person has to say what is meant.
    """
    if labels.geometry.is_close_to(geometry):
        return LabelVolume(labels.array, geometry), ()
    if any(labels.geometry.is_close_to(place) for place in places):
        return LabelVolume(labels.array, geometry), (Note.OTHER_PLACE.say(file=file_name),)
    is_turned = is_same_space(labels.geometry, geometry)
    if asking is not None and labels.geometry.size == geometry.size and not is_turned:
        num_voxels = int(np.count_nonzero(labels.array))
        asking.ask(
            QuestionKind.SAME_SHAPE, _displaced(labels, geometry, num_voxels, file_name), num_voxels
        )
        return LabelVolume(labels.array, geometry), ()
    index = _labelled_indices(labels, geometry)
    inside = np.all((index > -0.5) & (index < np.asarray(geometry.size) - 0.5), axis=1)
    num_labelled, num_inside = len(inside), int(inside.sum())
    if num_inside == 0 or num_inside < _LEAST_INSIDE_FRACTION * num_labelled:
        raise AnnotationError(
            Text(
                "The segmentation '{file}' does not lie where the image lies: {inside} "
                "of its {count} labelled voxels are inside it. The image has "
                "{grid1}, the segmentation {grid2}.",
                file=file_name,
                inside=num_inside,
                count=num_labelled,
                grid1=_placed(geometry),
                grid2=_placed(labels.geometry),
            ),
            Text("Save the segmentation again with this image as its reference."),
        )
    notices = _asked_how(labels, geometry, index, inside, file_name=file_name, asking=asking)
    return LabelVolume(_looked_up(labels, geometry), geometry), notices


def matches_by_cropping(part: Geometry, whole: Geometry) -> bool:
    """Return whether two grids share their voxels, though one covers more or counts the other way.

    Slicer crops so; other programs turn the axes of a file so that they grow to the right, to the
    front and up.
    """
    tolerance = CORNER_TOLERANCE_VOXELS
    far = np.asarray(part.size, dtype=np.float64) - 1
    corners = np.stack([np.zeros(NUM_AXES), *(far * np.eye(NUM_AXES)), far])
    index = whole.world_to_index(part.index_to_world(corners))
    on_voxels = np.abs(index - np.round(index)).max() <= tolerance
    steps = (index - index[0])[1 : NUM_AXES + 1] / np.maximum(far, 1)[:, None]
    ways = np.round(steps)  # each axis of the one runs along one of the other
    along = np.abs(ways[far > 0])  # an axis of one voxel has no step
    is_turn = np.array_equal(along @ along.T, np.eye(len(along)))
    straight = is_turn and np.abs(index - index[0] - corners @ ways).max() <= tolerance
    return bool(on_voxels and straight)


def is_same_space(one: Geometry, other: Geometry) -> bool:
    """Return whether two grids have the same voxels, whichever way their axes run."""
    if sorted(one.size) != sorted(other.size) or not matches_by_cropping(one, other):
        return False
    ends = np.array([(0, 0, 0), one.size]) - [[0], [1]]
    index = other.world_to_index(one.index_to_world(ends))
    return bool(((index > -0.5) & (index < np.asarray(other.size) - 0.5)).all())


def _labelled_indices(labels: LabelVolume, geometry: Geometry) -> npt.NDArray[np.float64]:
    """Return where the labelled voxels lie on another grid, shape (voxels, 3) as (i, j, k)."""
    own_index = np.argwhere(labels.array)[:, ::-1]
    return geometry.world_to_index(labels.geometry.index_to_world(own_index))


def _asked_how(
    labels: LabelVolume,
    geometry: Geometry,
    index: npt.NDArray[np.float64],
    inside: npt.NDArray[np.bool_],
    *,
    file_name: str,
    asking: Asking | None,
) -> tuple[Text, ...]:
    """Return what has to be done in words, once a person agreed to what could be wrong."""
    grids = Text(
        "The segmentation '{file}' has a different grid ({grid1}) from its image ({grid2})",
        file=file_name,
        grid1=labels.geometry.describe(),
        grid2=geometry.describe(),
    )
    if matches_by_cropping(labels.geometry, geometry):
        notices = [Note.CROPPED.say(grids=grids)]
    else:
        offset = np.abs(index - np.round(index)).max(axis=1)
        moved = int((inside & (offset > CORNER_TOLERANCE_VOXELS)).sum())
        between = Text("{moved} of its {count} labelled voxels", moved=moved, count=len(index))
        if asking is not None:
            asking.ask(
                QuestionKind.OTHER_GRID,
                Text(
                    "{grids}: {between} lie between voxels of the image.",
                    grids=grids,
                    between=between,
                ),
                moved,
            )
        notices = [Note.RESAMPLED.say(grids=grids, between=between)]
    lost = len(inside) - int(inside.sum())
    if lost:
        found = counted(
            lost,
            "{count} labelled voxel of '{file}' lies outside the image",
            "{count} labelled voxels of '{file}' lie outside the image",
            file=file_name,
        )
        if asking is not None:
            asking.ask(QuestionKind.OUTSIDE, Text("{found}.", found=found), lost)
        notices.append(Note.LOST.say(found=found, verb=Text("is") if lost == 1 else Text("are")))
    return tuple(notices)


def _displaced(labels: LabelVolume, geometry: Geometry, num_voxels: int, file_name: str) -> Text:
    distance_mm = np.linalg.norm(labels.geometry.corners_mm() - geometry.corners_mm(), axis=1)
    return Text(
        "The segmentation '{file}' has as many voxels along each axis as its image, but "
        "its header puts them elsewhere, up to {distance:.4g} mm away (image: {grid1}; "
        "segmentation: {grid2}). {voxels} would move.",
        file=file_name,
        distance=distance_mm.max(),
        grid1=_placed(geometry),
        grid2=_placed(labels.geometry),
        voxels=counted(num_voxels, "{count} labelled voxel", "{count} labelled voxels"),
    )


def _looked_up(labels: LabelVolume, geometry: Geometry) -> npt.NDArray[np.int16]:
    source = image_of(labels.array.astype(np.int16), labels.geometry)
    placed = resampled(source, geometry, sitk.sitkNearestNeighbor)
    array: npt.NDArray[np.int16] = sitk.GetArrayFromImage(placed)
    return array


def _placed(geometry: Geometry) -> Text:
    center = geometry.index_to_world((np.asarray(geometry.size) - 1) / 2)
    where = ", ".join(f"{mm:.0f}" for mm in center)
    return Text("{grid} around ({place}) mm", grid=geometry.describe(), place=where)
