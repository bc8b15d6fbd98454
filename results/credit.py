"""What each idea gained, and how many of the average trials it was up against.

The gain of a trial is what the evidence expects of its change if it is kept only where it is a gain (see
Effect.hope); without a score, or where it probably is none, it is 0. Under the control arms, which take
scores at their word, it is the gain of what advanced. Gains are positive here, in the metric's unit.

**Time and runs.** Gains become rarer as the tip gets better, and who starts late would look worse; and in
some runs all gain more than in others. So an idea is compared with what all of its run gained around then:
its trial counts as so many of the average trials (indirect standardisation, as of death rates by age). Where
the second of two equal briefs began at half time, one was said to be better in 2 to 5% of runs, and without
this in 23 to 31%. What is left: who had a stretch to itself is compared with nobody there, and seen as
average; what one finds makes gains rarer for those after it; and since the GPU goes to whoever promises most,
a group with bad luck at first may not be tried often enough to show it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from population.evidence import weigh
from population.records import Candidate
from population.state import Lineage, Population, Trial
from results.ideas import attempts
from results.words import advanced

_FIRST: Final = 8  # trials in the first stretch; each has twice as many as the one before
_BLUR: Final = 4.0  # trials that the average counts for in the record of each stretch, and of each run


class Attempt(Struct, frozen=True):
    """The first trial of an idea."""

    run: int  # which of the populations it was in
    lineage: Lineage
    candidate: Candidate
    kept: bool  # it advanced, at once or when it was measured again
    gain: float
    weight: float  # how many of the average trials of all runs it stands for


def credits(populations: Sequence[Population]) -> list[Attempt]:
    """The trials that can be compared, of runs whose scores can, oldest first within each run."""
    known = [_known(population) for population in populations]
    weights = weights_of([[gain for _, gain in tried] for tried in known])
    found: list[Attempt] = []
    for run, population in enumerate(populations):
        kept = advanced(population)
        for (candidate, gain), weight in zip(known[run], weights[run], strict=True):
            lineage = population.lineages[candidate.lineage]
            found.append(Attempt(run, lineage, candidate, candidate.number in kept, gain, weight))
    return found


def weights_of(runs: Sequence[Sequence[float]]) -> list[list[float]]:
    """How many average trials each counts for, from the gains of each run in order."""
    count = sum(map(len, runs))
    average = sum(map(sum, runs)) / count if count else 0.0
    if average == 0:
        return [[1.0] * len(gains) for gains in runs]
    levels = [_level(gains, average) for gains in runs]
    weights = [_within(gains, level) for gains, level in zip(runs, levels, strict=True)]
    total = sum(map(sum, weights))
    return [[weight * count / total for weight in each] for each in weights]


def _within(gains: Sequence[float], average: float) -> list[float]:
    """What the gains of one run let expect of each of its trials, by its stretch."""
    expected: list[float] = []
    for stretch in _stretches(gains):
        expected += [_level(stretch, average)] * len(stretch)
    return expected


def _level(gains: Sequence[float], average: float) -> float:
    return (sum(gains) + _BLUR * average) / (len(gains) + _BLUR)


def _stretches(gains: Sequence[float]) -> list[Sequence[float]]:
    """Each twice as long as the one before it; a short rest belongs to the last."""
    starts, length = [0], _FIRST
    while len(gains) - starts[-1] >= length + _FIRST:
        starts.append(starts[-1] + length)
        length *= 2
    return [gains[start:end] for start, end in zip(starts, [*starts[1:], len(gains)], strict=True)]


def _known(population: Population) -> list[tuple[Candidate, float]]:
    """The ideas of a run whose gain is known, with it, oldest first."""
    gain = _raw if population.run.policy != "promise" else _expected(population)
    found = [(trial.candidate, gain(trial)) for trial in attempts(population)]
    return [(candidate, known) for candidate, known in found if known is not None]


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
