"""A folder of DICOM slices as one volume: slices ordered and checked by their own positions."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text, joined
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.dicom.mark import (
    CT_CLASSES,
    ENHANCED_CLASSES,
    NO_VOLUME_CLASSES,
)
from PseudoLabelCLLib.storage.dicom.missed_files import require_whole
from PseudoLabelCLLib.storage.dicom.series_parts import APART, Part, series_and_part
from PseudoLabelCLLib.storage.dicom.slice_stack import PlacedSlice, grid_of_stack, ordered_stack
from PseudoLabelCLLib.storage.images.itk_files import (
    grid_of,
    metadata_numbers,
    metadata_text,
    quiet_itk,
)

_READER = "GDCMImageIO"
_SOP_CLASS = "0008|0016"
_MODALITY = "0008|0060"
_SERIES_DESCRIPTION = "0008|103e"
_SLICE_THICKNESS = "0018|0050"
_SPACING_BETWEEN_SLICES = "0018|0088"
_POSITION = "0020|0032"
_ORIENTATION = "0020|0037"


def list_dicom_series(folder: Path) -> tuple[tuple[str, int, str], ...]:
    """Return the series in a folder: UID, number of files, description.

    Series that make no volume (colour images, damaged files) are among them; what is wrong with
    one is reported where it is read.

    Raises:
        VolumeError: The folder is missing.
    """
    return _listed(_series_in(folder))


def read_series(folder: Path, series_uid: str | None = None) -> Volume:
    """Read one series; slices lie in the order of their positions along their normal.

    The frames of an enhanced object count as its slices.

    Raises:
        VolumeError: There is no series, or several and none chosen, or the slices do not make a
            regular grid.
    """
    uid, part = series_and_part(series_uid)
    files = _chosen_files(folder, uid)
    headers = [_read_header(file) for file in files]
    if (frames := _frames(folder, files, headers, part)) is not None:
        with quiet_itk(folder):
            stored = sitk.GetArrayFromImage(headers[0].Execute())
        geometry = grid_of_stack(frames)
        order = [frame.header for frame in frames]
        stored = stored.reshape(-1, *geometry.array_shape[1:])
        return Volume(stored[order], geometry, _is_ct(headers[0]))
    if _is_one_volume(headers):
        with quiet_itk(folder):
            image = headers[0].Execute()
        array = sitk.GetArrayFromImage(image)
        return Volume(array, grid_of(folder, image), _is_ct(headers[0]))
    slices = _ordered_slices(folder, files, headers, part)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO(_READER)
    reader.SetFileNames([s.path for s in slices])
    if len({header.GetPixelID() for header in headers}) > 1:  # scaled differently, as in PET
        reader.SetOutputPixelType(sitk.sitkFloat32)
    with quiet_itk(folder):
        array = sitk.GetArrayFromImage(reader.Execute())
    geometry = grid_of_stack(slices)
    if array.shape != geometry.array_shape:
        raise VolumeError(
            Text(
                "Of the {all} slices in '{folder}', {count} could be read; one is damaged.",
                all=len(slices),
                folder=folder,
                count=len(array),
            ),
            Text("Copy the series again."),
        )
    return Volume(array, geometry, _is_ct(slices[0].header))


def read_series_geometry(folder: Path, series_uid: str | None = None) -> Geometry:
    """Read the grid of one series from the headers of its slices.

    Raises:
        VolumeError: As for `read_series`.
    """
    uid, part = series_and_part(series_uid)
    files = _chosen_files(folder, uid)
    headers = [_read_header(file) for file in files]
    if (frames := _frames(folder, files, headers, part)) is not None:
        return grid_of_stack(frames)
    if _is_one_volume(headers):
        return grid_of(folder, headers[0])
    return grid_of_stack(_ordered_slices(folder, files, headers, part))


def read_slices(folder: Path, series_uid: str) -> Iterator[npt.NDArray[Any]]:
    """Yield the slices of a series of single slices, in the order of positions, one in memory.

    Raises:
        VolumeError: As for `read_series`.
    """
    uid, part = series_and_part(series_uid)
    files = _files_of(folder, uid or "")
    headers = [_read_header(file) for file in files]
    for slice_ in _ordered_slices(folder, files, headers, part):
        with quiet_itk(folder):
            stored = sitk.GetArrayFromImage(slice_.header.Execute())
        yield stored.reshape(slice_.size[::-1])


def _series_in(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the files of every series in a folder by its UID, in the order of the UIDs."""
    if not folder.is_dir():
        raise VolumeError(
            Text("The folder '{folder}' was not found.", folder=folder), Text("Check the path.")
        )
    with quiet_itk(folder):
        uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(os.fspath(folder))
    return {uid: _files_of(folder, uid) for uid in sorted(uids)}


def _listed(series: dict[str, tuple[str, ...]]) -> tuple[tuple[str, int, str], ...]:
    return tuple((uid, len(files), _description_in(files[0])) for uid, files in series.items())


def _chosen_files(folder: Path, series_uid: str | None) -> tuple[str, ...]:
    """Return the files of a series, none of whose slices was passed over as damaged."""
    found = _series_in(folder)
    uid = _choose_series(folder, _listed(found), series_uid)
    require_whole(folder, uid, found[uid], itertools.chain.from_iterable(found.values()))
    return found[uid]


def _choose_series(
    folder: Path, series: tuple[tuple[str, int, str], ...], series_uid: str | None
) -> str:
    if not series:
        raise VolumeError(
            Text("The folder '{folder}' holds no DICOM slices.", folder=folder),
            Text("Give the folder that holds the slices themselves, or a volume file."),
        )
    uids = [uid for uid, _, _ in series]
    listed = joined(
        *(
            Text("{uid} ({count} files, '{text}')", uid=uid, count=n, text=text)
            for uid, n, text in series[:8]
        ),
        by="; ",
    )
    if series_uid is not None and series_uid not in uids:
        raise VolumeError(
            Text(
                "The folder '{folder}' holds no series {series}; it holds: {listed}.",
                folder=folder,
                series=series_uid,
                listed=listed,
            ),
            Text("Choose one of these."),
        )
    if series_uid is None and len(series) > 1:
        raise VolumeError(
            Text(
                "The folder '{folder}' holds {count} series: {listed}.",
                folder=folder,
                count=len(series),
                listed=listed,
            ),
            Text("Choose one of them by its UID (in a table of cases: the column series_uid)."),
        )
    return series_uid or uids[0]


def _files_of(folder: Path, series_uid: str) -> tuple[str, ...]:
    with quiet_itk(folder):
        return tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(os.fspath(folder), series_uid))


def _description_in(file: str) -> str:
    try:
        return metadata_text(_any_header(file), _SERIES_DESCRIPTION)
    except VolumeError:
        return ""


def _any_header(file: str) -> Any:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_READER)  # which knows a file without the preamble of DICOM, too
    reader.SetFileName(file)
    with quiet_itk(Path(file)):
        reader.ReadImageInformation()
    return reader


def _read_header(file: str) -> Any:
    reader = _any_header(file)
    if kind := NO_VOLUME_CLASSES.get(metadata_text(reader, _SOP_CLASS)):
        raise VolumeError(
            Text("'{file}' is {kind}; expected slices of a volume.", file=file, kind=kind),
            Text("Choose a series of CT, MR or PET slices."),
        )
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(
            Text("'{file}' is a colour image; expected one intensity per pixel.", file=file),
            Text("Choose a series of grey-scale slices."),
        )
    return reader


def _frames(
    folder: Path, files: tuple[str, ...], headers: list[Any], part: Part | None
) -> list[PlacedSlice[int]] | None:
    """Return the frames of an enhanced object in the order of positions; None for other series."""
    if not any(metadata_text(header, _SOP_CLASS) in ENHANCED_CLASSES for header in headers):
        return None
    if len(files) > 1:
        raise VolumeError(
            Text(
                "The series in '{folder}' is made of {count} enhanced (multi-frame) "
                "objects; expected one, which holds the whole volume.",
                folder=folder,
                count=len(files),
            ),
            Text("Move the one that you need into a folder of its own."),
        )
    # The library of DICOM loads slowly, and other series do without.
    from PseudoLabelCLLib.storage.dicom.enhanced_frames import read_frames  # noqa: PLC0415

    return read_frames(Path(files[0]), part)


def _is_ct(header: Any) -> bool | None:
    """Return whether an image is from CT; None where it does not say what made it."""
    modality = metadata_text(header, _MODALITY)
    if metadata_text(header, _SOP_CLASS) in CT_CLASSES or modality == "CT":
        return True
    return None if modality in ("", "OT") else False


def _is_one_volume(headers: list[Any]) -> bool:
    return len(headers) == 1 and headers[0].GetSize()[2] > 1


def _ordered_slices(
    folder: Path, files: tuple[str, ...], headers: list[Any], part: Part | None
) -> list[PlacedSlice[Any]]:
    slices = [_slice_of(file, header) for file, header in zip(files, headers, strict=True)]
    return ordered_stack(folder, slices, part)


def _slice_of(file: str, header: Any) -> PlacedSlice[Any]:
    position = metadata_numbers(header, _POSITION)
    orientation = metadata_numbers(header, _ORIENTATION)
    if len(position) != 3 or len(orientation) != 6:
        raise VolumeError(
            Text(
                "'{file}' does not say where its slice lies (no position or orientation).",
                file=file,
            ),
            Text("Choose a series of tomographic slices, or convert it to NRRD or NIfTI first."),
        )
    return PlacedSlice(
        path=file,
        header=header,
        position_mm=position,
        row=orientation[:3],
        column=orientation[3:],
        size=header.GetSize()[:2],
        spacing_mm=header.GetSpacing()[:2],
        thickness_mm=_single_slice_spacing(header),
        attributes={name: metadata_text(header, tag) for name, tag in APART.items()},
    )


def _single_slice_spacing(header: Any) -> float:
    for tag in (_SPACING_BETWEEN_SLICES, _SLICE_THICKNESS):
        values = metadata_numbers(header, tag)
        if len(values) == 1 and values[0] > 0:
            return float(values[0])
    return 1.0
