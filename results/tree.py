"""The lineage tree in a run's folder: tree.html, a page that needs nothing beside itself, and tree.svg.

Both are drawn from one specification and derived from the journal alone; they can be written again at any
time, and are written aside and renamed.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import vl_convert

from population.journal import read
from population.records import Entry
from population.state import Population
from results.chart import bare, datasets, spec
from results.look import theme
from results.marks import drawing
from results.page.document import document
from results.page.names import inks
from results.page.reproduce import USUAL, Typed, typed
from results.page.steps import GenomeOf

_PAGE: Final = "tree.html"
_EVERY_S: Final = 20.0
_WIDTH: Final = 920  # pixels of the picture
_DRAWN: Final = ("trial", "y", "lineage", "look")  # of a trial, to draw it


def write_tree(folder: Path, population: Population, genome_of: GenomeOf) -> None:
    """Bring tree.html and tree.svg in the run's `folder` up to date; nothing before the first trial.

    While a run goes on, what is a few seconds old is left as it is: drawing takes half a second, and the
    device may be waiting.

    The lines of lineages come from the journal in the folder; without one only trials are drawn.
    `genome_of` gives the text of a commit's genome; what it said is remembered for the same function.
    """
    if not population.trials or (population.ended is None and _fresh(folder / _PAGE)):
        return
    journal = folder / "journal.jsonl"
    entries = read(journal)[: population.entries] if journal.exists() else []
    page, picture = tree(population, entries, genome_of, typed(folder))
    for name, content in ((_PAGE, page), ("tree.svg", picture)):
        aside = folder / f".{name}.new"
        aside.write_text(content, encoding="utf-8")
        aside.replace(folder / name)


def tree(
    population: Population, entries: Sequence[Entry], genome_of: GenomeOf, commands: Typed = USUAL
) -> tuple[str, str]:
    """The page and the picture, as text. `entries` are what `population` is the fold of."""
    drawn = drawing(population, entries)
    rows = datasets(drawn)
    chart = spec(drawn, inks(population))
    page = document(population, drawn, bare(chart), rows, genome_of, commands)
    marks = [{field: mark[field] for field in _DRAWN} for mark in rows["marks"]]  # a picture tells nothing
    picture = chart | {"width": _WIDTH, "datasets": rows | {"marks": marks}, "config": theme(dark=False)}
    return page, vl_convert.vegalite_to_svg(picture)


def _fresh(path: Path) -> bool:
    return path.exists() and 0 <= time.time() - path.stat().st_mtime < _EVERY_S
