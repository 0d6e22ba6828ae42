"""Ranges and ticks of the axes of a plot."""

import itertools
import math
from collections.abc import Sequence

_MOST_TICKS = 5
_MARGIN = 0.05


def whole_ticks(values: Sequence[float]) -> tuple[int, ...]:
    """Return whole numbers at even steps of 1, 2 or 5 times a power of ten around the values.

    Args:
        values: Steps or rounds, one at least.

    Returns:
        Two ticks at least; the first lies not above, the last not below all values.
    """
    low, high = math.floor(min(values)), math.ceil(max(values))
    steps = (m * 10**n for n in itertools.count() for m in (1, 2, 5))
    step = next(s for s in steps if math.ceil(high / s) - low // s < _MOST_TICKS)
    first, last = low // step, max(math.ceil(high / step), low // step + 1)
    return tuple(number * step for number in range(first, last + 1))


def fraction_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of an axis for fractions: 0 to 1."""
    known = [value for value in values if math.isfinite(value)]
    return min((0.0, *known)), max((1.0, *known))


def axis_range(values: Sequence[float]) -> tuple[float, float]:
    """Return a range around all values, from 0 if none is below, with a margin above."""
    known = [value for value in values if math.isfinite(value)] or [1.0]
    low, high = min((0.0, *known)), max(known)
    span = (high - low) or 1.0
    return (low if low == 0.0 else low - _MARGIN * span), high + _MARGIN * span
