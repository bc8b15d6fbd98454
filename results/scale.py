"""How far the scale of a lineage tree reaches.

Scores far worse than everything that was built on would squeeze the rest into a line, so they are left out
and drawn on a rail above it; so are trials without a score, on another.
"""

from typing import Final

from msgspec import Struct

_ROOM: Final = 0.6  # of the span of what was built on: how much worse a score may be and still be in scale
_SIGMAS: Final = 6.0  # least span, of one trial's noise
_LEAST: Final = 1e-4  # least span, of the scores themselves
_AIR: Final = 0.06  # of the span, above the highest
_BELOW: Final = 0.1  # of the span, below the lowest, which has its name there
_RAILS: Final = 0.13  # of the scale, both rails together


class Scale(Struct, frozen=True):
    """Where things are drawn: scores from `low` to `high`, above them the two rails, if they are needed."""

    low: float
    high: float
    beyond: float  # the rail of scores that are off the scale
    failed: float  # the rail of trials without a score
    top: float
    any: bool  # whether there is a score at all; if not, the numbers mean nothing


class Extent(Struct, frozen=True):
    """What a scale has to have room for."""

    scores: tuple[float | None, ...]  # of all trials, None where there is none
    bands: frozenset[tuple[float, float]]  # mean and half the width of what lineages stood on
    sigma: float  # of a trial

    def __or__(self, other: "Extent") -> "Extent":
        """That of two trees, to be drawn on one scale."""
        return Extent(self.scores + other.scores, self.bands | other.bands, max(self.sigma, other.sigma))


NOTHING: Final = Extent((), frozenset(), 0.0)


def scale(extent: Extent) -> Scale:
    scores, bands, sigma = extent.scores, extent.bands, extent.sigma
    known = [score for score in scores if score is not None]
    if not known:
        return Scale(0.0, 1.0, 1.1, 1.2, 1.3, False)
    means = [mean for mean, _ in bands] or [min(known)]
    span = max(max(means) - min(means), _SIGMAS * sigma, _LEAST * abs(min(means)), 1e-9)
    reach = max(means) + _ROOM * span
    high = max(y for y in [*known, *means, *(mean + half for mean, half in bands)] if y <= reach)
    low = min(*known, *(mean - half for mean, half in bands), min(means) - _AIR * span)
    low, high = low - _BELOW * (high - low), high + _AIR * (high - low)
    needed = any(score is None or score > high for score in scores)
    rails = _RAILS * (high - low) * needed
    return Scale(low, high, high + 0.3 * rails, high + 0.75 * rails, high + rails, True)
