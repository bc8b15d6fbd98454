"""What lineages share: a win belongs to everyone.

As soon as a change is proven, all lineages move forward to it, and candidates that wait for the GPU are
rebased onto it. What lineages compete for is the GPU, with their minds and briefs.
"""

from collections import Counter
from typing import Final

from population.evidence import best, better, weigh
from population.records import Adopted, Combined
from population.state import Population

PATIENCE: Final = 8  # trials without a success, after which a lineage that stepped aside comes back
_CLEARLY: Final = 0.8  # probability of being better at which everyone is moved somewhere else


def sharing(population: Population) -> Adopted | Combined | None:
    """What has to move so that every lineage builds on what is proven, but for one that has just left it."""
    leader = leading(population)
    if leader is None:
        return None
    line, idea = ancestry(population, leader), population.candidates[population.bases[leader]]
    for lineage in population.living:
        if lineage.tip != leader:
            if lineage.tip in line:
                return Adopted(lineage.name, leader, f"proven by {idea.lineage}: {idea.idea}")
            if _looked(population, lineage.tip) >= PATIENCE:
                return Adopted(lineage.name, leader, f"back to what {idea.lineage} proved: {idea.idea}")
        for number in lineage.ready:
            candidate = population.candidates[number]
            if candidate.base != lineage.tip:
                reason = "its lineage's tip has moved"
                return Combined(lineage.name, lineage.tip, (number,), candidate.operator, reason)
    return None


def leading(population: Population) -> str | None:
    """The commit that everyone builds on, None before the baseline has a score.

    That is the best posterior of all; but what most lineages stand on is left for something that does not
    descend from it only if that is clearly better, since moving costs the candidates that wait.
    """
    found = best(population)
    tips = Counter(line.tip for line in population.living)
    stand = max(tips, key=lambda tip: tips[tip])
    estimates = weigh(population).estimates
    if found is None or stand not in estimates or stand in ancestry(population, found):
        return found
    return found if better(estimates[found], estimates[stand]) > _CLEARLY else stand


def ancestry(population: Population, commit: str) -> set[str]:
    """A commit that lineages build on, and those it was built on."""
    found: set[str] = set()
    while commit in population.bases and commit not in found:
        found.add(commit)
        commit = population.candidates[population.bases[commit]].base
    return found


def stepped_aside(population: Population, commit: str) -> bool:
    """Whether a base is a near miss that was stepped aside to, rather than having advanced."""
    return commit in population.bases and commit not in population.advanced


def _looked(population: Population, commit: str) -> int:
    """Trials made from a commit, and from near misses on the way to it, since the last success."""
    looked = len(population.children.get(commit, ()))
    while stepped_aside(population, commit):
        commit = population.candidates[population.bases[commit]].base
        looked += len(population.children[commit]) if stepped_aside(population, commit) else 0
    return looked
