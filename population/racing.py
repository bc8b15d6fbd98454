"""When a running trial is hopeless: the training loss that it must keep below, from its parent's curve.

A candidate's loss is laid beside that of the commit it was made from, at the same part of the budget. How
much a gap there tells of the score in the end is learned from the trials that went to their end, by
regression through the origin, relative to the parent on both sides, so that nats and bits, and large and
small models, are alike:

    score / parent's score - 1  =  slope * (loss / parent's loss - 1) + noise

with a normal-inverse-gamma prior (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.3 and 14.2) made from
recorded trainings. A trial is stopped where a gain is less likely than `RISK`, by the Student distribution
that this predicts. So a run whose losses foretell little, or that has seen little, stops little. Lower is
better.

The same line tells from the loss at the end of a training what its exam is likely to find.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from population.state import Population, Trial
from trainer.curve import PARTS, Curve, final, recent

RISK: Final = 0.05  # probability of a gain at which a trial is stopped; most that are stopped have far less
FIRST, LAST = 3, 17  # parts after which a trial may be stopped: at 20% of the budget, at 90%
UNLIKE: Final = 2.0  # times the gap it takes where the two may have different schedules
_FAR: Final = 0.3  # a gap that is further than this from the gain is of another kind of loss
_MEMORY: Final = 200  # latest trials that are learned from
_QUANTILE: Final = 1.6449  # of the normal distribution, at RISK

# What recorded trainings say before a run has any: see benchmarks/racing.py.
_SLOPE, _SLOPE_SD = 1.0, 0.3
_NOISE_FIRST, _NOISE_LAST = 0.028, 0.018  # relative noise after the first and the last part
_WORTH: Final = 10.0  # trials that this counts for


class Pair(Struct, frozen=True):
    """A trial that went to its end beside its parent: relative loss of each part, and relative score."""

    gaps: tuple[float | None, ...]
    gain: float  # negative is better


def limits(population: Population, trial: Trial, alike: bool) -> Curve:
    """The losses beyond which a trial is stopped; () if there is nothing to go by.

    `alike` says that its schedules are its parent's.
    """
    if not races(population, trial):
        return ()
    return bounds(reference(population, trial.candidate.base), list(_pairs(population)), alike)


def races(population: Population, trial: Trial) -> bool:
    """Whether a trial is its candidate's first and can be laid beside its parent's."""
    first = not trial.again and trial.operator != "baseline"
    return first and bool(reference(population, trial.candidate.base))


def bounds(parent: Curve, pairs: Sequence[Pair], alike: bool) -> Curve:
    """The limits of a trial whose parent has this curve, by all `pairs` that are known."""
    return tuple(_limit(parent, part, pairs, 1.0 if alike else UNLIKE) for part in range(PARTS))


def reference(population: Population, commit: str) -> Curve:
    """The mean curve of all trials of a commit; () if none was told."""
    curves = [t.usage.curve for t in population.measured.get(commit, ()) if t.usage and t.usage.curve]
    shortest = min(map(len, curves), default=0)
    return tuple(_mean([curve[part] for curve in curves]) for part in range(shortest))


def foretelling(population: Population, trial: Trial, scores: Sequence[float]) -> list[float]:
    """The losses at the end of its training that foretell these scores of a trial; [] if none does."""
    base = trial.candidate.base
    loss, known = final(reference(population, base)), population.score(base)
    share = told_by_the_end(list(_pairs(population)))
    if loss is None or not known or share <= 0:
        return []
    return [loss + abs(loss) * (score / known - 1) / share for score in scores]


def told_by_the_end(pairs: Sequence[Pair]) -> float:
    """How large a gain is, most likely, for each part of a gap at the end of a training."""
    return _line(PARTS - 1, pairs).slope


def tolerated(part: int, pairs: Sequence[Pair]) -> float | None:
    """The gap to the parent after a part from which a gain is less likely than RISK, if there is one."""
    line = _line(part, pairs)
    reach = _student(line.freedom) * line.scale
    steepness = line.slope * abs(line.slope) - reach**2 / line.within
    return reach / math.sqrt(steepness) if steepness > 0 else None


class _Line(Struct, frozen=True):
    """The regression of gains on gaps: the posterior of its slope and noise."""

    slope: float
    within: float  # how well the slope is known: sum of squared gaps, the prior's among them
    scale: float  # relative noise
    freedom: float


def _line(part: int, pairs: Sequence[Pair]) -> _Line:
    told = ((pair.gaps[part], pair.gain) for pair in pairs)
    known = [(gap, gain) for gap, gain in told if gap is not None and abs(gap - gain) < _FAR]
    noise = _NOISE_FIRST + (_NOISE_LAST - _NOISE_FIRST) * (part - FIRST) / (LAST - FIRST)
    precision = (noise / _SLOPE_SD) ** 2
    xx, xy = (sum(x * x for x, _ in known), sum(x * y for x, y in known))
    within = precision + xx
    slope = (precision * _SLOPE + xy) / within
    freedom = _WORTH + len(known)
    left = sum(y * y for _, y in known) + precision * _SLOPE**2 - within * slope**2
    scale = math.sqrt((_WORTH * noise**2 + max(left, 0.0)) / freedom)
    return _Line(slope, within, scale, freedom)


def pair(child: Curve, score: float, parent: Curve, parent_score: float) -> Pair:
    """A trial beside its parent; curves may end early."""
    gaps = []
    for part in range(PARTS):
        ends = [recent(curve, part) if part < len(curve) else None for curve in (child, parent)]
        gaps.append(None if None in ends or not ends[1] else (ends[0] or 0.0) / ends[1] - 1)
    return Pair(tuple(gaps), score / parent_score - 1)


def _limit(parent: Curve, part: int, pairs: Sequence[Pair], times: float) -> float | None:
    if not FIRST <= part <= LAST or part >= len(parent):
        return None
    loss, gap = recent(parent, part), tolerated(part, pairs)
    return None if loss is None or gap is None else round(loss + times * gap * abs(loss), 5)


def _pairs(population: Population) -> Iterable[Pair]:
    """The latest trials whose parents' curves are known."""
    for number in range(len(population.trials), max(0, len(population.trials) - _MEMORY), -1):
        trial = population.trials[number]
        base, known = trial.candidate.base, _curve(trial)
        if known and trial.score is not None and base != trial.candidate.commit and not trial.again:
            parent, score = reference(population, base), population.score(base)
            if parent and score:
                yield pair(known, trial.score, parent, score)


def _curve(trial: Trial) -> Curve:
    return trial.usage.curve if trial.usage else ()


def _mean(losses: Sequence[float | None]) -> float | None:
    known = [loss for loss in losses if loss is not None]
    return sum(known) / len(known) if len(known) == len(losses) else None


def _student(freedom: float) -> float:
    """The quantile of Student's distribution at RISK (Abramowitz and Stegun 1964, 26.7.5)."""
    z = _QUANTILE
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
