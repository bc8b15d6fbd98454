"""The population: the fold of the journal.

`replay(entries)` is the only way to get a Population and `apply` the only function that changes one; it
updates in place, so that a long journal folds in linear time. Everyone else reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any, TypeAlias, assert_never

from population.records import (
    Adopted,
    Assigned,
    Candidate,
    Clashed,
    Combined,
    Completed,
    Declined,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Operator,
    Outcome,
    Proposed,
    Pruned,
    Resumed,
    Started,
    Thought,
    Usage,
    Verdict,
)

_NOTHING_USD = 1e-9  # no price of anything, and too little to count with

Combination: TypeAlias = tuple[Operator, frozenset[int]]  # candidates, and what was done with them


@dataclass
class Trial:
    """A candidate's turn on the GPU, as far as it is known."""

    number: int
    candidate: Candidate
    seed: int
    session: int  # counts the schedulers of a run from 0; scores of different ones may be offset
    again: bool  # its candidate has a score already
    assigned_at: float
    assigned_because: str
    outcome: Outcome | None = None
    usage: Usage | None = None
    lost: str | None = None  # why it was cut off, if it was
    verdict: Verdict | None = None
    judged_because: str = ""
    gain: float | None = None  # how far below its base's mean score its own lay then; None without a score

    @property
    def score(self) -> float | None:
        return self.outcome.score if isinstance(self.outcome, Completed) else None

    @property
    def operator(self) -> Operator:
        """What the trial was for: its candidate's operator, or to measure it again."""
        return "replicate" if self.again else self.candidate.operator


@dataclass
class Lineage:
    """One branch of genomes. `trials` are numbers of its judged or running trials, oldest first."""

    name: str
    brief: str
    proposer: str
    root: str
    tip: str
    ready: list[int] = field(default_factory=list)  # candidate numbers waiting for the GPU, oldest first
    trials: list[int] = field(default_factory=list)
    declined: int = 0  # times in a row that its mind was asked for an idea and had none
    failures: int = 0  # times in a row that its mind could not be reached
    stood_in: int = 0  # times in a row that the optimiser was asked in its mind's place and had no idea
    declined_at: int = 0  # how many trials of the run had finished when its mind last had no idea
    requests: int = 0  # how often its mind answered, or its stand-in
    spent: Thought = field(default_factory=Thought)  # on all these answers
    clashed: list[int] = field(
        default_factory=list
    )  # candidates that did not fit its tip, since its mind last spoke
    pruned: str | None = None  # why it ended, if it has


@dataclass(frozen=True)
class Session:
    """What one scheduler had of the run."""

    began_at: float
    gpus: int | None  # None: its journal does not say
    ended_at: float | None = None  # with its last entry; None: no other has come after it


@dataclass
class Population:
    """Lineages, candidates, trials and the scores of every commit."""

    started: Started | None = None
    started_at: float = 0.0
    at: float = 0.0  # time of the last entry
    paused_s: float = 0.0  # between the end of one scheduler and the start of the next
    entries: int = 0
    lineages: dict[str, Lineage] = field(default_factory=dict)
    candidates: dict[int, Candidate] = field(default_factory=dict)
    trials: dict[int, Trial] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)  # by commit, oldest first
    measured: dict[str, list[Trial]] = field(default_factory=dict)  # the trials that these are of
    advanced: set[str] = field(default_factory=set)  # commits with that verdict
    children: dict[str, list[str]] = field(default_factory=dict)  # base -> commits tried from it
    commits: dict[str, int] = field(default_factory=dict)  # commit -> its candidate
    hashes: dict[str, str] = field(default_factory=dict)  # genome hash -> commit that first bore it
    bases: dict[str, int] = field(default_factory=dict)  # commits built on -> candidate
    combined: set[Combination] = field(default_factory=set)  # made, or clashed
    replaced: dict[int, tuple[int, ...]] = field(default_factory=dict)  # candidate -> ideas that gave way
    combining: Combined | None = None  # decided, and not acted on yet
    session: int = 0
    sessions: list[Session] = field(default_factory=list)  # oldest first
    running: list[int] = field(default_factory=list)  # trial numbers, oldest first: one for each GPU in use
    tried: dict[int, int] = field(default_factory=dict)  # candidate -> its first trial, running or done
    turns: dict[int, list[Trial]] = field(default_factory=dict)  # candidate -> its trials, but for lost ones
    unjudged: list[int] = field(default_factory=list)
    baseline: str | None = None  # the commit every lineage started from
    finished: int = 0  # trials that came to an end of their own, the unit of --trials
    revisited: set[int] = field(default_factory=set)  # candidates that a mind was asked about again
    drought: int = 0  # new candidates that were judged since one last advanced
    costs: dict[str, float] = field(default_factory=dict)  # by proposer, in dollars
    ended: str | None = None
    weighed: tuple[object, object] | None = field(default=None, compare=False, repr=False)  # by evidence

    @property
    def run(self) -> Started:
        """The run's first record; a population without one is an empty journal."""
        assert self.started is not None, "an empty journal has no run"
        return self.started

    def score(self, commit: str) -> float | None:
        """Mean score of a commit over its trials, or None if it has none."""
        scores = self.scores.get(commit)
        return sum(scores) / len(scores) if scores else None

    @property
    def living(self) -> list[Lineage]:
        """The lineages that were not pruned, oldest first."""
        return [line for line in self.lineages.values() if line.pruned is None]

    @property
    def cost_usd(self) -> float:
        """What minds have taken."""
        return sum(self.costs.values())

    @property
    def elapsed_s(self) -> float:
        """Wall time from the first entry to the last, without the pauses between schedulers."""
        return self.at - self.started_at - self.paused_s

    @property
    def baseline_score(self) -> float | None:
        return None if self.baseline is None else self.score(self.baseline)

    def complexity(self, commit: str) -> int:
        """Lines of the genome at `commit`, which must be a candidate's."""
        return self.candidates[self.commits[commit]].complexity

    def history(self, number: int) -> set[int]:
        """A candidate with all those whose commits are behind its own."""
        behind: set[int] = set()
        waiting = [number]
        while waiting:
            candidate = self.candidates[waiting.pop()]
            if candidate.number not in behind:
                behind.add(candidate.number)
                made = candidate.combines if candidate.operator in ("merge", "venture") else ()
                waiting += [part for part in made if part in self.tried]
                waiting += [self.commits[parent] for parent in candidate.parents if parent in self.commits]
                waiting += [self.commits[candidate.base]] if made else []
        return behind

    def path(self, commit: str) -> list[Trial]:
        """First trials of the commits that lead from the baseline to `commit`, each the base of the next."""
        steps: list[Trial] = []
        while (number := self.bases.get(commit)) is not None:
            steps.append(self.trials[self.tried[number]])
            commit = self.candidates[number].base
        return steps[::-1]


def replay(entries: Iterable[Entry]) -> Population:
    """Fold a journal from its beginning."""
    population = Population()
    for entry in entries:
        apply(population, entry)
    return population


def aside(population: Population) -> Population:
    """A copy that can be changed while this one stays as it is.

    What does not change any more is shared: records, and trials that were judged.
    """
    parts = {part.name: _copied(getattr(population, part.name)) for part in fields(population)}
    apart = Population(**parts)
    for number in (*apart.running, *apart.unjudged):
        trial = apart.trials[number] = replace(apart.trials[number])
        candidate = trial.candidate
        for turns in (apart.turns[candidate.number], apart.measured.get(candidate.commit, [])):
            turns[:] = [trial if turn.number == number else turn for turn in turns]
    return apart


def _copied(value: Any) -> Any:
    """Of lists, sets and lineages, also within a dictionary; anything else is itself."""
    match value:
        case dict():
            return {key: _copied(part) for key, part in value.items()}
        case list() | set():
            return value.copy()
        case Lineage():
            return replace(value, **{part.name: _copied(getattr(value, part.name)) for part in fields(value)})
        case _:
            return value


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


def check(population: Population, event: Event) -> None:
    """Raises AssertionError, saying what is wrong, if `event` cannot follow what came before."""
    assert isinstance(event, Started) == (population.started is None), "a journal starts once, with Started"
    match event:
        case Founded(lineage):
            assert lineage not in population.lineages, f"lineage {lineage} was founded before"
        case Proposed(candidate):
            combining = population.combining
            assert candidate.lineage in population.lineages, f"no lineage {candidate.lineage}"
            assert candidate.number == len(population.candidates) + 1, "candidates are counted without a gap"
            asked = combining.candidates if combining else ()
            assert set(candidate.combines) <= set(asked), "it was not asked for"
            assert bool(candidate.combines) == bool(asked), "what was asked for comes first"
            assert candidate.about is None or candidate.about in population.candidates, "it is about nothing"
        case Declined(lineage):
            assert lineage in population.lineages, f"no lineage {lineage}"
        case Combined(lineage, _, candidates):
            assert population.combining is None, "one combination at a time"
            assert lineage in population.lineages, f"no lineage {lineage}"
            assert len(set(candidates)) == len(candidates) > 0, "different candidates are combined"
            ready = population.lineages[lineage].ready
            allowed = (number in population.tried or number in ready for number in candidates)
            assert all(allowed), "only its own or what was tried"
        case Clashed(_, candidates):
            combining = population.combining
            assert combining is not None and combining.candidates == candidates, "it was not asked for"
        case Adopted(lineage, commit):
            assert lineage in population.lineages, f"no lineage {lineage}"
            assert commit in population.scores, "only what was measured can be built on"
        case Pruned(lineage):
            living = {line.name for line in population.living}
            assert lineage in living, f"no living lineage {lineage}"
            assert len(living) > 1, "somebody has to go on"
        case Assigned(trial, number):
            assert trial == len(population.trials) + 1, "trials are counted without a gap"
            waits = any(number in line.ready for line in population.living)
            assert waits or number in population.tried, f"candidate {number} neither waits nor was tried"
        case Finished(trial, outcome):
            assert trial in population.running, "only a running trial can finish"
            assert not isinstance(outcome, Completed) or isfinite(outcome.score), "a score is a finite number"
        case Lost(trial):
            assert trial in population.running, "only a running trial can be lost"
        case Judged(trial, verdict):
            assert trial in population.unjudged, f"trial {trial} is not waiting for a verdict"
            scored = population.trials[trial].score is not None
            assert scored or verdict == "discard", "only a trial with a score can advance"
        case Started() | Resumed() | Ended():
            pass
        case _:
            assert_never(event)


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
