"""Which briefs, models, proposers and kinds of ideas gain most per trial, and whether the data can tell.

What an idea gained, and what it is compared with, is said in results/credit.py.

**Intervals.** Gains are few and skewed: the top tenth of them holds half of the total. What a group gains is
taken for a compound Poisson sum, matched by events of one size (the sum of all squares over the sum of all
gains), which has its mean and its variance; so a rate per trial is Gamma distributed, as in the intervals of
Fay and Feuer (1997, Statistics in Medicine 16, 791). Each group begins with what all gain in two trials. On
made-up runs of two equal briefs with lognormal gains (`lucky` in the tests, 10 to 100 trials) 95% intervals
held the truth in 91 to 95%, and in 2 to 8% of runs one brief was said to be better; with a Bayesian bootstrap
they held it in 66 to 82%. Gains that noise hides are missing: where scores were noisy as well, intervals held
all the true gain, hidden or not, in 78 to 90%.

**Several runs.** A group may do well in one run and badly in another. As far as its records differ more from
run to run than chance would have it, intervals are wider by the square root of that (quasi-Poisson, McCullagh
and Nelder 1989, 4.5): one factor for all groups, at least 1, and 1 where each group was in one run only.
In 120 sets of three such runs, of 30 trials, intervals held the truth in 95%, and in 6% one brief was said to
be better.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from population.evidence import weigh
from population.names import reads
from population.records import Candidate
from population.state import Lineage, Population
from results.credit import Attempt, credits
from results.ideas import spent, tokens

Facet: TypeAlias = Literal["brief", "model", "proposer", "operator"]
Array: TypeAlias = NDArray[np.floating[Any]]

SURE: Final = 0.95  # probability of being better from which two are told apart
_PRIOR: Final = 2.0  # trials that the record of all groups counts for in each one's
_USUAL: Final = 2.5  # sigmas: a gain where nothing is known, seen once ...
_UNSEEN: Final = 4.0  # ... in so many trials (as in population.promising.forecasts)
_DRAWS: Final = 4000


class Standing(Struct, frozen=True):
    """What the trials of one brief, model, proposer or operator came to."""

    name: str
    runs: int
    trials: int
    kept: int  # that advanced, at once or when they were measured again
    gain: float  # expected of one of the average trials
    low: float  # its 95% interval
    high: float
    tokens: float  # a trial, prompt and completion; answers that came to nothing are in it
    cost_usd: float  # a trial

    @property
    def usd_per_gain(self) -> float | None:
        """Dollars for one unit of the metric; None where nothing was paid or gained."""
        return self.cost_usd / self.gain if self.cost_usd and self.gain else None


class Ranking(Struct, frozen=True):
    """At least two standings, the largest gain first."""

    of: Facet
    standings: tuple[Standing, ...]
    rival: str  # the one most likely to be better than the first
    odds: float  # probability that the first is better than it

    @property
    def told_apart(self) -> bool:
        return self.odds >= SURE


def rankings(population: Population) -> tuple[Ranking, ...]:
    """Briefs, proposers and operators, where at least two were tried. The same run, the same answer."""
    return _rankings([population], _WITHIN)


def rankings_across(populations: Sequence[Population]) -> tuple[Ranking, ...]:
    """Briefs, models, kinds of proposers and operators, over runs whose scores can be compared."""
    return _rankings(populations, _ACROSS)


class _By(NamedTuple):
    """How trials are put into groups: the group of an idea, and that of what a lineage's mind was paid."""

    idea: Callable[[Lineage, Candidate], str | None]
    mind: Callable[[Lineage], str | None]


def _brief(lineage: Lineage, candidate: Candidate) -> str | None:
    """The brief that an idea's author had read: none for an optimiser, or a guest in the lineage."""
    reader = candidate.proposer == lineage.proposer and reads(candidate.proposer)
    return lineage.brief if reader else None


def _model(proposer: str) -> str | None:
    return proposer.removeprefix("llm/") if proposer.startswith("llm/") else None


def _kind(proposer: str) -> str:
    """A proposer without its model."""
    return "llm" if proposer.startswith("llm/") else proposer


_BRIEF: Final = _By(_brief, lambda lineage: lineage.brief if reads(lineage.proposer) else None)
_OPERATOR: Final = _By(lambda _, candidate: candidate.operator, lambda _: None)
_WITHIN: Final[Mapping[Facet, _By]] = {
    "brief": _BRIEF,
    "proposer": _By(lambda _, candidate: candidate.proposer, lambda lineage: lineage.proposer),
    "operator": _OPERATOR,
}
_ACROSS: Final[Mapping[Facet, _By]] = {
    "brief": _BRIEF,
    "model": _By(lambda _, candidate: _model(candidate.proposer), lambda lineage: _model(lineage.proposer)),
    "proposer": _By(lambda _, candidate: _kind(candidate.proposer), lambda lineage: _kind(lineage.proposer)),
    "operator": _OPERATOR,
}


def _rankings(populations: Sequence[Population], facets: Mapping[Facet, _By]) -> tuple[Ranking, ...]:
    tried = credits(populations)
    usual = _USUAL * max((weigh(population).sigma for population in populations), default=0.0)
    lineages = [line for population in populations for line in population.lineages.values()]
    found = (_ranking(of, by, tried, lineages, usual) for of, by in facets.items())
    return tuple(ranking for ranking in found if ranking is not None)


def _ranking(
    of: Facet, by: _By, tried: Sequence[Attempt], lineages: Iterable[Lineage], usual: float
) -> Ranking | None:
    groups = defaultdict[str, list[Attempt]](list)
    for attempt in tried:
        if (name := by.idea(attempt.lineage, attempt.candidate)) is not None:
            groups[name].append(attempt)
    if len(groups) < 2:
        return None
    minds = defaultdict[str | None, list[Lineage]](list)
    for lineage in lineages:
        minds[by.mind(lineage)].append(lineage)
    drawn = _drawn(groups, [attempt.gain for attempt in tried], usual)
    standings = [_standing(name, groups[name], minds[name], drawn[name]) for name in groups]
    first, *others = sorted(standings, key=lambda standing: (-standing.gain, standing.name))
    odds = {other.name: float(np.mean(drawn[first.name] > drawn[other.name])) for other in others}
    rival = min(odds, key=lambda name: odds[name])
    return Ranking(of, (first, *others), rival, odds[rival])


def _drawn(groups: Mapping[str, list[Attempt]], gains: list[float], usual: float) -> dict[str, Array]:
    """Samples of what each group gains in an average trial, given the `gains` of all."""
    total = sum(gains) + usual
    size = (sum(gain**2 for gain in gains) + 2 * usual**2) / total if total else 0.0
    size *= _dispersion(groups.values(), size)
    average, rng = total / (len(gains) + _UNSEEN), np.random.default_rng(0)
    drawn: dict[str, Array] = {}
    for name, group in sorted(groups.items()):
        gained = sum(attempt.gain for attempt in group) + _PRIOR * average
        trials = sum(attempt.weight for attempt in group) + _PRIOR
        drawn[name] = size * rng.gamma(gained / size, 1 / trials, _DRAWS) if size else np.zeros(_DRAWS)
    return drawn


def _dispersion(groups: Iterable[list[Attempt]], size: float) -> float:
    """How much more than chance the records of groups differ from run to run: Pearson's, at least 1."""
    squares, freedom = 0.0, 0
    for group in groups:
        cells = defaultdict[int, list[Attempt]](list)
        for attempt in group:
            cells[attempt.run].append(attempt)
        rate = sum(attempt.gain for attempt in group) / sum(attempt.weight for attempt in group)
        for cell in cells.values():
            due = rate * sum(attempt.weight for attempt in cell)
            squares += (sum(attempt.gain for attempt in cell) - due) ** 2 / (size * due) if due else 0.0
        freedom += len(cells) - 1
    return max(1.0, squares / freedom) if freedom else 1.0


def _standing(name: str, group: list[Attempt], minds: list[Lineage], drawn: Array) -> Standing:
    thought = spent(minds)
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return Standing(
        name=name,
        runs=len({attempt.run for attempt in group}),
        trials=len(group),
        kept=sum(attempt.kept for attempt in group),
        gain=float(drawn.mean()),
        low=low,
        high=high,
        tokens=tokens(thought) / len(group),
        cost_usd=thought.cost_usd / len(group),
    )
