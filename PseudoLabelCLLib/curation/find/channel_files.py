"""Which files are the channels of one patient, as their names say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PseudoLabelCLLib.curation.find.file_names import stem_of
from PseudoLabelCLLib.curation.find.folder_walk import volume_files
from PseudoLabelCLLib.domain.channel_names import channel_in_name
from PseudoLabelCLLib.domain.channels import NamedImage, missing_among
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text


@dataclass(frozen=True)
class PatientImages:
    """The images of one patient.

    Args:
        name: What their names have in common, else that of their folder.
        files: Files, or folders of DICOM slices, by channel; some may be missing.
    """

    name: str
    files: dict[str, Path] = field(default_factory=dict)

    def further(self, channels: Sequence[str]) -> tuple[NamedImage, ...]:
        """Return the images besides the first one, in the order of the channels."""
        there = (channel for channel in channels[1:] if channel in self.files)
        return tuple(NamedImage(channel, str(self.files[channel])) for channel in there)


def channel_of_file(file: Path, channels: Sequence[str]) -> tuple[str, str] | None:
    """Return whose image a file or folder is, and which channel; None if its name does not say.

    Names end in the channel ("p1_FLAIR"), are the channel ("p1/FLAIR"), or end in its number as
    nnU-Net has it ("p1_0000").
    """
    return channel_in_name(stem_of(file), channels)


def patients_in(
    files: Iterable[Path], channels: Sequence[str]
) -> tuple[list[PatientImages], list[Path]]:
    """Return the patients whose images are among some files, and the files that name no channel.

    Args:
        files: Files, or folders of DICOM slices.
        channels: The names of the channels, the first one first.
    """
    found: dict[tuple[Path, str], PatientImages] = {}
    others = []
    for file in files:
        place = channel_of_file(file, channels)
        if place is None:
            others.append(file)
            continue
        name, channel = place
        key = (file.parent, name.casefold())
        one = found.setdefault(key, PatientImages(name or file.absolute().parent.name))
        one.files.setdefault(channel, file)
    return list(found.values()), others


def images_with(file: Path, channels: Sequence[str]) -> list[Path]:
    """Return the images of the patient that a file is one of, from the files beside it.

    Args:
        file: A file, or a folder of DICOM slices.
        channels: The names of the channels; empty returns the file alone.
    """
    if channel_of_file(file, channels) is None:
        return [file]
    siblings = _folders_beside(file) if file.is_dir() else volume_files(file.parent)
    patients, _ = patients_in([file, *siblings], channels)
    return next(list(p.files.values()) for p in patients if file in p.files.values())


def patient_of(file: Path, channels: Sequence[str]) -> PatientImages:
    """Return the images of the patient that a file is one of, from the files beside it.

    Args:
        file: A file, or a folder of DICOM slices.
        channels: The names of the channels, the first one first.

    Raises:
        VolumeError: There is no such file, its name says no channel, or a channel is missing.
    """
    if not file.exists():
        raise VolumeError(
            Text("The volume '{path}' was not found.", path=file), Text("Check the path.")
        )
    if channel_of_file(file, channels) is None:
        raise VolumeError(
            Text(
                "The name of '{file}' does not say which of the channels {channels} it is.",
                file=file.name,
                channels=", ".join(channels),
            ),
            Text(
                "Name the images of a patient with the channel at the end, such as p1_{first} and "
                "p1_{second}, or p1_0000 and p1_0001, or name them in a table with a column for "
                "each channel.",
                first=channels[0],
                second=channels[-1],
            ),
        )
    (patient,), _ = patients_in(images_with(file, channels), channels)
    return require_all(patient, channels)


def require_all(patient: PatientImages, channels: Sequence[str]) -> PatientImages:
    """Return the patient, if no channel is missing.

    Raises:
        VolumeError: One is.
    """
    missing = missing_among(channels, patient.files)
    if missing:
        known = next(iter(patient.files.values()))
        raise VolumeError(
            Text(
                "'{patient}' has no {missing} image: none lies beside '{file}'.",
                patient=patient.name,
                missing=", ".join(missing),
                file=known,
            ),
            Text("Put it there under a name of the same kind, or leave the patient out."),
        )
    return patient


def _folders_beside(folder: Path) -> list[Path]:
    return sorted(other for other in folder.absolute().parent.iterdir() if other.is_dir())
