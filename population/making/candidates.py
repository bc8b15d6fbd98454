"""How a draft becomes a candidate: the next one, with a commit and an origin."""

from msgspec import Struct

from population.making.drafting import Draft
from population.records import Candidate, Operator
from population.repository.genomes import Genomes
from population.repository.marks import message
from population.state import Population


class Origin(Struct, frozen=True):
    """Who had a draft, what it was made from and what it has to beat. Fields are those of a Candidate."""

    lineage: str
    operator: Operator
    proposer: str
    parents: tuple[str, ...]
    base: str
    combines: tuple[int, ...] = ()
    about: int | None = None


def candidate(population: Population, draft: Draft, origin: Origin, commit: str) -> Candidate:
    """The next candidate of a population: `draft`, which is kept under `commit`."""
    return Candidate(
        number=len(population.candidates) + 1,
        lineage=origin.lineage,
        operator=origin.operator,
        idea=draft.idea,
        commit=commit,
        parents=origin.parents,
        base=origin.base,
        genome_hash=draft.genome_hash,
        complexity=draft.complexity,
        knobs=draft.knobs,
        proposer=origin.proposer,
        thought=draft.thought,
        expected=draft.expected,
        combines=origin.combines,
        about=origin.about,
    )


def committed(population: Population, draft: Draft, origin: Origin, genomes: Genomes, at: float) -> Candidate:
    """The next candidate, its genome committed at `at` (unix seconds)."""
    words = message(draft.idea, origin.lineage, origin.proposer)
    return candidate(population, draft, origin, genomes.commit(draft.genome, origin.parents, words, at))
