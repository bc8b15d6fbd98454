"""What has been tried: the memory that all lineages share, as proposers are given it."""

from population.evidence import known
from population.proposers import Request, Tried
from population.state import Lineage, Population, Trial

MEMORY = 400  # trials a proposer is told of, besides all that advanced


def request(
    population: Population, lineage: Lineage, parent: str, genome: str, brief: str, seed: int
) -> Request:
    """All that a lineage's mind may know when it is asked for a candidate that starts from `parent`."""
    return Request(
        lineage=lineage.name,
        brief=brief,
        parent=parent,
        genome=genome,
        score=_score(population, parent),
        history=history(population),
        hashes=frozenset(population.hashes),
        seed=seed,
    )


def history(population: Population) -> tuple[Tried, ...]:
    """Judged trials of all lineages, oldest first: every advance, and the latest of the others."""
    judged = [trial for trial in population.trials.values() if trial.verdict is not None]
    recent = len(judged) - MEMORY
    return tuple(
        _tried(population, trial)
        for index, trial in enumerate(judged)
        if index >= recent or trial.verdict == "advance"
    )


def _tried(population: Population, trial: Trial) -> Tried:
    candidate = trial.candidate
    parent = candidate.base if candidate.combines else candidate.parents[0]
    assert trial.outcome is not None
    return Tried(
        trial=trial.number,
        lineage=candidate.lineage,
        proposer=candidate.proposer,
        idea=candidate.idea,
        commit=candidate.commit,
        parent=parent,
        parent_score=_score(population, parent),
        knobs=candidate.knobs,
        outcome=trial.outcome,
        advanced=trial.verdict == "advance",
    )


def _score(population: Population, commit: str) -> float | None:
    """What a mind is told of a commit's score; minds of the control arms are told plain scores."""
    promise = population.run.policy == "promise"
    return known(population, commit) if promise else population.score(commit)
