"""The DICOM series that a case's volume makes, for cases that did not come from DICOM."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.curation.export.dicom_preflight import ExportFinding
from PseudoLabelCLLib.curation.export.dicom_provenance import person_name
from PseudoLabelCLLib.curation.export.write_verified_object import ObjectToWrite
from PseudoLabelCLLib.curation.export.write_verified_series import write_verified_series
from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, VolumeError
from PseudoLabelCLLib.domain.text import Text, counted
from PseudoLabelCLLib.storage.dicom.segment import LONGEST_LABEL
from PseudoLabelCLLib.storage.dicom.series_writer import PlannedSeries, VolumeKind, plan_series
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.volume_io import read_volume

_NUM_UID_DIGITS = 8


@dataclass(frozen=True)
class SeriesAttributes:
    """What a person says of volumes that go out as DICOM series.

    Args:
        modality: "MR", "CT", or "OT" where nobody said what they are.
        patient_id: A pseudonym; where it is empty, the name of the case serves.
    """

    modality: str = VolumeKind.OTHER.value
    patient_id: str = ""


def series_of_volume(root: Path, case: Case, attributes: SeriesAttributes) -> PlannedSeries:
    """Return the series that would be written for the volume of a case; nothing is written.

    Raises:
        VolumeError: The volume cannot be read, or does not fit into a series.
        StorageError: The disk refuses.
    """
    patient_id = attributes.patient_id or case.id[:LONGEST_LABEL].strip()
    volume = read_volume(
        ProjectLayout(root).resolve(case.image), case.dicom_series_uid, case.geometry
    )
    return plan_series(
        volume,
        kind=_kind_of(attributes.modality),
        patient_id=patient_id,
        description=f"{case.id}, volume",
        patient_name=person_name(patient_id.replace("=", " ")),  # "=" would begin another spelling
    )


def series_finding(case_id: str, planned: PlannedSeries) -> ExportFinding:
    """Return what a person should know about a series before it is written."""
    changed = (
        Text("its intensities change by at most {difference:.3g}", difference=planned.max_error)
        if planned.max_error
        else Text("its intensities stay as they are")
    )
    number, patient_id = len(planned.headers), planned.headers[0].PatientID
    return ExportFinding(
        case_id,
        counted(
            number,
            "Case '{case}' did not come from DICOM: its volume goes out first, as a new series of "
            "{count} slice marked as derived, of a patient '{patient}'; {changed}.",
            "Case '{case}' did not come from DICOM: its volume goes out first, as a new series of "
            "{count} slices marked as derived, of a patient '{patient}'; {changed}.",
            case=case_id,
            patient=patient_id,
            changed=changed,
        ),
        stops=False,
    )


@contextmanager
def series_written(
    content: ObjectToWrite, output_folder: Path, case_id: str
) -> Iterator[ObjectToWrite]:
    """Write the planned series of an object, if it has one, and give the object that refers to it.

    The series gets a folder of its own, whose name ends in digits of its UID; the folder goes if
    the object cannot be written, unless an earlier export had made it.

    Raises:
        StorageError: The disk refuses, or what was read back is not what was written.
    """
    planned = content.source
    if not isinstance(planned, PlannedSeries):
        yield content
        return
    folder = output_folder / f"{case_id}.volume.{planned.instances.series_uid[-_NUM_UID_DIGITS:]}"
    was_there = folder.exists()
    source = write_verified_series(folder, planned)
    try:
        yield replace(content, source=source)
    except PseudoLabelCLError:
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _kind_of(modality: str) -> VolumeKind:
    try:
        return VolumeKind(modality)
    except ValueError:
        known = ", ".join(kind.value for kind in VolumeKind)
        raise VolumeError(
            Text(
                "'{modality}' is not a modality that can be written; expected {known}.",
                modality=modality,
                known=known,
            ),
            Text("Choose OT if it is neither of the others."),
        ) from None
