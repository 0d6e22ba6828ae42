"""Which images are the channels of one patient, as their names say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from PseudoLabelCLLib.domain.channels import missing_among
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text

_SEPARATORS = " ._-"
# the channels of nnU-Net, from 0000
NUMBERED = re.compile(r"(.*\S)_(\d{4})")


def channel_in_name(name: str, channels: Sequence[str]) -> tuple[str, str] | None:
    """Return whose image a name is of, and which channel; None if it does not say.

    A name ends in the channel ("p1_FLAIR"), is the channel ("FLAIR"), or ends in its number as
    nnU-Net has it ("p1_0000").

    Args:
        name: Of a file without its ending, of a folder, or of a volume in the scene.
        channels: The names of the channels, the first one first.
    """
    number = NUMBERED.fullmatch(name)
    if number and int(number[2]) < len(channels):
        return number[1], channels[int(number[2])]
    for channel in sorted(channels, key=len, reverse=True):
        rest, end = name[: -len(channel)], name[-len(channel) :]
        if end.casefold() == channel.casefold() and (not rest or rest[-1] in _SEPARATORS):
            return rest.rstrip(_SEPARATORS), channel
    return None


@dataclass
class _Patient:
    """Numbers of images by channel."""

    name: str
    images: dict[str, int] = field(default_factory=dict)


def patients_of(names: Sequence[str], channels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return which of some images belong to one patient, in the order of the channels.

    Where there is one image for each channel, all are of one patient, whatever else they are
    called.

    Args:
        names: The names of the images.
        channels: The channels, two or more.

    Returns:
        For every patient the numbers of its images.

    Raises:
        VolumeError: A name says no channel, or a patient lacks one.
    """
    found: dict[str, _Patient] = {}
    by_channel: dict[str, list[int]] = {channel: [] for channel in channels}
    for number, name in enumerate(names):
        place = channel_in_name(name, channels)
        if place is None:
            raise VolumeError(
                Text(
                    "The name '{name}' does not say which of {channels} it is.",
                    name=name,
                    channels=", ".join(channels),
                ),
                Text("Give it a name that ends in one of them, such as 'p1 {first}'.",
                     first=channels[0]),
            )  # fmt: skip
        patient, channel = place
        by_channel[channel].append(number)
        found.setdefault(patient.casefold(), _Patient(patient)).images.setdefault(channel, number)
    if all(len(numbers) == 1 for numbers in by_channel.values()):
        return (tuple(by_channel[channel][0] for channel in channels),)
    for one in found.values():
        missing = missing_among(channels, one.images)
        if missing:
            raise VolumeError(
                Text(
                    "The model needs {channels} of each patient; of '{case}' there is no "
                    "{missing} image.",
                    channels=", ".join(channels),
                    case=one.name,
                    missing=", ".join(missing),
                ),
                Text("Mark that image too."),
            )
    return tuple(tuple(one.images[channel] for channel in channels) for one in found.values())
