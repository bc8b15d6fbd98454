"""What is likely to come next, told while a trial is under way.

The policy is asked of a copy of the population in which a trial has ended: with nothing gained, as most do;
with too little to be told from noise, which may be tried together with other such; and with a gain, which
everyone then builds on, so that what was to be next becomes another genome. Which of these it was is known
when its exam is over; the loss that its training ends with foretells it. Nothing is decided by any of this,
so nothing of it is in the journal.
"""

import math
from itertools import pairwise
from statistics import fmean
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from population.deciding.assigning import begun
from population.deciding.horizon import trial_s
from population.deciding.rules import Begun, Facts, Rules
from population.evidence import weigh
from population.making.combining import combined
from population.policy import decide
from population.racing import foretelling
from population.records import Assigned, Candidate, Completed, Ended, Entry, Event, Finished, Usage
from population.repository.genomes import Genomes, Shelf
from population.state import Population, apply, aside

_SCORES: Final = (1.0, -0.5, -3.0)  # that a trial may have, in sigmas from what it has to beat
_FIRST: Final = 1.0  # and where nothing is known
_ANY: Final = (-math.inf, math.inf)
_DECISIONS: Final = 64  # from one trial to the next, at most


class Foreseen(Struct, frozen=True):
    """A trial that may be next, and its genome: that of a candidate which may not have been made yet."""

    assigned: Assigned
    candidate: Candidate
    genome: str
    begun: Begun  # the idea that it tries, and the commit it is tried on
    losses: tuple[float, float]  # nats that the trial under way ends with, if this follows


def foreseen(
    population: Population, rules: Rules, facts: Facts, genomes: Genomes
) -> dict[int, list[Foreseen]]:
    """The trials that may follow each of those under way, the likeliest first.

    Trials end in the order in which they began, as far as is known, and all but the first as most do.
    """
    if population.combining is not None or population.unjudged:
        return {}
    later = replace(facts, elapsed_s=facts.elapsed_s + trial_s(population), thinking={}, ahead=())
    found: dict[int, list[Foreseen]] = {}
    imagined, now = Imagined(genomes), population
    for number in population.running:
        found[number] = []
        walks: list[Population] = []
        for score, losses in _endings(now, number)[: None if now is population else 1]:
            after = aside(now)
            _happens(after, Finished(number, Completed(score, {}), Usage(after.at)))
            if told := _next(after, rules, later, imagined, losses):
                _add(found[number], told)
            walks.append(after)
        now = walks[0]
    return found


class Imagined(Shelf):
    """Genomes that were not made, beside those that were."""

    def __init__(self, made: Genomes) -> None:
        super().__init__()
        self._made = made

    def text(self, commit: str) -> str:
        return self._texts[commit] if commit in self._texts else self._made.text(commit)


def _add(found: list[Foreseen], told: Foreseen) -> None:
    """A genome that follows on several endings is foreseen once."""
    for place, other in enumerate(found):
        if other.genome == told.genome:
            (low, high), (lower, higher) = other.losses, told.losses
            found[place] = replace(other, losses=(min(low, lower), max(high, higher)))
            return
    found.append(told)


def _endings(population: Population, number: int) -> list[tuple[float, tuple[float, float]]]:
    """What a trial under way may score, the likeliest first, and on which losses."""
    trial = population.trials[number]
    own, base = population.score(trial.candidate.commit), population.score(trial.candidate.base)
    if own is not None or base is None:
        return [(_FIRST if own is None else own, _ANY)]
    sigma = weigh(population).sigma
    scores = [base + distance * sigma for distance in _SCORES]
    edges = foretelling(population, trial, [fmean(both) for both in pairwise(scores)])
    if not edges:
        return [(score, _ANY) for score in scores]
    falling = pairwise([math.inf, *edges, -math.inf])
    return [(score, (low, high)) for score, (high, low) in zip(scores, falling, strict=True)]


def _next(
    population: Population, rules: Rules, facts: Facts, genomes: Imagined, losses: tuple[float, float]
) -> Foreseen | None:
    """Follow the policy to the beginning of the next trial, which is the next on these losses."""
    for _ in range(_DECISIONS):
        decision = decide(population, rules, facts)
        if decision is None or isinstance(decision, Ended):
            return None
        if isinstance(decision, Assigned):
            candidate = population.candidates[decision.candidate]
            known = begun(population, candidate, candidate.base)
            _happens(population, decision)
            return Foreseen(decision, candidate, genomes.text(candidate.commit), known, losses)
        _happens(population, decision)
        if population.combining is not None:
            _happens(population, combined(population, population.combining, genomes, population.at))
    return None


def _happens(population: Population, event: Event) -> None:
    apply(population, Entry(population.entries + 1, population.at, event))
