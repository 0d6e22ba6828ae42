"""The DICOM series in a folder, recognised by the headers of its files, each read once."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.mark import ENHANCED_CLASSES, NO_VOLUME_CLASSES
from PseudoLabelCLLib.storage.dicom.series import read_series_geometry
from PseudoLabelCLLib.storage.dicom.series_parts import (
    APART,
    Part,
    SeveralPartsError,
    part_value,
    with_part,
)
from PseudoLabelCLLib.storage.dicom.slice_stack import PlacedSlice, grid_of_stack, ordered_stack
from PseudoLabelCLLib.storage.images.itk_files import (
    grid_of,
    metadata_numbers,
    metadata_text,
    quiet_itk,
)

_STUDY_UID, _SERIES_UID = "0020|000d", "0020|000e"
_DESCRIPTION, _KIND = "0008|103e", "0008|0016"
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
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
        study_uid: The UID of its study, or empty.
    """

    uid: str
    description: str
    num_files: int
    geometry: Geometry | None
    problem: VolumeError | None
    study_uid: str = ""


@dataclass(frozen=True)
class FoundObject:
    """A segmentation object.

    Args:
        file: Where it lies.
        series_uids: The series that it refers to.
    """

    file: Path
    series_uids: tuple[str, ...]


@dataclass(frozen=True)
class FoundInFolder:
    """What the DICOM files of a folder are.

    Args:
        series: The series of images.
        objects: Segmentations whose voxels belong to a structure or do not, and structure sets.
        fractional: Segmentations that hold fractions.
        num_without_image: How many other files hold no image that can be read.
    """

    series: tuple[FoundSeries, ...]
    objects: tuple[FoundObject, ...]
    fractional: tuple[Path, ...]
    num_without_image: int


def find_series(folder: Path, files: Iterable[Path]) -> FoundInFolder:
    """Return the series and segmentation objects among the DICOM files of a folder."""
    by_uid: dict[str, list[tuple[Path, Any]]] = {}
    objects: list[FoundObject] = []
    fractional: list[Path] = []
    num_without_image = 0
    for file in files:
        header = _read_header(file)
        uid = "" if header is None else _text(header, _SERIES_UID)
        # what the library of images cannot read may still be a segmentation
        if (not uid or _text(header, _KIND) in _SEGMENTATIONS) and (found := _object_in(file)):
            is_fractional, series_uids = found
            if is_fractional:
                fractional.append(file)
            else:
                objects.append(FoundObject(file, series_uids))
        elif uid:
            by_uid.setdefault(uid, []).append((file, header))
        else:
            num_without_image += 1
    series = tuple(one for uid, members in by_uid.items() for one in _series(folder, uid, members))
    return FoundInFolder(series, tuple(objects), tuple(fractional), num_without_image)


def _object_in(file: Path) -> tuple[bool, tuple[str, ...]] | None:
    """Return whether a segmentation holds fractions, and its series; None for another file."""
    # The library of DICOM loads slowly, and few folders need it.
    from PseudoLabelCLLib.storage.dicom.header import (  # noqa: PLC0415
        items_of,
        read_dicom_header,
        text_of,
        uid_of,
    )
    from PseudoLabelCLLib.storage.dicom.structure_set import (  # noqa: PLC0415
        is_structure_set,
        read_structure_set,
    )

    if is_structure_set(file):
        try:
            return False, read_structure_set(file).series_uids
        except PseudoLabelCLError:
            return None
    try:
        header = read_dicom_header(
            file, ("SOPClassUID", "SegmentationType", "ReferencedSeriesSequence")
        )
    except PseudoLabelCLError:
        return None
    if header is None or uid_of(header, "SOPClassUID") not in _SEGMENTATIONS:
        return None
    items = items_of(header, "ReferencedSeriesSequence")
    series_uids = tuple(uid_of(item, "SeriesInstanceUID") for item in items)
    return text_of(header, "SegmentationType") == "FRACTIONAL", series_uids


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


def _series(folder: Path, uid: str, members: list[tuple[Path, Any]]) -> Iterator[FoundSeries]:
    """Yield a series, or each of its parts where slices lie at the same places."""
    header = members[0][1]
    description, study = _text(header, _DESCRIPTION), _text(header, _STUDY_UID)
    try:
        geometry = _grid_of(folder, members)
    except SeveralPartsError as several:
        frames = _frames_of(members)
        for part in several.parts:
            named = f"{description} {part[0]} {part[1]}".strip()
            own = [one for one in members if part_value(_attributes(one[1]), part[0]) == part[1]]
            number = len(own or members)  # an enhanced object is one file
            try:
                geometry = _grid_of_part(folder, members, part, frames)
            except VolumeError as error:
                yield FoundSeries(with_part(uid, part), named, number, None, error, study)
            else:
                yield FoundSeries(with_part(uid, part), named, number, geometry, None, study)
        if not several.parts:
            yield FoundSeries(uid, description, len(members), None, several, study)
    except VolumeError as error:
        yield FoundSeries(uid, description, len(members), None, error, study)
    else:
        yield FoundSeries(uid, description, len(members), geometry, None, study)


def _frames_of(members: list[tuple[Path, Any]]) -> list[PlacedSlice[int]]:
    """Return the frames of an enhanced object; none for other series."""
    file, header = members[0]
    if _text(header, _KIND) not in ENHANCED_CLASSES:
        return []
    # The library of DICOM loads slowly, and few folders need it.
    from PseudoLabelCLLib.storage.dicom.enhanced_frames import placed_frames  # noqa: PLC0415

    return placed_frames(file)


def _grid_of_part(
    folder: Path, members: list[tuple[Path, Any]], part: Part, frames: list[PlacedSlice[int]]
) -> Geometry:
    if frames:
        return grid_of_stack(ordered_stack(members[0][0], frames, part))
    return _grid_of(folder, members, part)


def _grid_of(folder: Path, members: list[tuple[Path, Any]], part: Part | None = None) -> Geometry:
    file, first = members[0]
    if any(header.GetNumberOfComponents() != 1 for _, header in members):
        raise VolumeError(
            Text(
                "A series in '{folder}' holds colour images; expected one intensity per pixel.",
                folder=folder,
            ),
            Text("Choose a series of grey-scale slices."),
        )
    kinds = {_text(header, _KIND) for _, header in members}
    if not kinds.isdisjoint((*ENHANCED_CLASSES, *NO_VOLUME_CLASSES)):
        # one enhanced object holds the whole volume; of others, the reader says what to do
        return read_series_geometry(folder, _text(first, _SERIES_UID))
    if len(members) == 1 and first.GetSize()[2] > 1:
        return grid_of(file, first)
    return grid_of_stack(ordered_stack(folder, [_placed(*m) for m in members], part))


def _placed(file: Path, header: Any) -> PlacedSlice[Any]:
    position, orientation = (
        metadata_numbers(header, _POSITION),
        metadata_numbers(header, _ORIENTATION),
    )
    if len(position) != 3 or len(orientation) != 6:
        raise VolumeError(
            Text(
                "'{file}' does not say where its slice lies (no position or orientation).",
                file=file,
            ),
            Text("Choose a series of tomographic slices, or convert it to NRRD or NIfTI first."),
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
        attributes=_attributes(header),
    )


def _attributes(header: Any) -> dict[str, str]:
    """Return what may tell a slice from another one at the same place."""
    return {name: _text(header, tag) for name, tag in APART.items()}


def _text(header: Any, tag: str) -> str:
    """Return what a header says, as it can be shown."""
    return "".join(c for c in metadata_text(header, tag) if c.isprintable()).strip()
