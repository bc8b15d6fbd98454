"""How a candidate is given the GPU: for the first time or again, and whose idea is worth waiting for.

Ideas are had while the GPU is busy, so the tip may have moved by the time it is free. Such an idea is stale:
its lineage is asked for another, and it is tried on the new tip only if that does not come in time.
"""

from typing import Final

from population.records import Assigned
from population.rules import Facts, Rules
from population.state import Lineage, Population

# Every first trial runs with the same seed: paired seeds halve the noise of a comparison.
FIRST_SEED: Final = 1


def first(population: Population, candidate: int, reason: str) -> Assigned:
    """A candidate's first trial."""
    return Assigned(len(population.trials) + 1, candidate, FIRST_SEED, reason)


def again(population: Population, candidate: int, reason: str) -> Assigned:
    """Measure a candidate again, with the next seed that its commit was not measured with."""
    taken = len(population.scores.get(population.candidates[candidate].commit, ()))
    return Assigned(len(population.trials) + 1, candidate, FIRST_SEED + taken, reason)


def soonest(population: Population, rules: Rules, facts: Facts) -> list[Lineage]:
    """Lineages that have a candidate, or are still thinking and worth a moment's wait."""
    return [line for line in population.living if line.ready or is_thinking(line, rules, facts)]


def is_thinking(lineage: Lineage, rules: Rules, facts: Facts) -> bool:
    """Whether the lineage was asked so lately that its idea is worth waiting for."""
    return facts.thinking.get(lineage.name, rules.patience_s) < rules.patience_s


def fresh(population: Population, lineage: Lineage) -> int | None:
    """The oldest candidate waiting that was made from where the lineage stands; None if all are stale."""
    made = (number for number in lineage.ready if population.candidates[number].base == lineage.tip)
    return next(made, None)
