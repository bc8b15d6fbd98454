"""How far the scale of a lineage tree reaches.

Scores far worse than everything that was built on would squeeze the rest into a line, so they are left out
and drawn on a rail above it. Trials that were stopped and trials that failed have no score, and a rail each.
"""

from typing import Final

from msgspec import Struct

_ROOM: Final = 0.6  # of the span of what was built on: how much worse a score may be and still be in scale
_SIGMAS: Final = 6.0  # least span, of one trial's noise
_LEAST: Final = 1e-4  # least span, of the scores themselves
_AIR: Final = 0.06  # of the span, above the highest
_BELOW: Final = 0.1  # of the span, below the lowest, which has its name there
_RAIL: Final = 0.07  # of the scale


class Scale(Struct, frozen=True):
    """Where things are drawn: scores from `low` to `high`, above them the rails that are needed."""

    low: float
    high: float
    beyond: float  # the rail of scores that are off the scale
    stopped: float  # the rail of trials that were stopped early, as hopeless
    failed: float  # the rail of all others without a score
    top: float
    any: bool  # whether there is a score at all; if not, the numbers mean nothing


class Extent(Struct, frozen=True):
    """What a scale has to have room for."""

    scores: tuple[float, ...]  # of all trials that have one
    stopped: bool  # whether any trial was stopped early,
    failed: bool  # and whether any other has no score
    bands: frozenset[tuple[float, float]]  # mean and half the width of what lineages stood on
    sigma: float  # of a trial

    def __or__(self, other: "Extent") -> "Extent":
        """That of two trees, to be drawn on one scale."""
        return Extent(
            self.scores + other.scores,
            self.stopped or other.stopped,
            self.failed or other.failed,
            self.bands | other.bands,
            max(self.sigma, other.sigma),
        )


NOTHING: Final = Extent((), False, False, frozenset(), 0.0)


def scale(extent: Extent) -> Scale:
    low, high = _reach(extent) if extent.scores else (0.0, 1.0)
    rail, top, places = _RAIL * (high - low), high, []
    for needed in (any(score > high for score in extent.scores), extent.stopped, extent.failed):
        places.append(top + 0.6 * rail)
        top += rail * needed
    beyond, stopped, failed = places
    return Scale(low, high, beyond, stopped, failed, top, bool(extent.scores))


def _reach(extent: Extent) -> tuple[float, float]:
    """The lowest and the highest score that has a place of its own."""
    scores, bands, sigma = extent.scores, extent.bands, extent.sigma
    means = [mean for mean, _ in bands] or [min(scores)]
    span = max(max(means) - min(means), _SIGMAS * sigma, _LEAST * abs(min(means)), 1e-9)
    reach = max(means) + _ROOM * span
    high = max(y for y in [*scores, *means, *(mean + half for mean, half in bands)] if y <= reach)
    low = min(*scores, *(mean - half for mean, half in bands), min(means) - _AIR * span)
    return low - _BELOW * (high - low), high + _AIR * (high - low)
