"""The DICOM series in a folder, told from the headers of its files, each read once."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import FloatArray, Geometry
from PseudoLabelCLLib.storage.dicom_stack import PlacedSlice, grid_of_stack, ordered_stack
from PseudoLabelCLLib.storage.itk_files import grid_of, quiet_itk

_SERIES_UID, _DESCRIPTION = "0020|000e", "0008|103e"
_POSITION, _ORIENTATION = "0020|0032", "0020|0037"


@dataclass(frozen=True)
class FoundSeries:
    """One series.

    Args:
        uid: Its UID.
        description: What its makers call it, or empty.
        num_files: How many files it has.
        geometry: Its grid, or None if it makes no volume.
        problem: Why it makes none.
    """

    uid: str
    description: str
    num_files: int
    geometry: Geometry | None
    problem: VolumeError | None


def find_series(folder: Path, files: Iterable[Path]) -> tuple[tuple[FoundSeries, ...], int]:
    """Return the series among the DICOM files of a folder, and how many files hold no image."""
    by_uid: dict[str, list[tuple[Path, Any]]] = {}
    num_without_image = 0
    for file in files:
        header = _read_header(file)
        uid = "" if header is None else _text(header, _SERIES_UID)
        if uid:
            by_uid.setdefault(uid, []).append((file, header))
        else:
            num_without_image += 1
    found = tuple(_series(folder, uid, members) for uid, members in by_uid.items())
    return found, num_without_image


def _read_header(file: Path) -> Any | None:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(os.fspath(file))
    try:
        with quiet_itk(file):
            reader.ReadImageInformation()
    except VolumeError:
        return None
    return reader


def _series(folder: Path, uid: str, members: list[tuple[Path, Any]]) -> FoundSeries:
    description = _text(members[0][1], _DESCRIPTION)
    try:
        geometry = _grid_of(folder, members)
    except VolumeError as error:
        return FoundSeries(uid, description, len(members), None, error)
    return FoundSeries(uid, description, len(members), geometry, None)


def _grid_of(folder: Path, members: list[tuple[Path, Any]]) -> Geometry:
    file, first = members[0]
    if any(header.GetNumberOfComponents() != 1 for _, header in members):
        raise VolumeError(
            f"A series in '{folder}' holds colour images; expected one intensity per pixel.",
            "Choose a series of grey-scale slices.",
        )
    if len(members) == 1 and first.GetSize()[2] > 1:
        return grid_of(file, first)
    return grid_of_stack(ordered_stack(folder, [_placed(*member) for member in members]))


def _placed(file: Path, header: Any) -> PlacedSlice[Any]:
    position, orientation = _numbers(header, _POSITION), _numbers(header, _ORIENTATION)
    if len(position) != 3 or len(orientation) != 6:
        raise VolumeError(
            f"'{file}' does not say where its slice lies (no position or orientation).",
            "Choose a series of tomographic slices, or convert it to NRRD or NIfTI first.",
        )
    size, spacing = header.GetSize(), header.GetSpacing()
    return PlacedSlice(
        path=str(file),
        header=header,
        position_mm=position,
        row=orientation[:3],
        column=orientation[3:],
        size=(size[0], size[1]),
        spacing_mm=(spacing[0], spacing[1]),
    )


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
    return "".join(c for c in text if c.isprintable()).strip()
