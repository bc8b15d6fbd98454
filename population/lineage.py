"""The body of a lineage's actor: its mind, and the checks an idea passes before it may use the GPU."""

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from population import genome
from population.making.drafting import Answer, draft_of
from population.proposals import NoIdea, Proposer, Reply, Request, Turned, Unusable
from population.records import Thought

Preflight: TypeAlias = Callable[[str], str | None]  # why a genome cannot be tried, in one line, if it cannot

REPAIRS: Final = 3  # times an author is asked to mend an answer before the request is given up


class Mind:
    """A plain class, wrapped as an actor where the run is composed. It holds no truth."""

    def __init__(
        self, proposer: Proposer, preflight: Preflight | None = None, stand_in: Proposer | None = None
    ) -> None:
        """`stand_in` answers requests that are for it, while the proposer cannot be reached."""
        self.proposer, self.preflight, self.stand_in = proposer, preflight, stand_in

    def think(self, request: Request) -> Answer:
        """Ask the proposer, check what it says and, where that can be mended, ask again with the reason.

        Notes how long it took in all, and what all of it cost.
        """
        begun, spent, last = time.monotonic(), Thought(), ""
        author = self.stand_in if request.stand_in and self.stand_in else self.proposer
        for _ in range(1 + REPAIRS):
            reply = author.propose(request)
            spent += reply.thought
            answer = self._checked(request, reply)
            if not isinstance(answer, _Unfit):
                return _paid(answer, spent, begun)
            last = answer.reason
            request = replace(
                request,
                turned=(*request.turned, Turned(answer.said, answer.reason)),
                hashes=request.hashes | {answer.genome_hash},
                seed=request.seed + 1,
            )
        return _paid(NoIdea(last), spent, begun)

    def _checked(self, request: Request, reply: Reply) -> "Answer | _Unfit":
        match reply:
            case NoIdea():
                return reply
            case Unusable(reason, said):
                return _Unfit(reason, said)
        draft = draft_of(reply.genome, reply.idea, expected=reply.expected)
        if isinstance(draft, NoIdea):
            return _Unfit(draft.reason, reply.said)
        if genome.only_seed_changed(request.genome, draft.genome):
            return _Unfit(f"changes nothing but a seed: {draft.idea}", reply.said, draft.genome_hash)
        if draft.genome_hash in request.hashes:
            return _Unfit(f"proposed before: {draft.idea}", reply.said)
        if self.preflight and (problem := self.preflight(draft.genome)):
            return _Unfit(f"{problem}: {draft.idea}", reply.said, draft.genome_hash)
        return draft


class _Unfit(Struct, frozen=True):
    """An answer that cannot be tried; its author is told why and asked again."""

    reason: str
    said: str
    genome_hash: str = ""


def _paid(answer: Answer, spent: Thought, begun: float) -> Answer:
    return replace(answer, thought=replace(spent, wall_s=time.monotonic() - begun))
