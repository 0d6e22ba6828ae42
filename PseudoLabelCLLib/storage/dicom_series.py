"""A folder of DICOM slices as one volume: slices ordered and checked by their own positions."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import FloatArray, Geometry
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.itk_files import direction_of, grid_of, quiet_itk

_SERIES_DESCRIPTION = "0008|103e"
_SLICE_THICKNESS = "0018|0050"
_SPACING_BETWEEN_SLICES = "0018|0088"
_POSITION = "0020|0032"
_ORIENTATION = "0020|0037"

# Scanners round positions to about 0.01 mm; a twentieth of the distance between slices is above
# that and far below a missing slice.
_GAP_TOLERANCE_FRACTION = 0.05
# Half a pixel of sideways drift over the whole stack: more is a tilted gantry, not rounding.
_DRIFT_TOLERANCE_PIXELS = 0.5
_ORIENTATION_TOLERANCE = 1e-3
_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True)
class _Slice:
    """One file of a series: path, header, world position and the axes of its plane."""

    path: str
    header: Any
    position_mm: FloatArray
    row: FloatArray
    column: FloatArray

    @property
    def normal(self) -> FloatArray:
        return np.asarray(np.cross(self.row, self.column), dtype=np.float64)


def list_dicom_series(folder: Path) -> tuple[tuple[str, int, str], ...]:
    """Return the series in a folder: UID, number of files, description.

    Raises:
        VolumeError: The folder is missing.
    """
    if not folder.is_dir():
        raise VolumeError(f"There is no folder '{folder}'.", "Check the path.")
    with quiet_itk(folder):
        uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(os.fspath(folder))
    found = []
    for uid in sorted(uids):
        files = _files_of(folder, uid)
        found.append((uid, len(files), _text(_read_header(files[0]), _SERIES_DESCRIPTION)))
    return tuple(found)


def read_series(folder: Path, series_uid: str | None = None) -> Volume:
    """Read one series; slices lie in the order of their positions along their normal.

    Raises:
        VolumeError: There is no series, or several and none chosen, or the slices do not make a
            regular grid.
    """
    files = _files_of(folder, _choose_series(folder, series_uid))
    headers = [_read_header(file) for file in files]
    if _is_one_volume(headers):
        with quiet_itk(folder):
            image = headers[0].Execute()
        return Volume(sitk.GetArrayFromImage(image), grid_of(folder, image))
    slices = _ordered_slices(folder, files, headers)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([s.path for s in slices])
    if len({header.GetPixelID() for header in headers}) > 1:  # scaled differently, as in PET
        reader.SetOutputPixelType(sitk.sitkFloat32)
    with quiet_itk(folder):
        array = sitk.GetArrayFromImage(reader.Execute())
    return Volume(array, _grid_of_slices(slices))


def read_series_geometry(folder: Path, series_uid: str | None = None) -> Geometry:
    """Read the grid of one series from the headers of its slices.

    Raises:
        VolumeError: As for `read_series`.
    """
    files = _files_of(folder, _choose_series(folder, series_uid))
    headers = [_read_header(file) for file in files]
    if _is_one_volume(headers):
        return grid_of(folder, headers[0])
    return _grid_of_slices(_ordered_slices(folder, files, headers))


def _choose_series(folder: Path, series_uid: str | None) -> str:
    series = list_dicom_series(folder)
    if not series:
        raise VolumeError(
            f"The folder '{folder}' holds no DICOM slices.",
            "Give the folder that holds the slices themselves, or a volume file.",
        )
    uids = [uid for uid, _, _ in series]
    listed = "; ".join(f"{uid} ({n} files, '{text}')" for uid, n, text in series[:8])
    if series_uid is not None and series_uid not in uids:
        raise VolumeError(
            f"The folder '{folder}' holds no series {series_uid}; it holds: {listed}.",
            "Choose one of these.",
        )
    if series_uid is None and len(series) > 1:
        raise VolumeError(
            f"The folder '{folder}' holds {len(series)} series: {listed}.",
            "Choose one of them by its UID (in a table of cases: the column series_uid).",
        )
    return series_uid or uids[0]


def _files_of(folder: Path, series_uid: str) -> tuple[str, ...]:
    with quiet_itk(folder):
        return tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(os.fspath(folder), series_uid))


def _read_header(file: str) -> Any:
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    with quiet_itk(Path(file)):
        reader.ReadImageInformation()
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"'{file}' is a colour image; expected one intensity per pixel.",
            "Choose a series of grey-scale slices.",
        )
    return reader


def _is_one_volume(headers: list[Any]) -> bool:
    return len(headers) == 1 and headers[0].GetSize()[2] > 1


def _ordered_slices(folder: Path, files: tuple[str, ...], headers: list[Any]) -> list[_Slice]:
    slices = [_slice_of(file, header) for file, header in zip(files, headers, strict=True)]
    _check_alike(folder, slices)
    normal = slices[0].normal
    slices.sort(key=lambda s: float(s.position_mm @ normal))
    if len(slices) > 1:
        _check_regular(folder, slices)
    return slices


def _slice_of(file: str, header: Any) -> _Slice:
    position = _numbers(header, _POSITION)
    orientation = _numbers(header, _ORIENTATION)
    if len(position) != 3 or len(orientation) != 6:
        raise VolumeError(
            f"'{file}' does not say where its slice lies (no position or orientation).",
            "Choose a series of tomographic slices, or convert it to NRRD or NIfTI first.",
        )
    return _Slice(file, header, position, orientation[:3], orientation[3:])


def _check_alike(folder: Path, slices: list[_Slice]) -> None:
    first = slices[0]
    for other in slices:
        turned = np.abs(np.r_[first.row - other.row, first.column - other.column]).max()
        if turned > _ORIENTATION_TOLERANCE:
            found = "point in different directions (a localiser, or a series of turned planes)"
        elif first.header.GetSize() != other.header.GetSize():
            found = f"have different sizes ({first.header.GetSize()}, {other.header.GetSize()})"
        elif not np.allclose(first.header.GetSpacing()[:2], other.header.GetSpacing()[:2]):
            found = "have different pixel sizes"
        else:
            continue
        raise VolumeError(
            f"The slices in '{folder}' {found}; they do not make one volume.",
            "Choose another series, or move the slices that do not belong out of the folder.",
        )


def _check_regular(folder: Path, slices: list[_Slice]) -> None:
    heights = np.array([s.position_mm @ slices[0].normal for s in slices])
    gaps = np.diff(heights)
    typical = float(np.median(gaps))
    if gaps.min() < _SAME_PLACE_MM:
        pair = _names(slices, int(gaps.argmin()))
        raise VolumeError(
            f"The series in '{folder}' holds several slices at the same place ({pair}): "
            "several time points or echoes.",
            "Split the series, then choose the part that you need.",
        )
    worst = int(np.abs(gaps - typical).argmax())
    if abs(gaps[worst] - typical) > _GAP_TOLERANCE_FRACTION * typical:
        num_missing = round(gaps[worst] / typical) - 1
        whole = abs(gaps[worst] / typical - num_missing - 1) < _GAP_TOLERANCE_FRACTION
        reason = f"{num_missing} missing between" if whole else "unequally spaced at"
        raise VolumeError(
            f"The slices in '{folder}' are not a regular stack: {reason} "
            f"{_names(slices, worst)} ({gaps[worst]:.4g} mm; elsewhere {typical:.4g} mm).",
            "Add the missing slices, or resample the series onto a regular grid first.",
        )
    drift = slices[-1].position_mm - slices[0].position_mm
    drift = drift - (drift @ slices[0].normal) * slices[0].normal
    if np.linalg.norm(drift) > _DRIFT_TOLERANCE_PIXELS * min(slices[0].header.GetSpacing()[:2]):
        raise VolumeError(
            f"The slices in '{folder}' are shifted sideways by {np.linalg.norm(drift):.3g} mm over "
            "the stack: the gantry was tilted.",
            "Correct the tilt first (Slicer does so on loading; save its result as NRRD).",
        )


def _names(slices: list[_Slice], index: int) -> str:
    return f"'{Path(slices[index].path).name}' and '{Path(slices[index + 1].path).name}'"


def _grid_of_slices(slices: list[_Slice]) -> Geometry:
    first, last = slices[0], slices[-1]
    columns, rows = first.header.GetSize()[:2]
    if len(slices) > 1:
        slice_spacing = float((last.position_mm - first.position_mm) @ first.normal)
        slice_spacing /= len(slices) - 1
    else:
        slice_spacing = _single_slice_spacing(first.header)
    x, y, z = first.position_mm.tolist()
    return Geometry(
        size=(columns, rows, len(slices)),
        spacing_mm=(*first.header.GetSpacing()[:2], slice_spacing),
        origin_mm=(x, y, z),
        direction=direction_of(np.stack([first.row, first.column, first.normal], axis=1)),
    )


def _single_slice_spacing(header: Any) -> float:
    for tag in (_SPACING_BETWEEN_SLICES, _SLICE_THICKNESS):
        values = _numbers(header, tag)
        if len(values) == 1 and values[0] > 0:
            return float(values[0])
    return 1.0


def _numbers(header: Any, tag: str) -> FloatArray:
    try:
        return np.array([float(part) for part in _text(header, tag).split("\\") if part.strip()])
    except ValueError:
        return np.array([])


def _text(header: Any, tag: str) -> str:
    if not header.HasMetaDataKey(tag):
        return ""
    raw = header.GetMetaData(tag).encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return str(text.strip(" \0"))
