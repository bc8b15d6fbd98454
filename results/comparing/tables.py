"""The tables of a comparison, as plain cells: a terminal and a page show the same ones."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from results.comparing.sides import Measured, Side
from results.comparing.targets import at_hours, at_trial, moments, reached, targets
from results.minds import dollars
from results.writing import clean, duration, figure, interval

NAME: Final = 16  # characters of a run's name
_LONG_S: Final = 7200.0  # from which time on the GPU is told in hours


class Grid(Struct, frozen=True):
    """Heads (in one line or two) and rows; the first `words` columns are words, the others numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    crowned: tuple[int, int] | None = None  # row and column of the best


def grids(sides: Sequence[Side]) -> list[Grid]:
    """All that have something in them: what runs came to, what that took, and how fast they were."""
    found = [_came_to(sides), _took(sides), _by_trials(sides), _by_time(sides), _goals(sides)]
    return [grid for grid in found if grid is not None]


def measured(value: Measured | None) -> str:
    """A score or a gain with its interval, if it has one."""
    if value is None:
        return "–"
    return figure(value.mean) if value.half is None else interval(value.mean, value.half)


def name(side: Side) -> str:
    return clean(side.name, NAME)


def _came_to(sides: Sequence[Side]) -> Grid:
    bests = {place: side.best.mean for place, side in enumerate(sides) if side.best}
    rows = tuple(
        (
            name(side),
            measured(side.baseline),
            measured(side.best),
            measured(side.gain),
            str(side.fresh or "–"),
        )
        for side in sides
    )
    crown = min(bests, key=lambda place: bests[place]) if len(bests) > 1 else None
    heads = ("run", "baseline", "best", "gain", "again")
    return Grid(heads, rows, crowned=None if crown is None else (crown, 2))


def _took(sides: Sequence[Side]) -> Grid:
    paid, raced = any(side.cost_usd for side in sides), any(side.stopped for side in sides)
    heads = ("run", "policy", "lineages", "trials", "kept", *["stopped"] * raced, "failed", "GPU time")
    rows = []
    for side in sides:
        counts = (side.lineages, side.trials, side.kept, *[side.stopped] * raced, side.failed)
        cost = [dollars(side.cost_usd)] * paid
        rows.append((name(side), clean(side.policy, 14), *map(str, counts), duration(side.gpu_s), *cost))
    return Grid((*heads, *["cost"] * paid), tuple(rows), words=2)


def _by_trials(sides: Sequence[Side]) -> Grid | None:
    """The best after so many trials."""
    marks = [int(mark) for mark in moments(max(side.trials for side in sides)) if mark >= 1]
    heads = ("best after trials", *map(str, marks))
    rows = tuple((name(side), *(_score(at_trial(side, mark)) for mark in marks)) for side in sides)
    return Grid(heads, rows) if marks else None


def _by_time(sides: Sequence[Side]) -> Grid | None:
    """The best after so much time on the GPU."""
    longest_s = max(side.gpu_s for side in sides)
    unit_s, unit = (3600.0, "h") if longest_s >= _LONG_S else (60.0, "m")
    marks = moments(longest_s / unit_s)
    heads = ("best after GPU time", *(f"{mark:g} {unit}" for mark in marks))
    rows = tuple(
        (name(side), *(_score(at_hours(side, mark * unit_s / 3600)) for mark in marks)) for side in sides
    )
    return Grid(heads, rows) if marks else None


def _goals(sides: Sequence[Side]) -> Grid | None:
    """Trials, and time on the GPU, until given scores were reached."""
    goals = targets(sides)
    heads = ("trials to reach", *(f"{figure(goal.score)}\n{clean(goal.what, 14)}" for goal in goals))
    rows = []
    for side in sides:
        points = [reached(side, goal) for goal in goals]
        cells = ["–" if p is None else f"{p.trials}\n{_rough(p.gpu_s)}" for p in points]
        rows.append((name(side), *cells))
    return Grid(heads, tuple(rows)) if goals else None


def _rough(seconds: float) -> str:
    """Time in so few characters that many fit side by side: `34 m`, `5.6 h`."""
    minutes = seconds / 60
    return (
        f"{minutes / 60:.1f} h"
        if seconds >= _LONG_S
        else f"{minutes:.0f} m"
        if minutes >= 2
        else f"{seconds:.0f} s"
    )


def _score(score: float | None) -> str:
    return "–" if score is None else figure(score)
