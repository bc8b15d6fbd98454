"""What has been tried: the memory that all lineages share, as proposers are given it."""

from collections.abc import Callable, Iterator

from population.deciding.asking import Errand
from population.evidence import known, weigh
from population.proposals import Effect, Request, Subject, Tried
from population.state import Lineage, Population, Trial

MEMORY = 400  # trials a proposer is told of, besides all that advanced


def request(
    population: Population,
    lineage: Lineage,
    parent: str,
    brief: str,
    seed: int,
    errand: Errand,
    genome_at: Callable[[str], str],
) -> Request:
    """All that a lineage's mind may know when it is asked for a candidate that starts from `parent`."""
    return Request(
        lineage=lineage.name,
        brief=brief,
        parent=parent,
        genome=genome_at(parent),
        score=_score(population, parent),
        history=history(population),
        hashes=frozenset(population.hashes),
        seed=seed,
        metric=population.run.metric,
        budget_s=population.run.budget_s,
        sigma=weigh(population).sigma,
        pending=tuple(_pending(population)),
        path=tuple(trial.number for trial in population.path(parent)),
        drought=population.drought,
        task=errand.task,
        subject=None if errand.about is None else _subject(population, errand.about, genome_at),
    )


def _pending(population: Population) -> Iterator[str]:
    """Ideas that are being tried or wait for it."""
    for number in population.running:
        yield population.trials[number].candidate.idea
    for line in population.living:
        yield from (population.candidates[number].idea for number in line.ready)


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
        brief=population.lineages[candidate.lineage].brief,
        operator=trial.operator,
        effect=_effect(population, candidate.number),
    )


def _effect(population: Population, candidate: int) -> Effect | None:
    """What a change did, in units of the score; None under the control arms, which know scores only."""
    if population.run.policy != "promise":
        return None
    evidence = weigh(population)
    found = evidence.effects.get(candidate)
    return None if found is None else Effect(found.mean * evidence.sigma, found.p_better)


def _subject(population: Population, about: int, genome_at: Callable[[str], str]) -> Subject:
    """A candidate that a mind is to look at again, and why, in words."""
    candidate = population.candidates[about]
    trial, effect = population.tried.get(about), _effect(population, about)
    if trial is None:
        remark = "it was thought of on an older genome, and clashes with what has changed since"
    elif effect is None:
        remark = "it was tried on an older genome, and much has changed since"
    else:
        remark = (
            f"on an older genome it was a gain with {effect.p_better:.0%} probability; much has changed since"
        )
    return Subject(candidate.idea, trial, genome_at(candidate.base), genome_at(candidate.commit), remark)


def _score(population: Population, commit: str) -> float | None:
    """What a mind is told of a commit's score; minds of the control arms are told plain scores."""
    promise = population.run.policy == "promise"
    return known(population, commit) if promise else population.score(commit)
