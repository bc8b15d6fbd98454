"""What terminals are drawn with: cells that are cut and never wrap, and the colours of lineages."""

from typing import Final

from rich.text import Text

from population.state import Population

_COLOURS: Final = (
    "cyan",
    "magenta",
    "yellow",
    "blue",
    "bright_green",
    "bright_red",
    "bright_cyan",
    "bright_magenta",
)


def cell(text: str, style: str = "") -> Text:
    """Text that ends in an ellipsis where there is no room for all of it."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def colour(population: Population | None, lineage: str) -> str:
    """A lineage's colour, the same for the whole run."""
    names = list(population.lineages) if population else []
    return _COLOURS[names.index(lineage) % len(_COLOURS)] if lineage in names else ""
