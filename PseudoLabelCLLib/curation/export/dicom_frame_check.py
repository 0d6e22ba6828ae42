"""Whether a DICOM segmentation object counts its positions as the series of a volume does."""

from pathlib import Path

from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.header import items_of, read_dicom_header, uid_of
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.dicom.source_series import SourceInstances, read_source_series
from PseudoLabelCLLib.storage.dicom.structure_set import is_structure_set, read_structure_set

_KEYWORDS = ("FrameOfReferenceUID", "ReferencedSeriesSequence")


def check_frame_of_reference(
    annotation: Path, image: Path, series_uid: str | None
) -> tuple[Text, ...]:
    """Refuse an object whose positions mean other places than those of the volume.

    Args:
        annotation: A segmentation file; all but DICOM objects pass.
        image: A volume file, or a folder of DICOM slices.
        series_uid: Which series of a DICOM folder.

    Returns:
        What could not be compared, or what is remarkable.

    Raises:
        AnnotationError: The object and the series have different frames of reference.
        StorageError: The disk refuses.
    """
    if not looks_like_dicom(annotation):
        return ()
    source = _instances_of(image, series_uid)
    if source is None:
        return (Note.NO_FRAME.say(file=annotation.name, image=image.name),)
    frames, referenced = _references_of(annotation)
    if source.frame_of_reference_uid not in frames:
        frame = ", ".join(frames)
        raise AnnotationError(
            Text(
                "'{annotation}' has another frame of reference ({frame}) than the series of "
                "'{image}' ({own}).",
                annotation=annotation.name,
                frame=frame or Text("none named"),
                image=image.name,
                own=source.frame_of_reference_uid,
            ),
            Text(
                "Choose the segmentation of this series. If you know that their positions "
                "agree, open them in Slicer and save the segmentation as .seg.nrrd."
            ),
        )
    if referenced and source.series_uid not in referenced:
        return (Note.OTHER_SERIES.say(file=annotation.name),)
    return ()


def _references_of(annotation: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the frames of reference of an object, and the series that it refers to."""
    if is_structure_set(annotation):
        structures = read_structure_set(annotation)
        return structures.frames, structures.series_uids
    header = read_dicom_header(annotation, _KEYWORDS)
    if header is None:
        return (), ()
    frame = uid_of(header, "FrameOfReferenceUID")
    items = items_of(header, "ReferencedSeriesSequence")
    return (frame,) if frame else (), tuple(uid_of(item, "SeriesInstanceUID") for item in items)


def _instances_of(image: Path, series_uid: str | None) -> SourceInstances | None:
    if not image.is_dir():
        return None
    try:
        return read_source_series(image, series_uid).instances
    except VolumeError:  # it can be read, but a frame of reference is missing, for instance
        return None
