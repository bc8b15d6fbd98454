"""Where ideas come from: one proposer a file, each with one method.

A proposer holds no truth. Everything it may know is in the Request, and all its randomness comes from
`request.seed`, so the same request brings the same reply and an actor that dies is simply built again.
"""

from typing import Protocol, TypeAlias

from msgspec import Struct

from population.records import Knob, Outcome, Thought


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


class Request(Struct, frozen=True):
    """A lineage asks its mind for the next candidate."""

    lineage: str
    brief: str  # text of its program.md
    parent: str  # commit to start from
    genome: str  # text of train.py at `parent`
    score: float | None  # mean score of `parent`, lower is better
    history: tuple[Tried, ...]  # all finished trials of the run, oldest first
    hashes: frozenset[str]  # genome hashes that were proposed before: do not repeat one
    seed: int


class Proposal(Struct, frozen=True, tag="proposal"):
    """A new genome and the idea behind it, in words."""

    genome: str
    idea: str
    thought: Thought = Thought()


class NoIdea(Struct, frozen=True, tag="no_idea"):
    """The proposer has nothing (new) to offer; `reason` is one line."""

    reason: str
    thought: Thought = Thought()


Reply: TypeAlias = Proposal | NoIdea


class Proposer(Protocol):
    def propose(self, request: Request) -> Reply: ...
