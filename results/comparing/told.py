"""A comparison in a terminal: for each group of runs what they came to, how fast, and what they found."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from results.comparing.laid import Laid
from results.comparing.phrases import BESIDE, TOGETHER, Chapter, chapters, heading, notes
from results.comparing.tables import Grid, grids
from results.comparing.trees import Trees
from results.minds import ranked

_LEAST: Final = 8  # cells of a name


def told(laid: Sequence[Laid]) -> RenderableType:
    """All groups, one after another."""
    return Group(*(part for each in laid for part in _group(each)))


def _group(laid: Laid) -> list[RenderableType]:
    group = laid.group
    parts: list[RenderableType] = [Text(), Text(heading(laid), "bold", overflow="fold")]
    if group.apart:
        parts += [Text(f"shown apart, {group.apart}", "yellow", overflow="fold")]
    first, *rest = grids(group.sides)
    parts += [Text(), _table(first), *(Text(note, "dim", overflow="fold") for note in notes(laid)), Text()]
    for grid in rest:
        parts += [_table(grid), Text()]
    parts += ranked(laid.rankings, group.metric, BESIDE)
    if found := chapters(laid):
        parts += [*(part for chapter in found for part in (_chapter(chapter), Text()))]
        parts[-1:] = [Text(TOGETHER, "dim", overflow="fold"), Text()]
    return [*parts, Trees(group.sides)]


def _table(grid: Grid) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for place, head in enumerate(grid.heads):
        cells = [line for row in grid.rows for line in row[place].split("\n")]
        widest = max(map(cell_len, [*head.split("\n"), *cells]))
        whole = place >= grid.words  # numbers, which may not be cut, as names may
        table.add_column(
            _cell(head), justify="right" if whole else "left", min_width=widest if whole else _LEAST
        )
    for number, row in enumerate(grid.rows):
        styles = ["bold green" if (number, place) == grid.crowned else "" for place in range(len(row))]
        table.add_row(*map(_cell, row, styles))
    return table


def _chapter(chapter: Chapter) -> Table:
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        title=_cell(chapter.title, "dim"),
        title_justify="left",
        show_header=False,
    )
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for what, whose in chapter.lines:
        table.add_row(_cell(what), Text(whose, overflow="fold"))
    if chapter.more:
        table.add_row(_cell(f"+ {chapter.more} more", "dim"))
    return table


def _cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
