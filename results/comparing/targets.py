"""How fast runs were: the best at given moments, and when given scores were reached."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain
from typing import Final

from msgspec import Struct

from results.comparing.sides import Point, Side
from results.writing import clean

_QUARTILES: Final = ((0.25, "¼ gain"), (0.5, "½ gain"), (0.75, "¾ gain"))
_BESTS: Final = 3  # runs whose best is a target
_TRIALS: Final = tuple(sorted(chain.from_iterable((n, 2 * n, 5 * n) for n in (1, 10, 100, 1000, 10_000))))
_MOMENTS: Final = 5  # at most, the end among them


class Target(Struct, frozen=True):
    """A score to reach, and what it is."""

    score: float
    what: str


def targets(sides: Sequence[Side]) -> tuple[Target, ...]:
    """Quarters of the largest gain, from the mean baseline, and the bests of some runs; the easiest first."""
    starts = [side.baseline.mean for side in sides if side.baseline]
    bests = sorted((side.best.mean, side.name) for side in sides if side.best and side.course)
    if not starts or not bests:
        return ()
    start = sum(starts) / len(starts)
    gain = start - bests[0][0]
    if gain <= 0:
        return ()
    quarters = [Target(start - share * gain, what) for share, what in _QUARTILES]
    ends = [Target(course_end(side), f"{clean(side.name, 10)}'s") for side in _best(sides)[:_BESTS]]
    return tuple(sorted((*quarters, *ends), key=lambda target: -target.score))


def course_end(side: Side) -> float:
    """The best that its course came to; what it claims of that may lie a little off."""
    return side.course[-1].score


def reached(side: Side, target: Target) -> Point | None:
    """When a run reached a score, as far as is known; None if it never did."""
    return next((point for point in side.course if point.score <= target.score), None)


def at_trial(side: Side, trial: int) -> float | None:
    """The best after so many trials; None before the first score and after the last trial."""
    index = bisect_right(side.course, trial, key=lambda point: point.trials)
    return side.course[index - 1].score if index and trial <= side.trials else None


def at_hours(side: Side, hours: float) -> float | None:
    """The best after so many hours of the GPU, likewise."""
    index = bisect_right(side.course, hours * 3600, key=lambda point: point.gpu_s)
    return side.course[index - 1].score if index and hours * 3600 <= side.gpu_s else None


def moments(last: float) -> tuple[float, ...]:
    """Up to five round numbers up to the last: 10, 20, 50, 100."""
    unit = 1.0 if last >= 10 else 0.001
    rounds = [unit * n for n in _TRIALS if unit * n <= last]
    return tuple(rounds[-_MOMENTS:])


def _best(sides: Sequence[Side]) -> list[Side]:
    return sorted((side for side in sides if side.course), key=course_end)
