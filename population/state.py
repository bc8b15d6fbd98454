"""The population: the fold of the journal.

`replay(entries)` is the only way to get a Population and `apply` the only function that changes one; it
updates in place, so that a long journal folds in linear time. Everyone else reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import assert_never

from population.records import (
    Assigned,
    Candidate,
    Completed,
    Declined,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Outcome,
    Proposed,
    Resumed,
    Started,
    Usage,
    Verdict,
)


@dataclass
class Trial:
    """A candidate's turn on the GPU, as far as it is known."""

    number: int
    candidate: Candidate
    seed: int
    assigned_at: float
    assigned_because: str
    outcome: Outcome | None = None
    usage: Usage | None = None
    lost: str | None = None  # why it was cut off, if it was
    verdict: Verdict | None = None
    judged_because: str = ""
    gain: float | None = None  # how far below the tip's score it came when judged; None without a score

    @property
    def score(self) -> float | None:
        return self.outcome.score if isinstance(self.outcome, Completed) else None


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
    declined: int = 0  # requests for an idea that came to nothing since the last candidate


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
    complexities: dict[str, int] = field(default_factory=dict)  # by commit
    hashes: dict[str, str] = field(default_factory=dict)  # genome hash -> commit that first bore it
    running: int | None = None  # trial number
    unjudged: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)  # of every advance but the baseline's, oldest first
    baseline: str | None = None  # the commit every lineage started from
    finished: int = 0  # trials that came to an end of their own, the unit of --trials
    ended: str | None = None

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
    def elapsed_s(self) -> float:
        """Wall time from the first entry to the last, without the pauses between schedulers."""
        return self.at - self.started_at - self.paused_s

    @property
    def baseline_score(self) -> float | None:
        return None if self.baseline is None else self.score(self.baseline)

    def complexity(self, commit: str) -> int:
        """Lines of the genome at `commit`, which must be a candidate's."""
        return self.complexities[commit]

    @property
    def best(self) -> Trial | None:
        """The first trial of the tip with the lowest mean score; of equals the simpler, then the earlier."""
        tips = {line.tip for line in self.lineages.values()}
        first = {t.candidate.commit: t for t in reversed(self.trials.values()) if t.score is not None}
        scored = [(score, first[tip]) for tip in tips if (score := self.score(tip)) is not None]
        ranked = [(score, trial.candidate.complexity, trial.number) for score, trial in scored]
        return self.trials[min(ranked)[-1]] if ranked else None

    def path(self, commit: str) -> list[Trial]:
        """The scored trials that lead from the baseline to `commit`, first parents only, baseline first."""
        by_commit = {t.candidate.commit: t for t in reversed(self.trials.values()) if t.score is not None}
        steps: list[Trial] = []
        while trial := by_commit.pop(commit, None):  # a baseline may be its own parent
            steps.append(trial)
            commit = trial.candidate.parents[0]
        return steps[::-1]


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
    population.entries, population.at = entry.number, entry.at
    match entry.event:
        case Started() as started:
            population.started, population.started_at = started, entry.at
        case Founded() as born:
            population.lineages[born.lineage] = Lineage(
                born.lineage, born.brief, born.proposer, root=born.tip, tip=born.tip
            )
        case Proposed(candidate):
            population.candidates[candidate.number] = candidate
            population.complexities[candidate.commit] = candidate.complexity
            if candidate.operator == "baseline":
                population.baseline = candidate.commit
            population.hashes.setdefault(candidate.genome_hash, candidate.commit)
            lineage = population.lineages[candidate.lineage]
            lineage.ready.append(candidate.number)
            lineage.declined = 0
        case Declined(name):
            population.lineages[name].declined += 1
        case Assigned() as assigned:
            _assign(population, assigned, entry.at)
        case Finished() as finished:
            _finish(population, finished)
        case Lost(number, reason):
            _lose(population, number, reason)
        case Judged() as judged:
            _judge(population, judged)
        case Resumed():
            population.ended = None
            for lineage in population.lineages.values():
                lineage.declined = 0  # a new scheduler asks everyone again
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
            assert candidate.lineage in population.lineages, f"no lineage {candidate.lineage}"
            assert candidate.number == len(population.candidates) + 1, "candidates are counted without a gap"
        case Declined(lineage):
            assert lineage in population.lineages, f"no lineage {lineage}"
        case Assigned(trial, candidate):
            ready = {number for lineage in population.lineages.values() for number in lineage.ready}
            assert population.running is None, "one trial at a time"
            assert trial == len(population.trials) + 1, "trials are counted without a gap"
            assert candidate in ready, f"candidate {candidate} is not waiting for the GPU"
        case Finished(trial, outcome):
            assert population.running == trial, "only the running trial can finish"
            assert not isinstance(outcome, Completed) or isfinite(outcome.score), "a score is a finite number"
        case Lost(trial):
            assert population.running == trial, "only the running trial can be lost"
        case Judged(trial, verdict):
            assert trial in population.unjudged, f"trial {trial} is not waiting for a verdict"
            scored = population.trials[trial].score is not None
            assert scored or verdict == "discard", "only a trial with a score can advance"
        case Started() | Resumed() | Ended():
            pass
        case _:
            assert_never(event)


def _assign(population: Population, assigned: Assigned, at: float) -> None:
    candidate = population.candidates[assigned.candidate]
    lineage = population.lineages[candidate.lineage]
    lineage.ready.remove(candidate.number)
    lineage.trials.append(assigned.trial)
    population.trials[assigned.trial] = Trial(assigned.trial, candidate, assigned.seed, at, assigned.reason)
    population.running = assigned.trial


def _finish(population: Population, finished: Finished) -> None:
    trial = population.trials[finished.trial]
    trial.outcome, trial.usage = finished.outcome, finished.usage
    if trial.score is not None:
        tip = population.score(population.lineages[trial.candidate.lineage].tip)
        trial.gain = None if tip is None else tip - trial.score
        population.scores.setdefault(trial.candidate.commit, []).append(trial.score)
    population.running = None
    population.unjudged.append(trial.number)
    population.finished += 1


def _lose(population: Population, number: int, reason: str) -> None:
    trial = population.trials[number]
    trial.lost = reason
    lineage = population.lineages[trial.candidate.lineage]
    lineage.trials.remove(number)
    lineage.ready.insert(0, trial.candidate.number)
    population.running = None


def _judge(population: Population, judged: Judged) -> None:
    trial = population.trials[judged.trial]
    trial.verdict, trial.judged_because = judged.verdict, judged.reason
    population.unjudged.remove(judged.trial)
    if judged.verdict == "advance":
        if trial.candidate.operator != "baseline" and trial.gain is not None:
            population.gains.append(trial.gain)
        population.lineages[trial.candidate.lineage].tip = trial.candidate.commit
        for lineage in population.lineages.values():
            lineage.declined = 0  # what was learned may give others an idea
