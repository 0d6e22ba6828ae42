"""A DICOM segmentation written aside, read back, compared, renamed, and recorded; or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy.typing as npt

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.curation.export.verify_segmentation_object import (
    ExpectedContent,
    FoundSegment,
    Verification,
    compare_with_series,
)
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, StorageError
from PseudoLabelCLLib.domain.text import Text, joined
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.dicom.seg_reader import read_segmentation_object
from PseudoLabelCLLib.storage.dicom.seg_writer import write_segmentation_object
from PseudoLabelCLLib.storage.dicom.segment import ObjectDescription, ObjectSegment
from PseudoLabelCLLib.storage.dicom.source_series import SourceSeries
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json, written_aside
from PseudoLabelCLLib.storage.files.collection_pause import paused_collection
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint

_SCHEMA_VERSION = 1
RECORD_SUFFIX = ".verified.json"
WRITING_STEPS = (Text("writing"), Text("reading back"), Text("comparing"))
_NUM_UID_DIGITS = 8


@dataclass(frozen=True)
class VerificationRecord:
    """What lies beside a written object: what it held when it was verified.

    Args:
        schema_version: Of this record.
        file: Name of the object's file.
        fingerprint: Hash of its content.
        sop_instance_uid: Of the object.
        source_series_uid: Of the series that it belongs to.
        checks: What was checked; all of it passed.
        segments: What the object holds, voxels counted in the file.
        num_frames: Its stored slices.
        notices: The notices that the exporting person was given.
        verified: When, ISO 8601 with zone.
        program_version: Of PseudoLabelCL.
    """

    schema_version: int
    file: str
    fingerprint: str
    sop_instance_uid: str
    source_series_uid: str
    checks: tuple[str, ...]
    segments: tuple[FoundSegment, ...]
    num_frames: int
    notices: tuple[str, ...]
    verified: str
    program_version: str


@dataclass(frozen=True)
class ObjectToWrite:
    """Everything that makes an object.

    Args:
        source: The series on whose grid it lies.
        masks: See `write_segmentation_object`.
        segments: In the order of their numbers.
        about: What it says about itself.
        notices: The notices that a person was given, for the record.
    """

    source: SourceSeries
    masks: npt.NDArray[Any]
    segments: Sequence[ObjectSegment]
    about: ObjectDescription
    notices: tuple[str, ...] = ()


@paused_collection()
def write_verified_object(
    folder: Path, stem: str, content: ObjectToWrite, tell: Callable[[Text], None] | None = None
) -> tuple[Path, Path]:
    """Write an object that a second reader finds as it should be, and a record beside it.

    The name ends in digits of the new object's UID, so no two exports collide.

    Args:
        folder: Where to; it is there.
        stem: How the file name begins.
        content: What to write.
        tell: Called with each of the `WRITING_STEPS` as it begins.

    Returns:
        The object and its record.

    Raises:
        StorageError: The disk refuses, or what was read back is not what was written.
    """
    path = folder / f"{stem}.{content.about.instance_uid[-_NUM_UID_DIGITS:]}.dcm"
    if path.exists():
        raise StorageError(Text("'{path}' already exists.", path=path), Text("Export again."))
    tell = tell or _silent
    with written_aside(path) as temporary:
        tell(Text("writing"))
        write_segmentation_object(
            temporary, content.source, content.masks, content.segments, content.about
        )
        verification = _verified(path, temporary, content, tell)
        fingerprint = file_fingerprint(temporary)
    record = path.with_name(path.stem + RECORD_SUFFIX)
    kept = VerificationRecord(
        schema_version=_SCHEMA_VERSION,
        file=path.name,
        fingerprint=fingerprint,
        sop_instance_uid=verification.sop_instance_uid,
        source_series_uid=content.source.instances.series_uid,
        checks=tuple(check.name for check in verification.checks),
        segments=verification.segments,
        num_frames=verification.num_frames,
        notices=content.notices,
        verified=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        program_version=__version__,
    )
    write_json(record, to_json(kept))
    return path, record


def record_problem(path: Path) -> str:
    """Return why a file is not what was recorded beside it; empty if it is, or has no record.

    Raises:
        StorageError: The disk refuses.
    """
    record = path.with_name(path.stem + RECORD_SUFFIX)
    if not record.exists():
        return ""
    try:
        kept = from_json(VerificationRecord, read_json(record), record.name)
    except PseudoLabelCLError:
        return f"The record '{record.name}' beside it is damaged."
    if kept.fingerprint != file_fingerprint(path):
        return f"The file was changed after it was verified on {kept.verified}."
    return ""


def _silent(_step: Text) -> None:
    """Tell nobody."""


def _verified(
    path: Path, temporary: Path, content: ObjectToWrite, tell: Callable[[Text], None]
) -> Verification:
    expected = ExpectedContent(content.masks, content.segments)
    try:
        tell(Text("reading back"))
        found = read_segmentation_object(temporary)
        tell(Text("comparing"))
        verification = compare_with_series(found, content.source, expected)
    except PseudoLabelCLError as error:
        raise _not_as_written(path, error.message) from error
    if verification.problems:
        raise _not_as_written(path, joined(*verification.problems))
    return verification


def _not_as_written(path: Path, found: Text) -> StorageError:
    return StorageError(
        Text(
            "'{file}' was not kept: what was read back differs from what was to be written. "
            "{found}",
            file=path.name,
            found=found,
        ),
        Text("Export as .seg.nrrd, and report this with the kind of scanner."),
    )
