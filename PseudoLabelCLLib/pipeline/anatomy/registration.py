"""Registration of one patient's image to another's: affine, then symmetric demons; SimpleITK only.

Everything lies where its header says, so that grids may be oblique and of any spacing. One thread
computes, so that the same images give the same result on every computer.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.images.itk_files import image_of

FloatArray = npt.NDArray[np.float32]

# Recursive smoothing needs so many voxels along each axis; less is no volume to register.
SMALLEST_SIDE = 4
# Shrink factors of the affine levels, coarse first; a level is smoothed by half its factor.
_AFFINE_LEVELS = (4, 2)
_AFFINE_ITERATIONS = 60
# Shrink factors and iterations of the levels of demons, coarse first.
_DEMONS_LEVELS = ((4, 40), (2, 30), (1, 20))
# Smoothing of the displacements, in voxels of a level.
_DEMONS_SMOOTHING = 0.7
# No level has fewer voxels along an axis, unless the image itself has.
_SMALLEST_LEVEL = 8


def can_be_registered(geometry: Geometry) -> bool:
    """Return whether a grid is a volume that can be registered, not a few slices."""
    return min(geometry.size) >= SMALLEST_SIDE


def registration_image(volume: Volume) -> Any:
    """Return an image as it is registered: what lies between its 1st and 99th percentile is 0..1.

    Args:
        volume: Of any real type; values that are not numbers count as the lowest.
    """
    array = np.nan_to_num(np.asarray(volume.array, np.float32), nan=float(np.nanmin(volume.array)))
    low, high = np.percentile(array, (1, 99))
    scaled = np.clip((array - low) / max(float(high - low), 1e-6), 0, 1)
    return image_of(scaled.astype(np.float32), volume.geometry)


def affine_between(fixed: Any, moving: Any) -> tuple[Any, float]:
    """Return the affine transform from points of one image to those of another, and its fit.

    It starts with the middles of both grids over each other.

    Args:
        fixed: A `registration_image`.
        moving: Another one.

    Returns:
        The transform, and the correlation of both images under it, -1..1. Where no transform is
        found, as when nothing overlaps, the correlation is that of the start.
    """
    found = _middles_over_each_other(fixed, moving)
    for factor in _AFFINE_LEVELS:
        level = _shrunk(fixed, factor)
        tried = sitk.AffineTransform(found)
        try:
            _affine_method(tried).Execute(level, _smoothed(moving, factor))
        except RuntimeError:  # too little overlap
            break
        found = tried
    return found, correlation(values_of(fixed), values_of(moved(moving, fixed, found)))


def demons_after(fixed: Any, moving: Any, affine: Any) -> Any:
    """Return the transform of `affine_between`, refined by a smooth field of displacements.

    Args:
        fixed: A `registration_image`.
        moving: Another one.
        affine: The transform from points of the first to those of the second.
    """
    still, warped = _along_axes(fixed), _along_axes(_as_bright(moving, fixed, affine))
    field: Any = None
    for factor, iterations in _DEMONS_LEVELS:
        level, moving_level = _shrunk(still, factor), _shrunk(warped, factor)
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfThreads(1)
        demons.SetNumberOfIterations(iterations)
        demons.SmoothDisplacementFieldOn()
        demons.SetStandardDeviations(_DEMONS_SMOOTHING)
        if field is None:
            field = demons.Execute(level, moving_level)
        else:
            field = demons.Execute(level, moving_level, _field_on(field, level))
    displacements = sitk.GetArrayFromImage(_field_on(field, still))
    direction = np.reshape(fixed.GetDirection(), (3, 3))
    turned = sitk.GetImageFromArray(displacements @ direction.T, isVector=True)
    turned.CopyInformation(fixed)
    both = sitk.CompositeTransform(3)
    both.AddTransform(affine)  # what was added last comes first
    both.AddTransform(sitk.DisplacementFieldTransform(sitk.Cast(turned, sitk.sitkVectorFloat64)))
    return both


def moved(moving: Any, fixed: Any, transform: Any) -> Any:
    """Return an image at the voxels of another one, linearly, 0 where it has none.

    Args:
        moving: What is moved.
        fixed: Whose grid the result has.
        transform: From points of `fixed` to points of `moving`.
    """
    resample = sitk.ResampleImageFilter()
    resample.SetNumberOfThreads(1)
    resample.SetReferenceImage(fixed)
    resample.SetTransform(transform)
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetDefaultPixelValue(0.0)
    return resample.Execute(moving)


def carried(shares: FloatArray, geometry: Geometry, fixed: Any, transform: Any) -> FloatArray:
    """Return the shares of structures at the voxels of another image.

    Args:
        shares: 0..1, shape (structures, k, j, i), on the grid of the moving image.
        geometry: That grid.
        fixed: A `registration_image`, whose grid the result has.
        transform: From points of `fixed` to points of that grid.

    Returns:
        Shape (structures, k, j, i) of `fixed`; 0 where the other patient has no voxels.
    """
    found = [
        sitk.GetArrayFromImage(moved(image_of(share, geometry), fixed, transform))
        for share in shares
    ]
    return np.stack(found).astype(np.float32)


def values_of(image: Any) -> FloatArray:
    """Return the values of a `registration_image`, shape (k, j, i)."""
    values: FloatArray = sitk.GetArrayFromImage(image)
    return values


def correlation(one: FloatArray, other: FloatArray) -> float:
    """Return the correlation of the values of two images, -1..1; 0 where one is constant."""
    first, second = one.ravel(), other.ravel()
    if first.size < 2 or min(float(np.std(first)), float(np.std(second))) < 1e-6:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def inverse_of(affine: Any) -> Any:
    """Return the transform the other way round."""
    return sitk.AffineTransform(affine.GetInverse())


def _affine_method(start: Any) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=0.01, numberOfIterations=_AFFINE_ITERATIONS,
        relaxationFactor=0.6, gradientMagnitudeTolerance=1e-5,
    )  # fmt: skip
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(start, inPlace=True)
    return method


def _middles_over_each_other(fixed: Any, moving: Any) -> Any:
    how = sitk.CenteredTransformInitializerFilter.GEOMETRY
    start = sitk.CenteredTransformInitializer(fixed, moving, sitk.AffineTransform(3), how)
    return sitk.AffineTransform(start)


def _as_bright(moving: Any, fixed: Any, affine: Any) -> Any:
    """Return an image on another one's grid with its mean and spread, as demons compares values.

    Where it has no voxels, those of the other one stand: nothing is to be moved there.
    """
    everywhere = sitk.GetImageFromArray(np.ones_like(sitk.GetArrayViewFromImage(moving)))
    everywhere.CopyInformation(moving)
    seen = sitk.GetArrayFromImage(moved(everywhere, fixed, affine)) > 0.5
    ours = sitk.GetArrayFromImage(fixed)
    theirs = sitk.GetArrayFromImage(moved(moving, fixed, affine))
    if seen.any():
        spread = max(float(theirs[seen].std()), 1e-6)
        theirs = (theirs - theirs[seen].mean()) * (ours[seen].std() / spread) + ours[seen].mean()
    bright = sitk.GetImageFromArray(np.where(seen, theirs, ours).astype(np.float32))
    bright.CopyInformation(fixed)
    return bright


def _along_axes(image: Any) -> Any:
    """Return an image as if its axes were those of space, as demons is told of no directions."""
    plain = sitk.Image(image)
    plain.SetOrigin((0.0, 0.0, 0.0))
    plain.SetDirection(np.eye(3).ravel().tolist())
    return plain


def _smoothed(image: Any, factor: int) -> Any:
    """Smooth by half a factor of voxels along each axis that can be shrunk by it."""
    factors = _factors(image, factor)
    sigmas = [
        max(0.5 * by * spacing, 1e-3 * spacing)
        for by, spacing in zip(factors, image.GetSpacing(), strict=True)
    ]
    return sitk.SmoothingRecursiveGaussian(image, sigmas)


def _shrunk(image: Any, factor: int) -> Any:
    if factor == 1:
        return image
    return sitk.Shrink(_smoothed(image, factor), _factors(image, factor))


def _factors(image: Any, factor: int) -> list[int]:
    return [max(1, min(factor, size // _SMALLEST_LEVEL)) for size in image.GetSize()]


def _field_on(field: Any, image: Any) -> Any:
    """Return displacements at the voxels of another image; 0 outside."""
    return sitk.Resample(
        field, image, sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID()
    )  # fmt: skip
