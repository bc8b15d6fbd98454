"""How a candidate is given the GPU: for the first time or again, and whose idea is worth waiting for."""

from typing import Final

from population.records import Assigned
from population.rules import Facts, Rules
from population.state import Lineage, Population

FIRST_SEED: Final = (
    1  # every first trial runs with the same seed: paired seeds halve the noise of a comparison
)


def first(population: Population, candidate: int, reason: str) -> Assigned:
    """A candidate's first trial."""
    return Assigned(len(population.trials) + 1, candidate, FIRST_SEED, reason)


def again(population: Population, candidate: int, reason: str) -> Assigned:
    """Measure a candidate again, with the next seed that its commit was not measured with."""
    taken = len(population.scores.get(population.candidates[candidate].commit, ()))
    return Assigned(len(population.trials) + 1, candidate, FIRST_SEED + taken, reason)


def soonest(population: Population, rules: Rules, facts: Facts) -> list[Lineage]:
    """Lineages that have a candidate, or are still thinking and worth a moment's wait."""
    return [
        line
        for line in population.living
        if line.ready or facts.thinking.get(line.name, rules.patience_s) < rules.patience_s
    ]
