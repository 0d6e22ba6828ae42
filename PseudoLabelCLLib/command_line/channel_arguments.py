"""Several images of one patient on the command line: their names, and the files that have them."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.domain.channels import NamedImage, channels_in_words, missing_among
from PseudoLabelCLLib.domain.errors import ProjectError, VolumeError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text


@dataclass(frozen=True)
class Images:
    """The images of one patient.

    Args:
        first: The first one: a file, or a folder of DICOM slices.
        further: The others, by channel.
        name: What the patient is called; empty where the first image says so.
    """

    first: Path
    further: tuple[NamedImage, ...] = ()
    name: str = ""


def add_channels(parser: argparse.ArgumentParser, help_: str) -> None:
    """Add `--channels`."""
    parser.add_argument(
        "--channels", type=_channels, default=(), metavar="NAME,NAME,...", help=help_
    )


def images_of(text: str, channels: Sequence[str], called: Sequence[str] = ()) -> Images:
    """Return the images of a patient that an argument names.

    Args:
        text: One of the images, beside which the others lie, or "FLAIR=FILE,T1=FILE".
        channels: Those that are needed; one or none takes the file as it is.
        called: What they are called in the names of the files; empty as they are called.

    Raises:
        ProjectError: There are more names than channels, or fewer.
        VolumeError: There is no such file, or a channel is missing.
    """
    if len(channels) < 2:
        return Images(Path(text))
    if called and len(called) != len(channels):
        raise ProjectError(
            Text(
                "{found} channels are named; {expected} are needed: {channels}.",
                found=len(called),
                expected=len(channels),
                channels=", ".join(channels),
            ),
            Text("Give one name for each, in this order."),
        )
    named = _named_files(text, channels)
    if named:
        return named
    # it brings the readers of images along, which other commands do without
    from PseudoLabelCLLib.curation.find.channel_files import patient_of  # noqa: PLC0415 - see above

    names = called or channels
    patient = patient_of(Path(text), names)
    renamed = dict(zip(names, channels, strict=True))
    further = patient.further(names)
    return Images(
        patient.files[names[0]],
        tuple(replace(image, channel=renamed[image.channel]) for image in further),
        patient.name,
    )


def show_channels(project: Project) -> list[str]:
    """Return what `status` says of the channels of a project, line by line."""
    lines = [f"Channels: {', '.join(project.channels)}"] if project.channels else []
    for case in project.cases:
        missing = ", ".join(project.missing_channels(case))
        lines += [f"Case '{case.id}' has no {missing} image."] if missing else []
    return lines


def _named_files(text: str, channels: Sequence[str]) -> Images | None:
    """Return the files in "FLAIR=FILE,T1=FILE"; None for the path of a file."""
    names = "|".join(re.escape(channel) for channel in channels)
    if not re.match(rf"(?:{names})=", text, re.IGNORECASE) or Path(text).exists():
        return None
    known = {channel.casefold(): channel for channel in channels}
    parts = re.split(rf",(?=(?:{names})=)", text, flags=re.IGNORECASE)
    pairs = [part.partition("=") for part in parts]
    files = {known[name.casefold()]: file for name, _, file in pairs}
    missing = missing_among(channels, files)
    if missing:
        raise VolumeError(
            Text("'{text}' names no {missing} image.", text=text, missing=", ".join(missing)),
            Text("Name an image for each of the channels {all}.", all=", ".join(channels)),
        )
    further = tuple(NamedImage(channel, files[channel]) for channel in channels[1:])
    return Images(Path(files[channels[0]]), further)


def _channels(text: str) -> tuple[str, ...]:
    """Return the names in "FLAIR,T1"."""
    try:
        return channels_in_words(text)
    except ProjectError as error:
        raise argparse.ArgumentTypeError(f"{error.message} {error.remedy}".strip()) from error
