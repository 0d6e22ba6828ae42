"""Which DICOM series a case came from: remembered when it is added, found again at export."""

from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import UnknownServerError, VolumeError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.dicom.series import list_dicom_series
from PseudoLabelCLLib.storage.dicom.series_parts import series_and_part, with_part
from PseudoLabelCLLib.storage.dicom.source_series import (
    SourceInstances,
    SourceSeries,
    read_source_series,
)
from PseudoLabelCLLib.storage.files.atomic_files import read_json, storage_error, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

_SCHEMA_VERSION = 1
_NOT_DICOM_REMEDY = Text(
    "Have its volume written as a DICOM series as well (--with-volume), export it as "
    ".seg.nrrd or .nii.gz, or say where its DICOM series lies."
)


@dataclass(frozen=True)
class _Remembered:
    """A series, and which part of it if not all: "EchoTime=4.6"."""

    schema_version: int
    folder: str
    instances: SourceInstances
    part: str = ""


def remember_series(
    root: Path, case_id: str, image: Path, series_uid: str | None
) -> tuple[Text, ...]:
    """Keep what identifies the series of a new case, no patient; forget what was kept before.

    Returns:
        Why the case cannot go out as a DICOM segmentation, if so; nothing for other volumes.

    Raises:
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    record = layout.dicom_series(case_id)
    try:
        record.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(record, error) from error
    if not image.is_dir():
        return ()
    try:
        source = read_source_series(image, series_uid)
    except VolumeError as error:
        return (Note.NOT_EXPORTABLE.say(case=case_id, reason=error.message),)
    _, part = series_and_part(series_uid)
    told = "=".join(part) if part else ""
    kept = _Remembered(_SCHEMA_VERSION, layout.relative(image), source.instances, told)
    write_json(record, to_json(kept))
    return ()


def is_from_dicom(root: Path, case: Case) -> bool:
    """Return whether a case came from a DICOM series, whether or not that can be exported."""
    layout = ProjectLayout(root)
    if case.dicom_series_uid is not None or layout.dicom_series(case.id).exists():
        return True
    try:
        return layout.resolve(case.image).is_dir()
    except UnknownServerError:
        return False


def series_of_case(root: Path, case: Case, look_in: Path | None = None) -> SourceSeries:
    """Find and read the series that a case came from.

    Args:
        root: The project folder.
        case: The case.
        look_in: A folder in or below which the series lies now; by default where it lay.

    Raises:
        VolumeError: It did not come from DICOM, or the series is gone, changed or unfit.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    kept = _remembered(layout, case)
    uid, part = series_and_part(case.dicom_series_uid)
    if part is None and kept is not None and kept.part:  # the project has a copy of the image
        name, _, value = kept.part.partition("=")
        part = (name, value)
    wanted = kept.instances.series_uid if kept is not None else uid
    folder = layout.resolve(kept.folder if kept is not None else case.image)
    if look_in is not None:
        folder, wanted = _find(look_in, wanted)
    elif kept is None and not folder.is_dir():
        raise VolumeError(
            Text(
                "Case '{case}' did not come from a DICOM series, or was added before the "
                "project recorded series.",
                case=case.id,
            ),
            _NOT_DICOM_REMEDY,
        )
    source = read_source_series(folder, None if wanted is None else with_part(wanted, part))
    if kept is not None and source.instances != kept.instances:
        raise VolumeError(
            Text(
                "The series of case '{case}' in '{folder}' has changed since the case was "
                "added: {difference}.",
                case=case.id,
                folder=folder,
                difference=_difference(kept.instances, source.instances),
            ),
            Text("Restore the original slices, or add the case again."),
        )
    return source


def _remembered(layout: ProjectLayout, case: Case) -> _Remembered | None:
    record = layout.dicom_series(case.id)
    if not record.exists():
        return None
    return from_json(_Remembered, read_json(record), f"dicom/{record.name}")


def _find(look_in: Path, wanted: str | None) -> tuple[Path, str | None]:
    """Return the first folder in or below `look_in` that holds the series, or any if not known."""
    if not look_in.is_dir():
        raise VolumeError(
            Text("The folder '{folder}' was not found.", folder=look_in), Text("Check the path.")
        )
    try:
        folders = [look_in, *sorted(path for path in look_in.rglob("*") if path.is_dir())]
    except OSError as error:
        raise storage_error(look_in, error, action="read") from error
    for folder in folders:
        uids = [uid for uid, _, _ in list_dicom_series(folder)]
        if uids and (wanted is None or wanted in uids):
            return folder, wanted
    raise VolumeError(
        Text(
            "The series {series} is neither in '{folder}' nor in its subfolders.",
            series=wanted or "",
            folder=look_in,
        ),
        Text("Give the folder to which it was moved."),
    )


def _difference(kept: SourceInstances, found: SourceInstances) -> Text:
    if kept.series_uid != found.series_uid:
        return Text("it is another series")
    missing = set(kept.instance_uids) - set(found.instance_uids)
    added = set(found.instance_uids) - set(kept.instance_uids)
    if missing or added:
        return Text("slices missing: {count}, new: {added}", count=len(missing), added=len(added))
    return Text("its slices have other positions, or another study or frame of reference")
