"""Which of two places an image has, as its segmentation or a person tells."""

from pathlib import Path

from PseudoLabelCLLib.curation.grids.match_grid import matches_by_cropping
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.file_formats import NIFTI_SUFFIXES, image_suffix
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.images.itk_files import check_header, grid_of, read_header
from PseudoLabelCLLib.storage.images.nifti_places import NiftiPlaces, nifti_places


def settled_place(
    image: Path, asking: Asking, annotation: Path | None = None, *, name: str = ""
) -> tuple[Geometry | None, tuple[Text, ...]]:
    """Return the place of an image whose header names two, and what a person should know.

    A segmentation on one of them decides; otherwise the person is asked.

    Args:
        image: A volume file, or a folder of DICOM slices.
        asking: Asks the person.
        annotation: The segmentation of the image, or None.
        name: What the file is called; empty for its own name.

    Returns:
        The grid on which the image is read; None where there is no choice.

    Raises:
        QuestionError: A person has to say which place is meant.
        VolumeError: A file cannot be read.
        StorageError: The disk refuses.
    """
    places = places_of(image)
    if places is None or places.sform is None or places.qform is None or not places.is_ambiguous:
        return None, ()
    found = two_places_in_words(name or image.name, places)
    names = {"sform": places.sform, "qform": places.qform}
    told = _told_by(annotation, names)
    if len(told) == 2:
        return None, (Note.BOTH_PLACES.say(found=found),)
    if len(told) == 1:
        return names[told[0]], (Note.PLACE_OF_LABEL.say(found=found, place=told[0]),)
    return names[asking.ask(QuestionKind.TWO_PLACES, found)], ()


def places_of(image: Path) -> NiftiPlaces | None:
    """Return the places that the header of a NIfTI file names; None for other files.

    Raises:
        VolumeError: It is damaged.
        StorageError: The disk refuses.
    """
    if image_suffix(image) not in NIFTI_SUFFIXES or image.is_dir():
        return None
    check_header(image)
    return nifti_places(image)


def two_places_in_words(name: str, places: NiftiPlaces) -> Text:
    """Return where both matrices put an image, and how far apart."""
    qform_code, sform_code = places.codes
    return Text(
        "The header of '{file}' names two places, {distance:.3g} mm apart at the far "
        "corner: its first voxel lies at {place1} mm by the sform (code {code1}; "
        "nibabel, MONAI, FSL and SPM take it) and at {place2} mm by the qform (code "
        "{code2}; Slicer and ITK take it unless the sform's code is 1).",
        file=name,
        distance=places.distance_mm,
        place1=_first(places.sform),
        code1=sform_code,
        place2=_first(places.qform),
        code2=qform_code,
    )


def _told_by(annotation: Path | None, names: dict[str, Geometry]) -> list[str]:
    """Return the places of an image on which its segmentation lies."""
    if annotation is None or looks_like_dicom(annotation):
        return []
    own = places_of(annotation)
    if own is not None:
        grids = own.all
    else:
        try:
            grids = (grid_of(annotation, read_header(annotation)),)
        except VolumeError:  # reported when its voxels are read
            return []
    told = [name for name, place in names.items() if any(g.is_close_to(place) for g in grids)]
    if told:
        return told
    fits = [name for name, p in names.items() if any(matches_by_cropping(g, p) for g in grids)]
    return fits if len(fits) == 1 else []


def _first(place: Geometry | None) -> str:
    if place is None:
        return "()"
    x, y, z = place.origin_mm
    return f"({-x:.4g}, {-y:.4g}, {z:.4g})"
