"""Bringing a segmentation onto the grid of its volume, by position in the patient."""

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.domain.counted import counted
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.geometry import CORNER_TOLERANCE_VOXELS, NUM_AXES, Geometry
from PseudoLabelCLLib.domain.volume import LabelVolume

# A segmentation of which less than half lies in the volume belongs to another one.
_LEAST_INSIDE_FRACTION = 0.5


def matched_to_grid(
    labels: LabelVolume, geometry: Geometry, *, file_name: str
) -> tuple[LabelVolume, tuple[str, ...]]:
    """Return a segmentation on the grid of a volume, and what had to be done in words.

    Other grids are looked up at the nearest voxel in LPS millimetres.

    Raises:
        AnnotationError: Segmentation and volume do not overlap, or hardly.
    """
    if labels.geometry.is_close_to(geometry):
        return LabelVolume(labels.array, geometry), ()
    index = _labelled_indices(labels, geometry)
    inside = np.all((index > -0.5) & (index < np.asarray(geometry.size) - 0.5), axis=1)
    num_labelled, num_inside = len(inside), int(inside.sum())
    if num_inside == 0 or num_inside < _LEAST_INSIDE_FRACTION * num_labelled:
        raise AnnotationError(
            f"The segmentation '{file_name}' does not lie where the image lies: {num_inside} of "
            f"its {num_labelled} labelled voxels are inside. The image has "
            f"{_placed(geometry)}, the segmentation {_placed(labels.geometry)}.",
            "Save the segmentation again with this image as its reference.",
        )
    matched = LabelVolume(_looked_up(labels, geometry), geometry)
    notices = [_how(labels, geometry, index, inside, file_name=file_name)]
    if num_inside < num_labelled:
        lost = num_labelled - num_inside
        lie = "lies outside the image and is" if lost == 1 else "lie outside the image and are"
        notices.append(f"{counted(lost, 'labelled voxel')} of '{file_name}' {lie} lost.")
    return matched, tuple(notices)


def matches_by_cropping(part: Geometry, whole: Geometry) -> bool:
    """Tell whether two grids share their voxels, though one covers more; Slicer crops so."""
    tolerance = CORNER_TOLERANCE_VOXELS
    far = np.asarray(part.size, dtype=np.float64) - 1
    corners = np.stack([np.zeros(NUM_AXES), *(far * np.eye(NUM_AXES)), far])
    index = whole.world_to_index(part.index_to_world(corners))
    on_voxels = np.abs(index - np.round(index)).max() <= tolerance
    straight = np.abs(index - index[0] - corners).max() <= tolerance
    return bool(on_voxels and straight)


def _labelled_indices(labels: LabelVolume, geometry: Geometry) -> npt.NDArray[np.float64]:
    """Return where the labelled voxels lie on another grid, shape (voxels, 3) as (i, j, k)."""
    own_index = np.argwhere(labels.array)[:, ::-1]
    return geometry.world_to_index(labels.geometry.index_to_world(own_index))


def _how(
    labels: LabelVolume,
    geometry: Geometry,
    index: npt.NDArray[np.float64],
    inside: npt.NDArray[np.bool_],
    *,
    file_name: str,
) -> str:
    grids = (
        f"The segmentation '{file_name}' has another grid ({labels.geometry.describe()}) "
        f"than its image ({geometry.describe()})"
    )
    if matches_by_cropping(labels.geometry, geometry):
        return f"{grids}; their voxels coincide and every label kept its place."
    offset = np.abs(index - np.round(index)).max(axis=1)
    moved = int((inside & (offset > CORNER_TOLERANCE_VOXELS)).sum())
    return (
        f"{grids} and was resampled by position: {moved} of its {len(index)} labelled voxels lay "
        "between voxels of the image."
    )


def _looked_up(labels: LabelVolume, geometry: Geometry) -> npt.NDArray[np.int16]:
    source = sitk.GetImageFromArray(np.ascontiguousarray(labels.array, dtype=np.int16))
    source.SetSpacing(labels.geometry.spacing_mm)
    source.SetOrigin(labels.geometry.origin_mm)
    source.SetDirection(labels.geometry.direction)
    resample = sitk.ResampleImageFilter()
    resample.SetSize(geometry.size)
    resample.SetOutputSpacing(geometry.spacing_mm)
    resample.SetOutputOrigin(geometry.origin_mm)
    resample.SetOutputDirection(geometry.direction)
    resample.SetInterpolator(sitk.sitkNearestNeighbor)
    array: npt.NDArray[np.int16] = sitk.GetArrayFromImage(resample.Execute(source))
    return array


def _placed(geometry: Geometry) -> str:
    center = geometry.index_to_world((np.asarray(geometry.size) - 1) / 2)
    where = ", ".join(f"{mm:.0f}" for mm in center)
    return f"{geometry.describe()} around ({where}) mm"
