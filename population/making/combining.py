"""What a decision to combine comes to: a candidate with the changes that fit together, or a clash.

Changes are put on top of a commit one by one, the best proven first. Where one clashes with what is there
already it gives way: what else it does is kept, and if that is nothing it is left out. Which fit is decided
first, by reading genomes alone; only what becomes a candidate is committed, and nothing else is touched.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from population.making.candidates import Origin, committed
from population.making.drafting import draft_of
from population.merging import Conflict, merge
from population.proposals import NoIdea
from population.records import Candidate, Clashed, Combined, Proposed
from population.repository.genomes import Genomes
from population.repository.marks import message
from population.state import Population

CROSSING = "crossing"  # the proposer of what nobody thought of: several changes in one genome


class Step(Struct, frozen=True):
    """A change that fits, and the genome with it and all before it."""

    change: Candidate
    genome: str
    merges: bool  # whether git shows it as a merge with the change's own commit
    given: tuple[str, ...]  # names in which it gave way to what was there

    @property
    def idea(self) -> str:
        return self.change.idea + (f" (but for {', '.join(self.given)})" if self.given else "")


def combined(population: Population, asked: Combined, genomes: Genomes, at: float) -> Proposed | Clashed:
    """Carry out the decision `asked`; what is committed on the way is dated `at` (unix seconds)."""
    steps = fitted(population, asked, genomes.text)
    ablates = asked.operator == "ablate"
    if not steps or (len(asked.candidates) > 1 and len(steps) == 1 and not ablates):
        return Clashed(asked.lineage, asked.candidates, "they change the same things")
    draft = draft_of(steps[-1].genome, ("without: " if ablates else "") + _together(steps))
    if isinstance(draft, NoIdea) or draft.genome_hash in population.hashes:
        return Clashed(asked.lineage, asked.candidates, "together they are nothing new")
    origin = Origin(
        lineage=asked.lineage,
        operator=asked.operator,
        proposer=steps[0].change.proposer if len(steps) == 1 else CROSSING,
        parents=(asked.onto,) if ablates else _parents(asked, steps, genomes, at),
        base=asked.onto,
        combines=tuple(step.change.number for step in steps),
        about=steps[0].change.about if asked.operator == steps[0].change.operator else None,
    )
    return Proposed(committed(population, draft, origin, genomes, at))


def fitted(population: Population, asked: Combined, genome_at: Callable[[str], str]) -> list[Step]:
    """The changes that can be put on top of one another, or taken out if `asked` is to ablate."""
    genome = genome_at(asked.onto)
    steps: list[Step] = []
    for number in asked.candidates:
        change = population.candidates[number]
        before, after = genome_at(change.base), genome_at(change.commit)
        ablates = asked.operator == "ablate"
        merged = merge(after, genome, before) if ablates else merge(before, genome, after, prefer="ours")
        if isinstance(merged, Conflict) or merged.text == genome:
            continue
        merges = not ablates and number in population.tried and _is_apart(population, asked, change, steps)
        genome = merged.text
        steps.append(Step(change, genome, merges, merged.given))
    return steps


def _is_apart(population: Population, asked: Combined, change: Candidate, steps: Sequence[Step]) -> bool:
    """Whether a change and what it is put on are not behind one another in git, so that a merge tells."""
    history, tip = population.history, population.commits[asked.onto]
    behind = set().union(history(tip), *(history(step.change.number) for step in steps))
    leads_on = tip in history(change.number) and change.base != asked.onto
    return change.number not in behind and not leads_on


def _parents(asked: Combined, steps: Sequence[Step], genomes: Genomes, at: float) -> tuple[str, ...]:
    """The parents of the last step. Those before it become commits: a merge has two parents and no more."""
    parents: tuple[str, ...] = ()
    onto = asked.onto
    for done, step in enumerate(steps):
        before = steps[:done]
        if len(before) == 1 and before[0].change.base == onto:
            onto = before[0].change.commit  # is that very genome
        elif before:
            words = message(_together(before), asked.lineage, CROSSING)
            onto = genomes.commit(steps[done - 1].genome, parents, words, at)
        parents = (onto, step.change.commit) if step.merges else (onto,)
    return parents


def _together(steps: Sequence[Step]) -> str:
    return steps[0].idea if len(steps) == 1 else "together: " + "; ".join(step.idea for step in steps)
