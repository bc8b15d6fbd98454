"""Means over worlds, and how sure they are: percentile intervals of a paired bootstrap.

Worlds are drawn with replacement, and with a world go all the searches on it, so that what makes a world
easy or hard for everyone drops out of a comparison (Efron & Tibshirani 1993, chapters 8 and 13). The draws
are always the same: same numbers, same interval.
"""

from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

RESAMPLES: Final = 4000
_LEVEL: Final = (2.5, 97.5)  # percentiles: 95%


class Interval(Struct, frozen=True):
    """A figure and where it lies with 95% confidence; infinite bounds say that one world tells nothing."""

    value: float
    low: float
    high: float


def mean(values: Array) -> Interval:
    """Of one value a world [n]."""
    return _interval(float(values.mean()), _resampled(values), len(values))


def difference(ours: Array, theirs: Array) -> Interval:
    """Mean of `ours` less `theirs`, both [n] and of the same worlds in the same order."""
    return mean(ours - theirs)


def ratio(ours: Array, theirs: Array) -> Interval | None:
    """Mean of `ours` over that of `theirs`, both [n] and paired; None unless that is clear of 0."""
    below = _resampled(theirs)
    if theirs.mean() <= 0 or np.percentile(below, _LEVEL[0]) <= 0:
        return None
    return _interval(float(ours.mean() / theirs.mean()), _resampled(ours) / below, len(ours))


def band(values: Array) -> Array:
    """[3, m] mean of values [n, m] over worlds, lower and upper bound."""
    if len(values) == 1:
        return np.repeat(values, 3, axis=0)
    return np.vstack([values.mean(0), np.percentile(_resampled(values), _LEVEL, axis=0)])


def _resampled(values: Array) -> Array:
    """[RESAMPLES, ...] means over worlds of values [n, ...]."""
    return _weights(len(values)) @ values


def _interval(value: float, resampled: Array, worlds: int) -> Interval:
    low, high = np.percentile(resampled, _LEVEL) if worlds > 1 else (-np.inf, np.inf)
    return Interval(value, float(low), float(high))


@lru_cache(maxsize=8)
def _weights(count: int) -> Array:
    """[RESAMPLES, count] how much each world counts in each draw."""
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return draws / count
