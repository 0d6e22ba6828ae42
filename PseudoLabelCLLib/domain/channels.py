"""Channels: several images of one patient, such as FLAIR and T1, that a network sees together."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.text import NO_TEXT, Text

MAX_CHANNELS = 16
MAX_CHANNEL_LENGTH = 32
_FORBIDDEN = frozenset(',;=/\\:*?"<>|.')
# Windows opens a device by these names, and copies of images lie in folders of their channel.
_DEVICE_NAME = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
# The other columns of a table of cases.
_RESERVED = frozenset(("id", "role", "image", "annotation", "series_uid"))


@dataclass(frozen=True)
class NamedImage:
    """An image of a patient besides the first one, as a person names it.

    Args:
        channel: Which channel it is.
        image: A file, or a folder of DICOM slices.
        series_uid: Which DICOM series of the folder, or None.
    """

    channel: str
    image: str
    series_uid: str | None = None


def same_channel(one: str, other: str) -> bool:
    """Return whether two names mean the same channel; upper and lower case do not matter."""
    return one.casefold() == other.casefold()


def check_channels(channels: Sequence[str]) -> None:
    """Refuse names of channels that cannot be told apart or cannot be written down.

    Raises:
        ProjectError: A name is unfit or comes twice, or there are too many.
    """
    if len(channels) > MAX_CHANNELS:
        raise ProjectError(
            Text(
                "{count} channels are named; a case has at most {most} images.",
                count=len(channels),
                most=MAX_CHANNELS,
            )
        )
    seen: set[str] = set()
    for channel in channels:
        problem = _problem(channel)
        if problem:
            raise ProjectError(
                Text("The channel name {name!r} {problem}.", name=channel, problem=problem),
                Text("Choose another name, such as FLAIR or T1."),
            )
        if channel.casefold() in seen:
            raise ProjectError(
                Text("Two channels are called '{name}'.", name=channel),
                Text("Give each channel its own name."),
            )
        seen.add(channel.casefold())


def missing_among(channels: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    """Return the channels that are not among those found."""
    have = {name.casefold() for name in found}
    return tuple(channel for channel in channels if channel.casefold() not in have)


def _problem(channel: str) -> Text:
    if not channel or channel != channel.strip():
        return Text("is empty or begins or ends with a space")
    if len(channel) > MAX_CHANNEL_LENGTH:
        return Text("is longer than {most} characters", most=MAX_CHANNEL_LENGTH)
    if _DEVICE_NAME.fullmatch(channel):
        return Text("is the name of a device on Windows")
    if channel.casefold() in _RESERVED:
        return Text("is that of another column in tables of cases")
    if not channel.isprintable() or _FORBIDDEN & set(channel):
        return Text("contains one of {forbidden}", forbidden=" ".join(sorted(_FORBIDDEN)))
    return NO_TEXT


def channels_in_words(text: str) -> tuple[str, ...]:
    """Return the channels in a text such as "FLAIR,T1".

    Raises:
        ProjectError: A name is unfit or comes twice.
    """
    channels = tuple(name.strip() for name in text.split(","))
    check_channels(channels)
    return channels
