"""Where lineages stand: what a commit was built on, and how long ago that was of use."""

from collections.abc import Iterable

from population.records import Candidate
from population.state import Population


def ancestry(population: Population, commit: str) -> set[str]:
    """A commit that lineages build on, and those it was built on."""
    found: set[str] = set()
    while commit in population.bases and commit not in found:
        found.add(commit)
        commit = population.candidates[population.bases[commit]].base
    return found


def steps(population: Population, commits: Iterable[str]) -> list[Candidate]:
    """The candidates that some commits which were built on are, oldest first."""
    return [population.candidates[number] for number in sorted(population.bases[c] for c in commits)]


def stepped_aside(population: Population, commit: str) -> bool:
    """Whether a base is a near miss that was stepped aside to, rather than having advanced."""
    return commit in population.bases and commit not in population.advanced


def looked(population: Population, commit: str) -> int:
    """Trials made from a commit, and from those on the way to it since the last success.

    To step aside onto a near miss is no success, and nor is to take out what was idle, though a trial of that
    is one like any other.
    """
    looked = 0
    while True:
        looked += len(population.children.get(commit, ()))
        candidate = population.candidates[population.bases[commit]]
        aside = stepped_aside(population, commit) and stepped_aside(population, candidate.base)
        if candidate.operator != "ablate" and not aside:
            return looked
        commit = candidate.base
