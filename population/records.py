"""What is written down: candidates, events and decisions, as frozen records.

Every line of a run's journal is one `Entry`. Events are a tagged union; a decision is the event it causes
(`Assigned`, `Judged`, `Adopted`, `Combined`, `Founded`, `Pruned`, `Ended`) and carries its reason in
words. The outcomes come from the trainer, which defines what a trial is. Lower scores are better.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from trainer.outcome import Completed, Crashed, Outcome, Refused, Report, Stopped, TimedOut, Usage

__all__ = [
    "Adopted", "Assigned", "Candidate", "Clashed", "Combined", "Completed", "Crashed", "Declined",
    "Ended", "Entry", "Event", "Finished", "Founded", "Judged", "Knob", "Lost", "Operator", "Outcome",
    "Proposed", "Pruned", "Refused", "Report", "Resumed", "Started", "Stopped", "Thought", "TimedOut",
    "Usage", "Verdict", ]  # fmt: skip

Knob: TypeAlias = bool | int | float | str
Operator: TypeAlias = Literal[
    "mutate", "revisit", "merge", "ablate", "venture", "adopt", "replicate", "baseline", "external"
]
Verdict: TypeAlias = Literal["advance", "confirm", "discard"]


class Thought(Struct, frozen=True):
    """What it cost to have an idea."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    wall_s: float = 0.0

    def __add__(self, other: "Thought") -> "Thought":
        return Thought(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_usd + other.cost_usd,
            self.wall_s + other.wall_s,
        )


class Candidate(Struct, frozen=True):
    """A genome proposed for a lineage. Its text is in git, under `commit`."""

    number: int  # counts candidates from 1
    lineage: str
    operator: Operator
    idea: str
    commit: str
    parents: tuple[str, ...]  # commits it was made from: one, or two for a merge; the baseline's is HEAD
    base: str  # the commit it has to beat: its lineage's tip when it was made
    genome_hash: str  # of the normal form: equal for genomes that differ in comments or layout only
    complexity: int  # lines of code, without comments, blank lines and docstrings
    knobs: dict[str, Knob]  # the genome's constants, by name
    proposer: str
    thought: Thought = Thought()
    combines: tuple[int, ...] = ()  # candidates whose changes it brings together, on top of `base`
    expected: float | None = None  # the change of score that its author foresaw; negative is better
    about: int | None = None  # the candidate that a mind was asked to look at again, or to merge

    @property
    def is_idea(self) -> bool:
        """Whether a mind thought of it, rather than a decision putting together what there was."""
        return self.operator in ("mutate", "revisit") or self.about is not None

    @property
    def is_single(self) -> bool:
        """Whether it is one change, thought of by a mind or by whoever submitted it."""
        return self.is_idea or self.operator == "external"


class Started(Struct, frozen=True, tag="started"):
    """A run begins. What makes its scores comparable is fixed here."""

    run: str
    seed: int
    policy: str
    task: str
    metric: str
    budget_s: float
    exam_hash: str
    profile: str
    device: str
    head: str  # the commit the run started from
    gpus: int | None = None  # that it has, until it is resumed; None where older journals do not say


class Founded(Struct, frozen=True, tag="founded"):
    """A lineage is born with its tip at `tip`."""

    lineage: str
    brief: str  # name of the program.md it follows
    proposer: str
    tip: str
    reason: str


class Proposed(Struct, frozen=True, tag="proposed"):
    """A candidate is ready for the GPU."""

    candidate: Candidate


class Declined(Struct, frozen=True, tag="declined"):
    """A lineage was asked for an idea and had none that could be tried.

    `failed` says that its mind could not be reached at all, `stood_in` that the optimiser was asked for it.
    """

    lineage: str
    parent: str
    reason: str
    thought: Thought = Thought()
    failed: bool = False
    stood_in: bool = False
    about: int | None = None  # the candidate it was asked to look at again, or to merge


class Combined(Struct, frozen=True, tag="combined"):
    """Decision: put the changes of some candidates on top of commit `onto`, as one candidate.

    Changes are merged by structure (see merging.py). A `merge` of several asks whether they hold together; an
    `ablate` takes them out of `onto`, to see whether they earn their place; a
    `mutate` of one that waits for the GPU rebases it, because its lineage's tip has moved. What it comes to
    is the `Proposed` or `Clashed` that follows.
    """

    lineage: str
    onto: str
    candidates: tuple[int, ...]
    operator: Operator
    reason: str


class Clashed(Struct, frozen=True, tag="clashed"):
    """What was to be combined cannot be, or comes to nothing new. One that waited for the GPU is dropped."""

    lineage: str
    candidates: tuple[int, ...]
    reason: str


class Adopted(Struct, frozen=True, tag="adopted"):
    """Decision: a lineage's tip moves to a commit that was measured.

    Forward to a proven win of another lineage, aside to a near miss that may open a way, or back from there.
    """

    lineage: str
    commit: str
    reason: str


class Pruned(Struct, frozen=True, tag="pruned"):
    """Decision: a lineage ends."""

    lineage: str
    reason: str


class Assigned(Struct, frozen=True, tag="assigned"):
    """Decision: this candidate gets the GPU, as trial number `trial` (from 1), with this seed.

    A candidate that was tried before is measured again.
    """

    trial: int
    candidate: int
    seed: int
    reason: str


class Finished(Struct, frozen=True, tag="finished"):
    """A trial came to its end."""

    trial: int
    outcome: Outcome
    usage: Usage


class Lost(Struct, frozen=True, tag="lost"):
    """A trial was cut off by us, not by its candidate (power, kill, a lost machine); it may be run again."""

    trial: int
    reason: str


class Judged(Struct, frozen=True, tag="judged"):
    """Decision: what the evidence says of a finished trial.

    `advance` moves the lineage's tip to it; `confirm` says that it may be better than its base and that more
    evidence is needed.
    """

    trial: int
    verdict: Verdict
    reason: str


class Resumed(Struct, frozen=True, tag="resumed"):
    """A scheduler took the run up again, with so many GPUs; None where older journals do not say."""

    gpus: int | None = None


class Ended(Struct, frozen=True, tag="ended"):
    """Decision: the run is over (it can still be resumed with a larger limit)."""

    reason: str


Event: TypeAlias = (
    Started
    | Founded
    | Proposed
    | Declined
    | Combined
    | Clashed
    | Adopted
    | Pruned
    | Assigned
    | Finished
    | Lost
    | Judged
    | Resumed
    | Ended
)


class Entry(Struct, frozen=True):
    """One line of the journal: `number` counts from 1 without a gap, `at` is in unix seconds."""

    number: int
    at: float
    event: Event
