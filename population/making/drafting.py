"""A proposal that can be tried, with what the records keep of it; or the reason why it cannot be one."""

from typing import TypeAlias

from msgspec import Struct

from population import genome
from population.proposals import NoIdea
from population.records import Knob, Thought
from trainer.syntax import parse


class Draft(Struct, frozen=True, tag="draft"):
    """A proposal that can be tried: it parses, and nothing equal to it was proposed before."""

    genome: str
    idea: str
    genome_hash: str
    complexity: int
    knobs: dict[str, Knob]
    thought: Thought
    expected: float | None = None


Answer: TypeAlias = Draft | NoIdea


def draft_of(text: str, idea: str, expected: float | None = None) -> Answer:
    """A genome with what the records keep of it; NoIdea if it is not a program."""
    try:
        tree = parse(text)
        return Draft(
            genome=text,
            idea=idea,
            genome_hash=genome.normal_hash(tree),
            complexity=genome.complexity(text, tree),
            knobs=genome.knobs(text, tree),
            thought=Thought(),
            expected=expected,
        )
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        return NoIdea(f"does not parse ({where}{error.msg}): {idea}")
