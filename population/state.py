"""The population: the fold of the journal.

`replay(entries)` is the only way to get a Population and `apply` the only function that changes one; it
updates in place, so that a long journal folds in linear time. Everyone else reads. What a Population is made
of stands in `folding/population.py`, what may follow what in `folding/checking.py`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from population.folding.checking import check
from population.folding.population import Combination as Combination
from population.folding.population import Lineage as Lineage
from population.folding.population import Population as Population
from population.folding.population import Session as Session
from population.folding.population import Trial as Trial
from population.folding.population import aside as aside
from population.records import (
    Adopted,
    Assigned,
    Candidate,
    Clashed,
    Combined,
    Declined,
    Ended,
    Entry,
    Finished,
    Founded,
    Judged,
    Lost,
    Proposed,
    Pruned,
    Resumed,
    Started,
)

_NOTHING_USD = 1e-9  # no price of anything, and too little to count with


def replay(entries: Iterable[Entry]) -> Population:
    """Fold a journal from its beginning."""
    population = Population()
    for entry in entries:
        apply(population, entry)
    return population


def apply(population: Population, entry: Entry) -> None:
    """Take one entry in.

    Raises AssertionError, before anything has changed, for an entry that cannot follow what came before.
    """
    assert entry.number == population.entries + 1, f"journal entry {entry.number} is out of order"
    check(population, entry.event)
    if isinstance(entry.event, Resumed):
        population.paused_s += entry.at - population.at
        population.sessions[-1] = replace(population.sessions[-1], ended_at=population.at)
    population.entries, population.at = entry.number, entry.at
    match entry.event:
        case Started() as started:
            population.started, population.started_at = started, entry.at
            population.sessions.append(Session(entry.at, started.gpus))
        case Founded() as born:
            population.lineages[born.lineage] = Lineage(
                born.lineage, born.brief, born.proposer, root=born.tip, tip=born.tip
            )
        case Proposed(candidate):
            _propose(population, candidate)
        case Declined() as declined:
            _decline(population, declined)
        case Combined() as combined:
            population.combining = combined
        case Clashed() as clashed:
            _clash(population, clashed)
        case Adopted(name, commit):
            population.lineages[name].tip = commit
            population.lineages[name].declined = 0  # from there others may be thought of
            population.bases.setdefault(commit, population.commits[commit])
        case Pruned(name, reason):
            population.lineages[name].pruned = reason
        case Assigned() as assigned:
            _assign(population, assigned, entry.at)
        case Finished() as finished:
            _finish(population, finished)
        case Lost(number, reason):
            _lose(population, number, reason)
        case Judged() as judged:
            _judge(population, judged)
        case Resumed(gpus):
            population.ended = None
            population.session += 1
            population.sessions.append(Session(entry.at, gpus))
            for lineage in population.lineages.values():
                # A new scheduler asks everyone again.
                lineage.declined = lineage.failures = lineage.stood_in = 0
        case Ended(reason):
            population.ended = reason
        case _:
            assert_never(entry.event)


def _propose(population: Population, candidate: Candidate) -> None:
    population.candidates[candidate.number] = candidate
    population.commits[candidate.commit] = candidate.number
    if candidate.operator == "baseline":
        population.baseline = candidate.commit
    population.hashes.setdefault(candidate.genome_hash, candidate.commit)
    lineage = population.lineages[candidate.lineage]
    gone = candidate.combines
    if candidate.is_idea and not gone and (gone := _outdated(population, candidate)):
        population.replaced[candidate.number] = gone
    lineage.ready = [number for number in lineage.ready if number not in gone]
    lineage.ready.append(candidate.number)
    lineage.stood_in = 0
    if candidate.proposer == lineage.proposer:
        lineage.declined = lineage.failures = 0
    if population.combining is not None:
        together = {candidate.combines, population.combining.candidates}
        population.combined |= {(candidate.operator, frozenset(some)) for some in together}
        lineage.clashed += [n for n in population.combining.candidates if n not in candidate.combines]
        population.combining = None
    elif candidate.is_idea:
        if candidate.proposer == lineage.proposer:  # and not the optimiser in its place
            lineage.clashed.clear()
        lineage.requests, lineage.spent = lineage.requests + 1, lineage.spent + candidate.thought
    if candidate.about is not None:
        population.revisited.add(candidate.about)
    _pay(population, candidate.proposer, candidate.thought.cost_usd)


def _decline(population: Population, declined: Declined) -> None:
    lineage = population.lineages[declined.lineage]
    lineage.requests, lineage.spent = lineage.requests + 1, lineage.spent + declined.thought
    if declined.stood_in:
        lineage.stood_in += 1
        return
    lineage.declined += 1
    lineage.failures = lineage.failures + 1 if declined.failed else 0
    lineage.declined_at = population.finished
    if declined.about is not None and not declined.failed:
        population.revisited.add(declined.about)
    lineage.clashed.clear()
    _pay(population, lineage.proposer, declined.thought.cost_usd)


def _pay(population: Population, proposer: str, cost_usd: float) -> None:
    if cost_usd > _NOTHING_USD:
        population.costs[proposer] = population.costs.get(proposer, 0.0) + cost_usd


def _clash(population: Population, clashed: Clashed) -> None:
    assert population.combining is not None
    lineage = population.lineages[clashed.lineage]
    lineage.ready = [number for number in lineage.ready if number not in clashed.candidates]
    if population.combining.operator not in ("ablate", "venture"):
        lineage.clashed += clashed.candidates
    population.combined.add((population.combining.operator, frozenset(clashed.candidates)))
    population.combining = None


def _outdated(population: Population, new: Candidate) -> tuple[int, ...]:
    """Ideas of the same lineage that wait and were made from somewhere else, where it stands no more."""
    lineage = population.lineages[new.lineage]
    waiting = (population.candidates[number] for number in lineage.ready)
    ideas = [candidate for candidate in waiting if candidate.is_idea]
    return tuple(idea.number for idea in ideas if idea.base not in (new.base, lineage.tip))


def _assign(population: Population, assigned: Assigned, at: float) -> None:
    candidate = population.candidates[assigned.candidate]
    lineage = population.lineages[candidate.lineage]
    again = candidate.number not in lineage.ready
    if not again:
        lineage.ready.remove(candidate.number)
    lineage.trials.append(assigned.trial)
    trial = population.trials[assigned.trial] = Trial(
        assigned.trial, candidate, assigned.seed, population.session, again, at, assigned.reason
    )
    population.turns.setdefault(candidate.number, []).append(trial)
    if not again:
        population.tried[candidate.number] = assigned.trial
        population.children.setdefault(candidate.base, []).append(candidate.commit)
    population.running.append(assigned.trial)


def _finish(population: Population, finished: Finished) -> None:
    trial = population.trials[finished.trial]
    trial.outcome, trial.usage = finished.outcome, finished.usage
    if trial.score is not None:
        population.scores.setdefault(trial.candidate.commit, []).append(trial.score)
        population.measured.setdefault(trial.candidate.commit, []).append(trial)
        base, own = population.score(trial.candidate.base), population.score(trial.candidate.commit)
        trial.gain = None if base is None or own is None else base - own
    population.running.remove(trial.number)
    population.unjudged.append(trial.number)
    population.finished += 1


def _lose(population: Population, number: int, reason: str) -> None:
    trial = population.trials[number]
    trial.lost = reason
    population.turns[trial.candidate.number].remove(trial)
    lineage = population.lineages[trial.candidate.lineage]
    lineage.trials.remove(number)
    if not trial.again:
        del population.tried[trial.candidate.number]
        population.children[trial.candidate.base].remove(trial.candidate.commit)
        lineage.ready.insert(0, trial.candidate.number)
    population.running.remove(number)


def _judge(population: Population, judged: Judged) -> None:
    trial = population.trials[judged.trial]
    trial.verdict, trial.judged_because = judged.verdict, judged.reason
    population.unjudged.remove(judged.trial)
    candidate = trial.candidate
    if judged.verdict == "advance":
        population.advanced.add(candidate.commit)
        population.drought = 0
    elif not trial.again:
        population.drought += 1
    if judged.verdict == "advance" and candidate.commit not in population.bases:
        population.bases[candidate.commit] = candidate.number
        if population.lineages[candidate.lineage].pruned is None:
            population.lineages[candidate.lineage].tip = candidate.commit
        for lineage in population.lineages.values():
            lineage.declined = 0  # what was learned may give others an idea
