"""A volume written as a DICOM series aside, read back, compared, and renamed; or not at all."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, StorageError
from PseudoLabelCLLib.domain.geometry import NUM_AXES
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.storage.dicom.series import read_series_geometry, read_slices
from PseudoLabelCLLib.storage.dicom.series_writer import PlannedSeries, write_series
from PseudoLabelCLLib.storage.dicom.source_series import SourceSeries, read_source_series
from PseudoLabelCLLib.storage.files.atomic_files import TEMPORARY_PREFIX, make_folder, storage_error

_CORNER_TOLERANCE_MM = 1e-3
# Of the range of the intensities: what a reader's single precision may add.
_ROUNDING_FRACTION = 1e-6


def write_verified_series(folder: Path, planned: PlannedSeries) -> SourceSeries:
    """Write a planned series into a new folder; nothing stays if it is not as planned.

    A folder that holds the same series already, of an earlier export, is taken as it is.

    Args:
        folder: Where to; made.
        planned: What to write.

    Returns:
        The series as it lies there.

    Raises:
        StorageError: The disk refuses, another thing is in the way, or what was read back is not
            what was written.
    """
    if folder.exists():
        return _checked(planned, folder)
    make_folder(folder.parent)
    try:
        aside = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=folder.parent))
    except OSError as error:
        raise storage_error(folder, error) from error
    try:
        write_series(aside, planned)
        _checked(planned, aside)
        aside.chmod(0o755)  # a temporary folder is closed to others
        aside.rename(folder)
    except OSError as error:
        raise storage_error(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return read_source_series(folder, planned.instances.series_uid)


def _checked(planned: PlannedSeries, folder: Path) -> SourceSeries:
    try:
        problem, source = _problem(planned, folder)
    except PseudoLabelCLError as error:
        problem, source = error.message, None
    if problem or source is None:
        raise StorageError(
            Text(
                "The volume's own series in '{folder}' is not what was to be written. {problem}",
                folder=folder.name,
                problem=problem,
            ),
            Text("Choose an empty folder and export again, or export as .seg.nrrd."),
        )
    return source


def _problem(planned: PlannedSeries, folder: Path) -> tuple[Text, SourceSeries]:
    """Read a series with two libraries; return what differs from the plan, and the series."""
    source = read_source_series(folder, planned.instances.series_uid)
    if source.instances != planned.instances:
        return Text("Its slices are others, or in another order."), source
    by_itk = read_series_geometry(folder, planned.instances.series_uid)
    for name, grid in (
        (Text("headers"), source.geometry),
        (Text("images"), by_itk),
    ):
        if grid.size != planned.geometry.size:
            return Text(
                "Its {parts} make a grid of {grid}.", parts=name, grid=grid.describe()
            ), source
        moved = np.abs(grid.corners_mm() - planned.geometry.corners_mm()).reshape(-1, NUM_AXES)
        if moved.max() > _CORNER_TOLERANCE_MM:
            return Text(
                "By its {parts}, it lies {distance:.3g} mm away from its volume.",
                parts=name,
                distance=moved.max(),
            ), source
    found = read_slices(folder, planned.instances.series_uid)
    differs = max(
        float(
            np.abs(
                plane.astype(np.float64)
                - (kept.astype(np.float64) * planned.slope + planned.intercept)
            ).max()
        )
        for plane, kept in zip(found, planned.stored, strict=True)
    )
    largest = max(abs(planned.intercept), abs(planned.slope * float(planned.stored.max())))
    tolerance = _ROUNDING_FRACTION * largest
    return (
        Text("Its intensities differ by {difference:.3g}.", difference=differs)
        if differs > tolerance
        else NO_TEXT
    ), source
