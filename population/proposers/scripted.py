"""Replays a fixed list of ideas: the proposer of demonstrations and tests."""

from collections.abc import Mapping, Sequence

from population.genome import normal_hash, rewrite
from population.proposals import NoIdea, Proposal, Request
from population.records import Knob


class Scripted:
    """Each step is an idea, and either constants to set in the parent or a whole genome.

    The step to play is the one after those of this script that the lineage has in its history; a step that
    is proposed already and waits for its trial is passed over. Raises KeyError or ValueError for a step that
    sets what the parent does not have: a mistake of the script's author.
    """

    def __init__(self, steps: Sequence[tuple[str, Mapping[str, Knob] | str]]) -> None:
        self.steps = tuple(steps)

    def propose(self, request: Request) -> Proposal | NoIdea:
        ideas = {idea for idea, _ in self.steps}
        played = sum(tried.lineage == request.lineage and tried.idea in ideas for tried in request.history)
        for idea, step in self.steps[played:]:
            genome = step if isinstance(step, str) else rewrite(request.genome, step)
            if not _proposed(genome, request.hashes):
                return Proposal(genome, idea)
        return NoIdea(f"the script of {len(self.steps)} steps is over")


def _proposed(genome: str, hashes: frozenset[str]) -> bool:
    try:
        return normal_hash(genome) in hashes
    except SyntaxError:
        return False  # a script may well contain a broken genome
