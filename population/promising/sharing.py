"""What lineages share: a win belongs to everyone.

As soon as a change is proven, all lineages move forward to it. What they compete for is the GPU, with their
minds and briefs. One may be away on a venture (see ventures.py), and comes back if that leads nowhere.
"""

from collections import Counter
from typing import Final

from population.evidence import best, better, weigh
from population.promising.crossing import idle
from population.promising.lines import ancestry, looked, stepped_aside
from population.records import Adopted
from population.state import Lineage, Population

PATIENCE: Final = 8  # trials without a success after which nothing more is expected of a place
_CLEARLY: Final = 0.8  # probability of being better at which everyone is moved somewhere else


def sharing(population: Population) -> Adopted | None:
    """The next move that is due, so that all but one lineage build on what is proven."""
    leader = leading(population)
    if leader is None:
        return None
    idea, away = population.candidates[population.bases[leader]], venturer(population, leader)
    for lineage in population.living:
        if lineage.tip == leader:
            continue
        if lineage is not away:
            return Adopted(lineage.name, leader, f"proven by {idea.lineage}: {idea.idea}")
        if looked(population, lineage.tip) >= PATIENCE and not idle(population, lineage.tip, leader):
            return Adopted(lineage.name, leader, f"back to what {idea.lineage} proved: {idea.idea}")
    return None


def venturer(population: Population, leader: str) -> Lineage | None:
    """The lineage that is away from `leader` on a venture, if one is."""
    line = ancestry(population, leader)
    return next((lineage for lineage in population.living if _ventured(population, lineage.tip, line)), None)


def leading(population: Population) -> str | None:
    """The commit that everyone builds on, None before the baseline has a score.

    That is the best posterior of all; but what most lineages stand on is left for something that does not
    descend from it only if that is clearly better, since moving costs the candidates that wait. One that is
    alone on a venture does not count for most.
    """
    found = best(population)
    if found is None:
        return None
    line, tips = ancestry(population, found), Counter(lineage.tip for lineage in population.living)
    shared = [tip for tip in tips if tips[tip] > 1 or not _ventured(population, tip, line)]
    stand = max(shared, key=lambda tip: tips[tip], default=found)
    estimates = weigh(population).estimates
    if stand in line or stand not in estimates:
        return found
    return found if better(estimates[found], estimates[stand]) > _CLEARLY else stand


def _ventured(population: Population, tip: str, line: set[str]) -> bool:
    """Whether `tip` was come to by stepping aside from the commits of `line`."""
    return any(stepped_aside(population, commit) for commit in ancestry(population, tip) - line)
