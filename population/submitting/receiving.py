"""What a submission comes to: a draft with its origin, or a receipt that says why it cannot be one. Pure."""

from msgspec import Struct

from population.hearing.quoting import line
from population.making.candidates import Origin
from population.making.drafting import Draft, draft_of
from population.names import SUBMIT
from population.proposals import NoIdea
from population.state import Population

_LONGEST = 300  # characters of an idea


class Submission(Struct, frozen=True):
    """A genome for a lineage, with the idea in one line and the commit it was made from."""

    lineage: str
    idea: str
    genome: str
    parent: str


class Receipt(Struct, frozen=True):
    """The candidate that a submission has become, or why it has not become one."""

    candidate: int | None = None
    refused: str = ""


def submitted(population: Population, sent: Submission | None) -> tuple[Draft, Origin] | Receipt:
    """The draft to commit. What was recorded before gets its receipt again."""
    if sent is None:
        return Receipt(refused="it cannot be read; submit it again")
    names = [lineage.name for lineage in population.living]
    if sent.lineage not in names:
        return Receipt(refused=f"no living lineage {sent.lineage!r}: there are {', '.join(names)}")
    idea = line(sent.idea, _LONGEST)
    draft = draft_of(sent.genome, idea or "submitted without words")
    if isinstance(draft, NoIdea):
        return Receipt(refused=draft.reason)
    if (commit := population.hashes.get(draft.genome_hash)) is not None:
        candidate = population.candidates[population.commits[commit]]
        if candidate.operator == "external":
            return Receipt(candidate.number)
        return Receipt(refused=f"candidate {candidate.number} is the same: {candidate.idea}")
    if population.baseline_score is None:
        return Receipt(
            refused="the run's first trial is not over: submit again when the baseline has a score"
        )
    if sent.parent not in population.scores:
        return Receipt(refused="its parent has no score in this run; start from the tip of a lineage")
    origin = Origin(sent.lineage, "external", SUBMIT, parents=(sent.parent,), base=sent.parent)
    return draft, origin
