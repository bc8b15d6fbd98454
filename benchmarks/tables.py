"""What a kind of world says of its arms: rows of figures, and a table of them in Markdown."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final

import numpy as np
from msgspec import Struct

from benchmarks.arms import BEST, Kind
from benchmarks.intervals import Array, Interval, difference, mean, ratio
from benchmarks.play import Played
from benchmarks.result import Result

_SURE: Final = 1.96  # standard deviations either side


class Row(Struct, frozen=True):
    """One arm's figures; None where they mean nothing. Gains are in the kind's unit, counts are means."""

    arm: str
    worlds: int
    gain: Interval  # true
    rate: Interval | None  # gain per hour of the GPU's work, where trials can be stopped
    rated: Interval | None  # ratio of that to the rival's
    ratio: Interval | None  # of the gain to the rival's
    difference: Interval | None  # and how much more it is
    share: Interval | None  # of the gain of greedy on the best brief
    regret: Interval | None  # and how much less it is
    score: Interval | None  # true score, as it is
    reached: str | None  # share of searches that came to the goal, and the median trial at which they did
    trials: float
    advanced: float | None
    false: float | None
    kept: float | None  # share of trials in which a change advanced
    claimed: float | None  # gain that is reported
    covered: float | None  # share of searches whose reported interval holds the true gain
    stopped: float | None  # share of the trials that could be
    saved: float | None  # share of the training time
    killed: float | None  # share of all improvements that were stopped
    wronged: float | None  # share of all that were stopped that were improvements


def rows(kind: Kind, results: Sequence[Result]) -> list[Row]:
    """A row for each arm with results, in the kind's order; comparisons are over the worlds both played."""
    found: defaultdict[str, dict[int, Result]] = defaultdict(dict)
    for result in results:
        found[result.arm][result.world] = result
    return [
        _row(kind, entrant.name, entrant.rival, found) for entrant in kind.entrants if found[entrant.name]
    ]


def markdown(kind: Kind, found: Sequence[Row]) -> str:
    """The table with aligned columns; columns in which no arm has a figure are left out."""
    columns = {title: [cell(row) for row in found] for title, cell in _columns(kind).items()}
    shown = {title: cells for title, cells in columns.items() if any(cell != _NOTHING for cell in cells)}
    widths = {title: max(len(text) for text in (title, *cells)) for title, cells in shown.items()}
    lines = [
        [title.ljust(widths[title]) for title in shown],
        ["-" * widths[title] for title in shown],
        *([cells[i].ljust(widths[title]) for title, cells in shown.items()] for i in range(len(found))),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_NOTHING: Final = "–"


def _columns(kind: Kind) -> Mapping[str, Callable[[Row], str]]:
    """What stands in each column, by its title."""
    return {
        "arm": lambda row: row.arm,
        "worlds": lambda row: str(row.worlds),
        f"true gain{kind.unit.suffix}": lambda row: _around(row.gain),
        "gain per GPU hour": lambda row: _around(row.rate),
        f"its ratio to {kind.rival}": lambda row: _around(row.rated),
        f"ratio to {kind.rival}": lambda row: _around(row.ratio),
        f"difference to {kind.rival}": lambda row: _around(row.difference),
        "share of best brief": lambda row: _around(row.share),
        "regret": lambda row: _around(row.regret),
        "score": lambda row: _around(row.score, 4),
        f"trials to {kind.goal} (reached)": lambda row: row.reached or _NOTHING,
        "trials": lambda row: _plain(row.trials, 1),
        "advanced": lambda row: _plain(row.advanced, 1),
        "false": lambda row: _plain(row.false, 1),
        "advanced a trial": lambda row: _percent(row.kept),
        "claimed gain": lambda row: _plain(row.claimed),
        "coverage": lambda row: _percent(row.covered, 0),
        "stopped": lambda row: _percent(row.stopped),
        "training time saved": lambda row: _percent(row.saved),
        "improvements stopped": lambda row: _percent(row.killed),
        "improvements among the stopped": lambda row: _percent(row.wronged),
    }


def _row(kind: Kind, arm: str, rival: str, found: Mapping[str, Mapping[int, Result]]) -> Row:
    played = [result.played for result in found[arm].values()]
    advanced = [p.advanced for p in played if p.advanced is not None]
    against = None if arm == rival else _paired(kind, found, arm, rival)
    raced = [p for p in played if p.raced]
    rates = _paired(kind, found, arm, rival, _rate) if raced and arm != rival else None
    best = None if arm == BEST else _paired(kind, found, arm, BEST)
    return Row(
        arm=arm,
        worlds=len(played),
        gain=mean(np.array([p.gain for p in played]) * kind.unit.size),
        rate=mean(np.array([_rate(p) for p in played]) * kind.unit.size) if raced else None,
        rated=ratio(*rates) if rates else None,
        ratio=ratio(*against) if against else None,
        difference=difference(*against) if against else None,
        share=ratio(*best) if best else None,
        regret=difference(best[1], best[0]) if best else None,
        score=mean(np.array([p.score for p in played])) if kind.goal else None,
        reached=_reached(kind.goal, [p.truths for p in played]) if kind.goal else None,
        trials=float(np.mean([p.trials for p in played])),
        advanced=_mean(advanced),
        false=_mean([p.false for p in played if p.false is not None]),
        kept=sum(advanced) / sum(p.trials for p in played) if advanced else None,
        claimed=_mean([p.claimed * kind.unit.size for p in played if p.claimed is not None]),
        covered=_mean(
            [
                abs(p.claimed - p.gain) <= _SURE * p.sd
                for p in played
                if p.claimed is not None and p.sd is not None
            ]
        ),
        stopped=_share([p.stopped for p in raced], [p.raced for p in raced]),
        saved=_mean([p.saved for p in raced if p.saved is not None]),
        killed=_share([p.killed for p in raced], [p.improvements for p in raced]),
        wronged=_share([p.killed for p in raced], [p.stopped for p in raced]),
    )


def _paired(
    kind: Kind,
    found: Mapping[str, Mapping[int, Result]],
    ours: str,
    theirs: str,
    of: Callable[[Played], float] = attrgetter("gain"),
) -> tuple[Array, Array] | None:
    """The gains of two arms on the worlds that both played, or their gains an hour."""
    one, other = found[ours], found.get(theirs, {})
    worlds = sorted(one.keys() & other.keys())
    if not worlds:
        return None
    gains = ([of(arm[world].played) * kind.unit.size for world in worlds] for arm in (one, other))
    first, second = (np.array(values) for values in gains)
    return first, second


def _rate(played: Played) -> float:
    """Gain per hour that the GPU had trials."""
    assert played.gpu_s is not None, "whoever is watched is simulated"
    return played.gain * 3600 / played.gpu_s


def _share(some: Sequence[int | None], among: Sequence[int | None]) -> float | None:
    """Of one count in another, over all searches; None where there is nothing to count."""
    whole = sum(count or 0 for count in among)
    return sum(count or 0 for count in some) / whole if whole else None


def _reached(goal: float, courses: Sequence[Sequence[float]]) -> str:
    """In which share of searches the goal was reached, and at which trial in the median one."""
    trials = [next((n for n, score in enumerate(c, 1) if score <= goal), math.inf) for c in courses]
    median = float(np.percentile(trials, 50, method="higher"))
    share = sum(map(math.isfinite, trials)) / len(trials)
    return f"{median:.0f} ({share:.0%})" if math.isfinite(median) else f"never ({share:.0%})"


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _around(interval: Interval | None, digits: int = 2) -> str:
    if interval is None:
        return _NOTHING
    if not math.isfinite(interval.low):
        return f"{interval.value:.{digits}f}"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _plain(value: float | None, digits: int = 2) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"


def _percent(share: float | None, digits: int = 1) -> str:
    return _NOTHING if share is None else f"{share:.{digits}%}"
