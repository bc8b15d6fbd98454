"""How a lineage is named on the page: in its colour, the same as in the chart and on a terminal."""

from population.state import Population
from results.cells import colour
from results.look import INKS
from results.page.markup import Safe, element
from results.writing import clean


def name(population: Population, lineage: str) -> Safe:
    return element("span", clean(lineage, 24), class_=f"name {ink(population, lineage)}")


def ink(population: Population, lineage: str) -> str:
    """The class that gives a lineage its colour."""
    return f"ink-{colour(population, lineage)}"


def inks(population: Population) -> dict[str, str]:
    """The colours of all lineages."""
    return {lineage: INKS[colour(population, lineage)] for lineage in population.lineages}


def ink_rules() -> str:
    """The classes, as rules of a style sheet."""
    return "\n".join(f".ink-{name} {{ --ink: {value} }}" for name, value in INKS.items())
