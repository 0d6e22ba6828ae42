"""How long a round takes and how much memory it needs: before it, after it, and in words."""

import math
from collections.abc import Mapping

from PseudoLabelCLLib.domain.round import RoundCost
from PseudoLabelCLLib.domain.round_work import RoundWork, Work
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, joined

# An estimate that is off by less is as good as it was said to be.
CLEARLY_OFF = 1.5
# Shorter differences are told by no one's watch.
_LEAST_TOLD_S = 20.0
GIGABYTE = 1e9


def expected_seconds(work: RoundWork, paces: Mapping[Work, float]) -> float | None:
    """Return how long some work takes; None as long as the speed of any part is unknown.

    Args:
        work: What is to be done.
        paces: Seconds for a unit of each work. Writing a report is short: it may be unknown.
    """
    needed = {one: n for one, n in work.amounts.items() if n > 0}
    if any(one not in paces for one in needed if one is not Work.REPORTING):
        return None
    return sum(n * paces.get(one, 0.0) for one, n in needed.items())


def cost_in_words(seconds: float, num_bytes: int | None) -> Text:
    """Return "about 4 minutes a round on this computer, 1.2 GB"."""
    time = Text("{time} a round on this computer", time=about(seconds))
    if num_bytes is None:
        return time
    return Text("{time}, {memory}", time=time, memory=gigabytes(num_bytes))


def cost_of_round(index: int, seconds: float, num_bytes: int | None) -> Text:
    """Return what a round that has begun will cost, as a sentence."""
    if num_bytes is None:
        return Text(
            "Round {index} takes {time} on this computer.", index=index, time=about(seconds)
        )
    return Text(
        "Round {index} takes {time} on this computer, and {memory} of memory.",
        index=index,
        time=about(seconds),
        memory=gigabytes(num_bytes),
    )


def what_was_off(cost: RoundCost) -> Text:
    """Return in what an estimate was off by more than a factor of 1.5; empty where it was not."""
    parts = []
    if _is_off(cost.expected_s, cost.seconds) and _is_worth_telling(cost):
        parts.append(
            Text(
                "The round took {found}, not {expected}.",
                found=about(cost.seconds or 0.0),
                expected=about(cost.expected_s or 0.0),
            )
        )
    if _is_off(cost.expected_bytes, cost.peak_bytes):
        parts.append(
            Text(
                "It used {found} of memory, not {expected}.",
                found=gigabytes(cost.peak_bytes or 0),
                expected=gigabytes(cost.expected_bytes or 0),
            )
        )
    return joined(*parts, Text("The next estimate goes by that.")) if parts else NO_TEXT


def about(seconds: float) -> Text:
    """Return a time as an estimate deserves: "about 4 minutes", "about 25 minutes"."""
    minutes = seconds / 60
    if minutes < 0.75:
        return Text("less than a minute")
    if minutes < 1.5:
        return Text("about a minute")
    if minutes < 57.5:
        whole = round(minutes) if minutes < 12.5 else 5 * round(minutes / 5)
        return Text("about {count} minutes", count=whole)
    hours = minutes / 60
    if hours < 1.25:
        return Text("about an hour")
    told = round(2 * hours) / 2 if hours < 10 else round(hours)
    return Text("about {count:g} hours", count=told)


def gigabytes(num_bytes: int) -> Text:
    """Return a size with two digits: "0.6 GB", "1.2 GB", "13 GB"."""
    size = max(0.1, num_bytes / GIGABYTE)
    digits = 1 if size < 9.95 else 0
    return Text("{size} GB", size=f"{size:.{digits}f}")


def _is_off(expected: float | None, found: float | None) -> bool:
    if not expected or not found:
        return False
    return abs(math.log(found / expected)) > math.log(CLEARLY_OFF)


def _is_worth_telling(cost: RoundCost) -> bool:
    return abs((cost.seconds or 0.0) - (cost.expected_s or 0.0)) >= _LEAST_TOLD_S
