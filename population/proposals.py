"""What a mind is asked, and what it answers with.

A proposer holds no truth. Everything it may know is in the Request, and all its randomness comes from
`request.seed`, so an actor that dies is simply built again. The same request brings the same reply, as far
as what a proposer asks (a model, an agent) is as good.
"""

from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from population.records import Knob, Operator, Outcome, Thought


class Effect(Struct, frozen=True):
    """What a change did to the score of what it was made from, as far as the evidence goes."""

    change: float  # expected, after shrinkage; negative is better
    p_better: float  # probability that it is a gain


class Tried(Struct, frozen=True):
    """One finished trial, of any lineage, as a proposer is told of it."""

    trial: int
    lineage: str
    proposer: str
    idea: str
    commit: str
    parent: str
    parent_score: float | None  # mean score of its parent, lower is better; None if it has none
    knobs: dict[str, Knob]  # constants of the genome that was tried
    outcome: Outcome
    advanced: bool
    brief: str = ""
    operator: Operator = "mutate"
    effect: Effect | None = None  # None where there is no score to compare, and under the control arms


class Turned(Struct, frozen=True):
    """An earlier answer to this very request that could not be tried, and why."""

    said: str  # what the proposer said; empty for one that does not talk
    reason: str


class Subject(Struct, frozen=True):
    """What a `revisit` or a `merge` is about: a change that was tried, or could not be put on the parent."""

    idea: str
    trial: int | None  # the trial it had, if it had one
    before: str  # the genome it was made from
    after: str  # the genome with it
    remark: str  # why it is looked at again, in one line


Task: TypeAlias = Literal["mutate", "revisit", "merge"]


class Request(Struct, frozen=True):
    """A lineage asks its mind for the next candidate."""

    lineage: str
    brief: str  # text of its program.md
    parent: str  # commit to start from
    genome: str  # text of train.py at `parent`
    score: float | None  # mean score of `parent`, lower is better
    history: tuple[Tried, ...]  # finished trials of the run, oldest first
    hashes: frozenset[str]  # genome hashes that were proposed before: do not repeat one
    seed: int
    metric: str = "score"
    budget_s: float = 0.0  # seconds of training a trial is given
    sigma: float = 0.0  # standard deviation of the scores of one genome; 0 if it is not known
    pending: tuple[str, ...] = ()  # ideas of all lineages that train now or wait for their trial
    path: tuple[int, ...] = ()  # trials that lead from the baseline to `parent`, in their order
    drought: int = 0  # trials of the run since one last advanced
    task: Task = "mutate"
    subject: Subject | None = None  # of a `revisit` or a `merge`
    turned: tuple[Turned, ...] = ()  # earlier answers to this request, oldest first
    stand_in: bool = False  # the mind cannot be reached: its optimiser is to answer


class Proposal(Struct, frozen=True, tag="proposal"):
    """A new genome and the idea behind it, in words."""

    genome: str
    idea: str
    thought: Thought = Thought()
    expected: float | None = None  # the change of score that its author foresees; negative is better
    said: str = ""  # the reply as it was given, to show again if it has to be mended


class Unusable(Struct, frozen=True, tag="unusable"):
    """A reply that comes to no genome; `reason` is one line that says how to mend it."""

    reason: str
    said: str
    thought: Thought = Thought()


class NoIdea(Struct, frozen=True, tag="no_idea"):
    """The proposer has nothing (new) to offer; `reason` is one line. `failed`: it could not be reached."""

    reason: str
    thought: Thought = Thought()
    failed: bool = False


Reply: TypeAlias = Proposal | Unusable | NoIdea


class Proposer(Protocol):
    def propose(self, request: Request) -> Reply: ...
