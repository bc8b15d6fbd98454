"""The body of a lineage's actor: its mind, and the checks an idea passes before it may use the GPU."""

import time
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from population import genome
from population.proposers import NoIdea, Proposer, Reply, Request
from population.records import Knob, Thought
from population.structure.expressions import parse


class Draft(Struct, frozen=True, tag="draft"):
    """A proposal that can be tried: it parses, and nothing equal to it was proposed before."""

    genome: str
    idea: str
    genome_hash: str
    complexity: int
    knobs: dict[str, Knob]
    thought: Thought


Answer: TypeAlias = Draft | NoIdea


class Mind:
    """A plain class, wrapped as an actor where the run is composed. It holds no truth."""

    def __init__(self, proposer: Proposer) -> None:
        self.proposer = proposer

    def think(self, request: Request) -> Answer:
        """Ask the proposer once, check what it says, and note how long it took."""
        begun = time.monotonic()
        answer = self._checked(request, self.proposer.propose(request))
        return replace(answer, thought=replace(answer.thought, wall_s=time.monotonic() - begun))

    def _checked(self, request: Request, reply: Reply) -> Answer:
        if isinstance(reply, NoIdea):
            return reply
        draft = draft_of(reply.genome, reply.idea, reply.thought)
        if isinstance(draft, NoIdea):
            return draft
        if draft.genome_hash in request.hashes:
            return NoIdea(f"proposed before: {draft.idea}", draft.thought)
        if genome.only_seed_changed(request.genome, draft.genome):
            return NoIdea(f"changes nothing but a seed: {draft.idea}", draft.thought)
        return draft


def draft_of(text: str, idea: str, thought: Thought | None = None) -> Answer:
    """A genome with what the records keep of it; NoIdea if it is not a program."""
    thought = thought or Thought()
    try:
        tree = parse(text)
        return Draft(
            genome=text,
            idea=idea,
            genome_hash=genome.normal_hash(tree),
            complexity=genome.complexity(text, tree),
            knobs=genome.knobs(text, tree),
            thought=thought,
        )
    except SyntaxError as error:
        return NoIdea(f"does not parse (line {error.lineno}: {error.msg}): {idea}", thought)
