"""The population as it stands: lineages, trials, and what is known of every commit.

Only `population.state`, which folds the journal, changes one; everyone else reads.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from population.records import (
    Candidate,
    Combined,
    Completed,
    Operator,
    Outcome,
    Started,
    Thought,
    Usage,
    Verdict,
)

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
