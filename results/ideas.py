"""Ideas as minds had them: whose a candidate is, however often it was rebased, and what having them took."""

from collections.abc import Iterable

from population.records import Candidate, Thought
from population.state import Lineage, Population, Trial


def source(population: Population, candidate: Candidate) -> Candidate:
    """The candidate as its author proposed it: rebased before it was tried, it bears none of its costs."""
    while len(candidate.combines) == 1 and candidate.combines[0] not in population.tried:
        candidate = population.candidates[candidate.combines[0]]
    return candidate


def attempts(population: Population) -> list[Trial]:
    """First trials, judged, of what a mind thought of or somebody sent, oldest first.

    Replicates, the baseline and what decisions put together or took out are none.
    """
    return [
        trial
        for trial in population.trials.values()
        if trial.verdict is not None and not trial.again and _thought(source(population, trial.candidate))
    ]


def spent(lineages: Iterable[Lineage]) -> Thought:
    """What it took the minds of some lineages to answer, whether or not that came to something."""
    return sum((lineage.spent for lineage in lineages), Thought())


def tokens(thought: Thought) -> int:
    return thought.prompt_tokens + thought.completion_tokens


def _thought(candidate: Candidate) -> bool:
    return candidate.is_idea or candidate.operator == "external"
