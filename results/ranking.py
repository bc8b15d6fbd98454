"""Which briefs, proposers and kinds of ideas gain most per trial, and whether the data can tell.

The gain of a trial is what the evidence expects of its change if it is kept only where it is a gain (see
Effect.hope); without a score, or where it probably is none, it is 0. Under the control arms, which take
scores at their word, it is the gain of what advanced. Gains are positive here, in the metric's unit.

**Intervals.** Gains are few and skewed: the top tenth of them holds half of the total. What a group gains is
taken for a compound Poisson sum, matched by events of one size (the sum of all squares over the sum of all
gains), which has its mean and its variance; so a rate per trial is Gamma distributed, as in the intervals of
Fay and Feuer (1997, Statistics in Medicine 16, 791). Each group begins with what all gain in two trials. On
made-up runs of two equal briefs with lognormal gains (`lucky` in the tests, 10 to 100 trials) 95% intervals
held the truth in 91 to 95%, and in 2 to 8% of runs one brief was said to be better; with a Bayesian bootstrap
they held it in 66 to 82%. Gains that noise hides are missing: where scores were noisy as well, intervals held
all the true gain, hidden or not, in 78 to 90%.

**Time.** Gains become rarer as the tip gets better, and who starts late would look worse. So a group is
compared with what all of them gained around then: its trials count as so many of the run's average trials
(indirect standardisation, as of death rates by age). Where the second of two equal briefs began at half time,
one was said to be better in 2 to 5% of runs, and without this in 23 to 31%. What is left: who had a stretch
to itself is compared with nobody there, and seen as average; what one finds makes gains rarer for those after
it; and since the GPU goes to whoever promises most, a group with bad luck at first may not be tried often
enough to show it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from population.evidence import weigh
from population.records import Candidate
from population.state import Population, Trial
from results.ideas import attempts, spent, tokens
from results.words import advanced

Facet: TypeAlias = Literal["brief", "proposer", "operator"]
Array: TypeAlias = NDArray[np.floating[Any]]

SURE: Final = 0.95  # probability of being better from which two are told apart
_PRIOR: Final = 2.0  # trials that the record of all groups counts for in each one's
_USUAL: Final = 2.5  # sigmas: a gain where nothing is known, seen once ...
_UNSEEN: Final = 4.0  # ... in so many trials (as in population.promising.forecasts)
_FIRST: Final = 8  # trials in the first stretch; each has twice as many as the one before
_BLUR: Final = 4.0  # trials that the run's average counts for in each stretch's
_DRAWS: Final = 4000


class Standing(Struct, frozen=True):
    """What the trials of one brief, proposer or operator came to."""

    name: str
    trials: int
    kept: int  # that advanced, at once or when they were measured again
    gain: float  # expected of one of the run's average trials
    low: float  # its 95% interval
    high: float
    tokens: float  # a trial, prompt and completion; ideas that were never tried are in it
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


class _Attempt(Struct, frozen=True):
    candidate: Candidate
    gain: float
    weight: float  # how many of the run's average trials it stands for


def rankings(population: Population) -> tuple[Ranking, ...]:
    """Briefs, proposers and operators, where at least two were tried. The same run, the same answer."""
    tried, kept = _attempts(population), advanced(population)
    found = (_ranking(population, of, tried, kept) for of in _FACETS)
    return tuple(ranking for ranking in found if ranking is not None)


def _brief(population: Population, candidate: Candidate) -> str | None:
    """The brief that an idea's author had read: none for an optimiser, or a guest in the lineage."""
    lineage = population.lineages[candidate.lineage]
    reads = candidate.proposer.partition("/")[0] != "mutate"
    return lineage.brief if reads and candidate.proposer == lineage.proposer else None


_Key: TypeAlias = Callable[[Population, Candidate], str | None]
_FACETS: Final[Mapping[Facet, _Key]] = {
    "brief": _brief,
    "proposer": lambda _, candidate: candidate.proposer,
    "operator": lambda _, candidate: candidate.operator,
}


def _attempts(population: Population) -> list[_Attempt]:
    """The trials that are compared, oldest first."""
    gain = _raw if population.run.policy != "promise" else _expected(population)
    known = [(trial.candidate, gain(trial)) for trial in attempts(population)]
    compared = [(candidate, found) for candidate, found in known if found is not None]
    weights = _weights([found for _, found in compared])
    return [_Attempt(*each, weight) for each, weight in zip(compared, weights, strict=True)]


def _raw(trial: Trial) -> float | None:
    return max(trial.gain or 0.0, 0.0) if trial.verdict == "advance" else 0.0


def _expected(population: Population) -> Callable[[Trial], float | None]:
    """What the evidence expects of a trial; None where it was not compared, or that is forgotten."""
    evidence, bases = weigh(population), population.bases
    judged = (number for number in evidence.effects if population.candidates[number].commit not in bases)
    first = min((population.tried[number] for number in judged), default=0)

    def gain(trial: Trial) -> float | None:
        effect = evidence.effects.get(trial.candidate.number)
        if effect is None:
            return 0.0 if trial.score is None and trial.number >= first else None
        return effect.hope * evidence.sigma if effect.mean < 0 else 0.0

    return gain


def _weights(gains: Sequence[float]) -> list[float]:
    """How many of the run's average trials each counts for, by what all gained in its stretch."""
    average = sum(gains) / len(gains) if gains else 0.0
    if average == 0:
        return [1.0] * len(gains)
    weights: list[float] = []
    for stretch in _stretches(gains):
        level = (sum(stretch) + _BLUR * average) / (len(stretch) + _BLUR)
        weights += [level] * len(stretch)
    return [weight * len(weights) / sum(weights) for weight in weights]


def _stretches(gains: Sequence[float]) -> list[Sequence[float]]:
    """Each twice as long as the one before it; a short rest belongs to the last."""
    starts, length = [0], _FIRST
    while len(gains) - starts[-1] >= length + _FIRST:
        starts.append(starts[-1] + length)
        length *= 2
    return [gains[start:end] for start, end in zip(starts, [*starts[1:], len(gains)], strict=True)]


def _ranking(population: Population, of: Facet, tried: Sequence[_Attempt], kept: set[int]) -> Ranking | None:
    key, groups = _FACETS[of], defaultdict[str, list[_Attempt]](list)
    for attempt in tried:
        if (name := key(population, attempt.candidate)) is not None:
            groups[name].append(attempt)
    if len(groups) < 2:
        return None
    authors = defaultdict[str | None, list[Candidate]](list)
    for candidate in population.candidates.values():
        authors[key(population, candidate)].append(candidate)
    drawn = _drawn(groups, [attempt.gain for attempt in tried], _USUAL * weigh(population).sigma)
    standings = [_standing(name, groups[name], authors[name], kept, drawn[name]) for name in groups]
    first, *others = sorted(standings, key=lambda standing: (-standing.gain, standing.name))
    odds = {other.name: float(np.mean(drawn[first.name] > drawn[other.name])) for other in others}
    rival = min(odds, key=lambda name: odds[name])
    return Ranking(of, (first, *others), rival, odds[rival])


def _drawn(groups: Mapping[str, list[_Attempt]], gains: list[float], usual: float) -> dict[str, Array]:
    """Samples of what each group gains in an average trial, given the `gains` of all."""
    total = sum(gains) + usual
    size = (sum(gain**2 for gain in gains) + 2 * usual**2) / total if total else 0.0
    average, rng = total / (len(gains) + _UNSEEN), np.random.default_rng(0)
    drawn: dict[str, Array] = {}
    for name, group in sorted(groups.items()):
        gained = sum(attempt.gain for attempt in group) + _PRIOR * average
        trials = sum(attempt.weight for attempt in group) + _PRIOR
        drawn[name] = size * rng.gamma(gained / size, 1 / trials, _DRAWS) if size else np.zeros(_DRAWS)
    return drawn


def _standing(
    name: str, group: list[_Attempt], authors: list[Candidate], kept: set[int], drawn: Array
) -> Standing:
    thought = spent(authors)
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return Standing(
        name=name,
        trials=len(group),
        kept=sum(attempt.candidate.number in kept for attempt in group),
        gain=float(drawn.mean()),
        low=low,
        high=high,
        tokens=tokens(thought) / len(group),
        cost_usd=thought.cost_usd / len(group),
    )
