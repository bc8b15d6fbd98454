"""What is likely to come next, told while a trial is under way.

The policy is asked of a copy of the population in which the trial that began first has ended: with nothing
gained, as most do; with too little to be told from noise, which may be tried together with other such; and
with a gain, which everyone then builds on, so that what was to be next becomes another genome. Nothing is
decided by it, so nothing of it is in the journal.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from population.combining import combined
from population.evidence import weigh
from population.genomes import Genomes, Shelf
from population.horizon import trial_s
from population.policy import decide
from population.records import Assigned, Candidate, Completed, Ended, Entry, Event, Finished, Usage
from population.rules import Begun, Facts, Rules
from population.state import Population, apply, aside

_SCORES: Final = (1.0, -0.5, -3.0)  # that a trial may have, in sigmas from what it has to beat
_FIRST: Final = 1.0  # and where nothing is known
_DECISIONS: Final = 64  # from one trial to the next, at most


class Foreseen(Struct, frozen=True):
    """A trial that may be next, and its genome: that of a candidate which may not have been made yet."""

    assigned: Assigned
    candidate: Candidate
    genome: str

    @property
    def begun(self) -> Begun:
        """The idea that it tries, and the commit it is tried on, which may not be that it was made from."""
        made = self.candidate
        return (made.combines[0] if len(made.combines) == 1 else made.number), made.base


def foreseen(population: Population, rules: Rules, facts: Facts, genomes: Genomes) -> list[Foreseen]:
    """The trials that may follow those under way, the likeliest first; none if none can be told."""
    if not population.running or population.combining is not None or population.unjudged:
        return []
    later = replace(facts, elapsed_s=facts.elapsed_s + trial_s(population), thinking={}, ahead=())
    found: list[Foreseen] = []
    for score in _scores(population):
        after = aside(population)
        _happens(after, Finished(after.running[0], Completed(score, {}), Usage(after.at)))
        told = _next(after, rules, later, Imagined(genomes))
        if told is not None and all(told.genome != other.genome for other in found):
            found.append(told)
    return found


class Imagined(Shelf):
    """Genomes that were not made, beside those that were."""

    def __init__(self, made: Genomes) -> None:
        super().__init__()
        self._made = made

    def text(self, commit: str) -> str:
        return self._texts[commit] if commit in self._texts else self._made.text(commit)


def _scores(population: Population) -> list[float]:
    """What the trial that began first may score, the likeliest first."""
    candidate = population.trials[population.running[0]].candidate
    own, base = population.score(candidate.commit), population.score(candidate.base)
    if own is not None:
        return [own]
    if base is None:
        return [_FIRST]
    sigma = weigh(population).sigma
    return [base + distance * sigma for distance in _SCORES]


def _next(population: Population, rules: Rules, facts: Facts, genomes: Imagined) -> Foreseen | None:
    """Follow the policy to the next trial."""
    for _ in range(_DECISIONS):
        decision = decide(population, rules, facts)
        if decision is None or isinstance(decision, Ended):
            return None
        if isinstance(decision, Assigned):
            candidate = population.candidates[decision.candidate]
            return Foreseen(decision, candidate, genomes.text(candidate.commit))
        _happens(population, decision)
        if population.combining is not None:
            _happens(population, combined(population, population.combining, genomes, population.at))
    return None


def _happens(population: Population, event: Event) -> None:
    apply(population, Entry(population.entries + 1, population.at, event))
