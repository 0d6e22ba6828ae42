"""How well a segmentation agrees with a reference: Dice, HD95 and ASSD of each structure."""

import math
import statistics
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume

BoolArray = npt.NDArray[np.bool_]

HAUSDORFF_PERCENTILE = 95

# What stands beside the figures: other programs define HD95 otherwise, and give other figures.
DEFINITIONS = {
    "hd95_mm": (
        "HD95 is the larger of the two directed 95th percentiles of the distances between the "
        "surfaces, as in MONAI; programs that pool both directions give other values."
    ),
    "assd_mm": (
        "ASSD is the mean of the distances to the other surface over the surface voxels of both "
        "segmentations."
    ),
    "missed_or_invented": (
        "A missed structure (in the reference only) or an invented one (in the segmentation only) "
        "has Dice 0 and no distance, so it is in no mean of HD95 or ASSD."
    ),
}


@dataclass(frozen=True)
class ClassQuality:
    """The agreement on one structure of one case.

    A structure absent on both sides is not counted: its three measures are None. A structure
    present on one side only has Dice 0 and no distances, since there is nothing to measure to.

    Args:
        name: The structure.
        value: Its value in label volumes.
        dice: Twice the common voxels over the sum of both, 0..1.
        hd95_mm: The larger of the two directions' 95th percentile of distances between surfaces.
        assd_mm: Mean over all surface voxels of both sides of the distance to the other surface.
        num_voxels_predicted: Voxels of the structure in the prediction.
        num_voxels_reference: Voxels of the structure in the reference.
    """

    name: str
    value: int
    dice: float | None
    hd95_mm: float | None
    assd_mm: float | None
    num_voxels_predicted: int
    num_voxels_reference: int

    @property
    def is_missed(self) -> bool:
        """Whether only the reference holds the structure."""
        return self.num_voxels_predicted == 0 and self.num_voxels_reference > 0

    @property
    def is_invented(self) -> bool:
        """Whether only the prediction holds the structure."""
        return self.num_voxels_predicted > 0 and self.num_voxels_reference == 0


@dataclass(frozen=True)
class CaseQuality:
    """The agreement on every structure of one case, in the order of the label schema."""

    classes: tuple[ClassQuality, ...]

    @property
    def mean_dice(self) -> float | None:
        """Mean over the structures that count, 0..1; None if none counts."""
        return _mean_or_none(quality.dice for quality in self.classes)

    @property
    def mean_hd95_mm(self) -> float | None:
        """Mean over the structures that have distances; None if none has."""
        return _mean_or_none(quality.hd95_mm for quality in self.classes)

    @property
    def mean_assd_mm(self) -> float | None:
        """Mean over the structures that have distances; None if none has."""
        return _mean_or_none(quality.assd_mm for quality in self.classes)

    @property
    def num_missed(self) -> int:
        """Structures that only the reference holds; the mean distances leave them out."""
        return sum(quality.is_missed for quality in self.classes)

    @property
    def num_invented(self) -> int:
        """Structures that only the prediction holds; the mean distances leave them out."""
        return sum(quality.is_invented for quality in self.classes)


@dataclass(frozen=True)
class Spread:
    """Mean and spread of one measure over cases.

    Args:
        mean: Mean over the cases that count; None if none counts.
        standard_deviation: With n - 1 below; None for fewer than two cases.
        num_counted: How many cases count.
    """

    mean: float | None
    standard_deviation: float | None
    num_counted: int


@dataclass(frozen=True)
class ClassSummary:
    """One structure, or their mean, over several cases.

    Args:
        name: The structure.
        value: Its value in label volumes; None for the mean over structures.
        dice: Spread of Dice, 0..1.
        hd95_mm: Spread of HD95.
        assd_mm: Spread of ASSD.
        num_missed: Cases (for the mean: structures of cases) in which only the reference holds the
            structure; they count in Dice with 0 and in no distance.
        num_invented: Likewise, in which only the prediction holds it.
    """

    name: str
    value: int | None
    dice: Spread
    hd95_mm: Spread
    assd_mm: Spread
    num_missed: int
    num_invented: int


@dataclass(frozen=True)
class QualitySummary:
    """The agreement over several cases.

    Args:
        classes: One entry for each structure, in the order of the label schema.
        mean: Spread over cases of each case's mean over structures.
        num_cases: How many cases there are.
    """

    classes: tuple[ClassSummary, ...]
    mean: ClassSummary
    num_cases: int


def measure_quality(
    prediction: LabelVolume, reference: LabelVolume, schema: LabelSchema
) -> CaseQuality:
    """Compare a segmentation with a reference on the same grid, structure by structure.

    Label values outside the schema are not measured.

    Raises:
        AnnotationError: The two lie on different grids.
    """
    if not prediction.geometry.is_close_to(reference.geometry):
        raise AnnotationError(
            Text(
                "The segmentation and its reference lie on different grids ({grid1}; {grid2}).",
                grid1=prediction.geometry.describe(),
                grid2=reference.geometry.describe(),
            ),
            Text("Resample one of them onto the other's grid."),
        )
    spacing_mm = reference.geometry.spacing_mm[::-1]  # (k, j, i), as the array's axes
    qualities = []
    for label in schema:
        predicted, true = prediction.array == label.value, reference.array == label.value
        dice, hd95_mm, assd_mm = _measure_class(predicted, true, spacing_mm)
        num_predicted, num_true = np.count_nonzero(predicted), np.count_nonzero(true)
        qualities.append(
            ClassQuality(
                label.name, label.value, dice, hd95_mm, assd_mm, int(num_predicted), int(num_true)
            )
        )
    return CaseQuality(tuple(qualities))


def summarise(qualities: Sequence[CaseQuality]) -> QualitySummary:
    """Return mean, spread and count over cases, for each structure and for their mean.

    Raises:
        ValueError: There is no case, or the cases differ in their structures.
    """
    schemas = {tuple((c.name, c.value) for c in quality.classes) for quality in qualities}
    if len(schemas) != 1:
        raise ValueError(f"expected cases with the same structures, got {sorted(schemas)!r}")
    by_class = tuple(zip(*(quality.classes for quality in qualities), strict=True))
    classes = tuple(
        ClassSummary(
            name=column[0].name,
            value=column[0].value,
            dice=_spread(quality.dice for quality in column),
            hd95_mm=_spread(quality.hd95_mm for quality in column),
            assd_mm=_spread(quality.assd_mm for quality in column),
            num_missed=sum(quality.is_missed for quality in column),
            num_invented=sum(quality.is_invented for quality in column),
        )
        for column in by_class
    )
    mean = ClassSummary(
        name="mean",
        value=None,
        dice=_spread(quality.mean_dice for quality in qualities),
        hd95_mm=_spread(quality.mean_hd95_mm for quality in qualities),
        assd_mm=_spread(quality.mean_assd_mm for quality in qualities),
        num_missed=sum(summary.num_missed for summary in classes),
        num_invented=sum(summary.num_invented for summary in classes),
    )
    return QualitySummary(classes, mean, len(qualities))


def _measure_class(
    predicted: BoolArray, true: BoolArray, spacing_mm: tuple[float, ...]
) -> tuple[float | None, float | None, float | None]:
    has_prediction, has_truth = bool(predicted.any()), bool(true.any())
    if not has_prediction and not has_truth:
        return None, None, None
    if not has_prediction or not has_truth:
        return 0.0, None, None
    # MONAI takes seconds to import; a program that measures nothing must not wait for it.
    from monai.metrics.hausdorff_distance import (  # noqa: PLC0415 - see above
        compute_hausdorff_distance,
    )
    from monai.metrics.meandice import compute_dice  # noqa: PLC0415 - see above
    from monai.metrics.surface_distance import (  # noqa: PLC0415 - see above
        compute_average_surface_distance,
    )

    # Surfaces keep their place in the common bounding box, and MONAI is several times faster there.
    box = _common_box(predicted, true)
    sides = (predicted[box], true[box])
    return (
        _call_monai(compute_dice, sides),
        _call_monai(
            compute_hausdorff_distance, sides, percentile=HAUSDORFF_PERCENTILE, spacing=spacing_mm
        ),
        _call_monai(compute_average_surface_distance, sides, symmetric=True, spacing=spacing_mm),
    )


def _call_monai(
    measure: Callable[..., object], sides: tuple[BoolArray, BoolArray], **settings: object
) -> float:
    import torch  # noqa: PLC0415 - takes seconds to import, like MONAI

    predicted, true = (torch.from_numpy(np.ascontiguousarray(side))[None, None] for side in sides)
    with warnings.catch_warnings():
        # MONAI 1.6 warns of a deprecated argument that it passes to itself.
        warnings.simplefilter("ignore", FutureWarning)
        result = measure(predicted, true, include_background=True, **settings)
    value = float(torch.as_tensor(result).item())
    if not math.isfinite(value):
        raise ValueError(f"expected a finite measure of two filled masks, got {value!r}")
    return value


def _common_box(predicted: BoolArray, true: BoolArray) -> tuple[slice, ...]:
    either = predicted | true
    box = []
    for axis in range(either.ndim):
        others = tuple(other for other in range(either.ndim) if other != axis)
        filled = np.flatnonzero(either.any(axis=others))
        # One voxel of background around, where there is some, so that a surface stays a surface.
        box.append(slice(max(int(filled[0]) - 1, 0), int(filled[-1]) + 2))
    return tuple(box)


def _mean_or_none(values: Iterable[float | None]) -> float | None:
    counted = [value for value in values if value is not None]
    return statistics.fmean(counted) if counted else None


def _spread(values: Iterable[float | None]) -> Spread:
    counted = [value for value in values if value is not None]
    return Spread(
        mean=statistics.fmean(counted) if counted else None,
        standard_deviation=statistics.stdev(counted) if len(counted) > 1 else None,
        num_counted=len(counted),
    )
