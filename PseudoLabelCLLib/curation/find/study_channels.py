"""Which DICOM series of one study are the channels of a patient, as their descriptions say."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BETWEEN_WORDS = re.compile(r"[\W_]+")
# A study has a few series that name a channel; beyond this, they could not be told apart anyway.
MOST_WAYS = 2000


@dataclass(frozen=True)
class StudyChannels:
    """Which series is which channel.

    Args:
        series: The number of a series for each channel that was recognised.
        doubtful: Channels for which several series come into question; then nothing is recognised.
    """

    series: Mapping[str, int]
    doubtful: tuple[str, ...] = ()


def channels_of_study(descriptions: Sequence[str], channels: Sequence[str]) -> StudyChannels:
    """Return which series of a study are which channels.

    A description names a channel if it holds its words, one after the other: "Ax T2 FLAIR fs" names
    FLAIR and T2. Each series is one channel at the most, and as many channels as possible are
    given a series; where that can be done in more than one way, a person has to say it.

    Args:
        descriptions: Of the series.
        channels: The names of the channels.
    """
    named = {
        channel: [n for n, text in enumerate(descriptions) if _names(text, channel)]
        for channel in channels
    }
    ways = _largest_ways(named, tuple(channels))
    if len(ways) == 1:
        return StudyChannels(ways[0])
    differing = [channel for channel in channels if len({way.get(channel, -1) for way in ways}) > 1]
    return StudyChannels({}, tuple(differing))


def _names(description: str, channel: str) -> bool:
    words, wanted = _words(description), _words(channel)
    starts = range(len(words) - len(wanted) + 1)
    return bool(wanted) and any(words[n : n + len(wanted)] == wanted for n in starts)


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(text.casefold()) if word]


def _largest_ways(
    named: Mapping[str, Sequence[int]], channels: tuple[str, ...]
) -> list[dict[str, int]]:
    """Return the ways to give most channels a series; of many, two tell that there are several."""
    ways: list[dict[str, int]] = [{}]
    for channel in channels:
        further = [
            {**way, channel: number}
            for way in ways
            for number in named[channel]
            if number not in way.values()
        ]
        ways = [*further, *ways]
        most = max(map(len, ways))
        left = len(channels) - channels.index(channel) - 1
        ways = [way for way in ways if len(way) + left >= most][:MOST_WAYS]
    most = max(map(len, ways))
    return [way for way in ways if len(way) == most]
