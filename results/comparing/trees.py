"""Lineage trees in a terminal, side by side where there is room, else one below another."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from results.comparing.rows import Row
from results.comparing.sides import Side
from results.tree_text import commit_tree, fitting
from results.writing import change, clean, count, figure

_NARROW: Final = 44  # cells, in which a tree can still be read
_HEAD, _TAIL = 3, 12  # kept trials of a results.tsv that are shown from either end


class Trees:
    """The trees of some runs, to be printed."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self._trees: list[RenderableType] = [_tree(side) for side in sides]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        abreast = max(1, min(len(self._trees), options.max_width // _NARROW))
        for start in range(0, len(self._trees), abreast):
            grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
            for _ in range(abreast):
                grid.add_column(ratio=1)
            grid.add_row(*self._trees[start : start + abreast])
            yield grid
            yield Text()


def _tree(side: Side) -> RenderableType:
    return commit_tree(side.population) if side.population is not None else _line(side)


def _line(side: Side) -> Tree:
    """A results.tsv: one line of kept trials, each with what was tried after it and dropped."""
    tree = Tree(_cut(Text.assemble((side.name, "bold"), ("  results.tsv", "dim"))), guide_style="dim")
    kept = [place for place, row in enumerate(side.rows) if row.score is not None and row.status == "keep"]
    lowest = min((row.score for row in side.rows if row.status == "keep" and row.score), default=None)
    skipped = range(_HEAD, len(kept) - _TAIL) if len(kept) > _HEAD + _TAIL + 1 else range(0)
    before: float | None = None
    for index, place in enumerate(kept):
        row, end = side.rows[place], kept[index + 1] if index + 1 < len(kept) else len(side.rows)
        if index not in skipped:
            tree.add(_label(place + 1, row, before, row.score == lowest, side.rows[place + 1 : end]))
        elif index == skipped.start:
            tree.add(_cut(Text(f"… {count(len(skipped), 'more step')}", "dim")))
        before = row.score
    return tree


def _label(number: int, row: Row, before: float | None, crown: bool, after: Sequence[Row]) -> RenderableType:
    assert row.score is not None
    failed = sum(each.score is None for each in after)
    tried = [f"{len(after) - failed} dropped"] * (len(after) > failed) + [f"{failed} failed"] * bool(failed)
    told = "" if before is None else f" {change(row.score - before)}"
    label = Text.assemble(
        (f"{number:4d}  ", "dim"),
        (figure(row.score), "bold green" if crown else ""),
        (told, "green"),
        ("  best" if crown else "", "bold green"),
        f"  {clean(row.description, 120)}" if row.description else "",
    )
    return fitting(label, Text(", ".join(tried), "dim"))


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
