"""Files in a folder that a reader of DICOM series passed over: a damaged slice must be no gap."""

from collections.abc import Iterable
from pathlib import Path

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_REMEDY = Text("Copy it again, or move it out of the folder if it does not belong to the series.")


def require_whole(
    folder: Path, series_uid: str, files: Iterable[str], found: Iterable[str]
) -> None:
    """Refuse a series beside which a file lies that may be one of its slices, but is damaged.

    Args:
        folder: Where the series lies.
        series_uid: The series.
        files: Its files, as the reader found them.
        found: The files of all series that the reader found there.

    Raises:
        VolumeError: There is such a file.
        StorageError: The folder cannot be read.
    """
    known = {Path(file).name for file in found}
    suffixes = {Path(file).suffix.lower() for file in files} - {""}
    try:
        others = sorted(
            file
            for file in folder.iterdir()
            if file.name not in known and file.name[0] != "." and file.is_file()
        )
        candidates = [file for file in others if _may_be_a_slice(file, suffixes)]
    except OSError as error:
        raise storage_error(folder, error, action="read") from error
    for file in candidates:
        told = _series_told_by(file)
        if told == series_uid:
            raise VolumeError(
                Text(
                    "'{file}' is a slice of the series and is damaged or cut off; without "
                    "it the volume would be incomplete.",
                    file=file,
                ),
                _REMEDY,
            )
        if told is None:
            raise VolumeError(
                Text(
                    "'{file}' is a damaged DICOM file; it may be a slice of the series.",
                    file=file,
                ),
                _REMEDY,
            )


def _may_be_a_slice(file: Path, suffixes: set[str]) -> bool:
    return looks_like_dicom(file) or file.suffix.lower() in suffixes or not file.stat().st_size


def _series_told_by(file: Path) -> str | None:
    """Return the series that a file says it belongs to, "" for none, None if this is not known."""
    # The library of DICOM loads slowly, and a sound folder does without.
    import pydicom  # noqa: PLC0415 - see above

    try:
        header = pydicom.dcmread(file, force=True, specific_tags=["SeriesInstanceUID"],
                                 stop_before_pixels=True)  # fmt: skip
        uid = header.get("SeriesInstanceUID")
        kind = header.file_meta.get("MediaStorageSOPClassUID") if header.file_meta else None
    except Exception:  # noqa: BLE001 - whatever a damaged file does to the library
        return None
    if uid:
        return str(uid)
    return "" if kind == _DIRECTORY_CLASS else None
