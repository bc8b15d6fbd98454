"""The runs there are, one row each: what a person picks one of."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from rich.table import Table
from rich.text import Text

from population.evidence import best, known
from population.journal import JournalDamaged, folded, is_held, read
from results.writing import clean, duration, figure

HEADS = ("run", "", "trials", "lineages", "took", "baseline", "best")


class Listed(Struct, frozen=True):
    """A run in the list: its name as it is, and cells that are safe to print, one for each of HEADS."""

    name: str
    cells: tuple[str, ...]


def listed(runs: Path) -> list[Listed]:
    """All runs in a folder, the latest last."""
    return [Listed(path.parent.name, tuple(_cells(path))) for path in journals(runs)]


def journals(runs: Path) -> list[Path]:
    """The journals of all runs in a folder, that written last the last."""
    return sorted(runs.glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime)


def listing(runs: Path) -> Table | str:
    """The list as a table; a line of words if there are no runs."""
    found: Sequence[Listed] = listed(runs)
    if not found:
        return f"no runs yet in {runs}"
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for head in HEADS:
        table.add_column(head, no_wrap=True)
    for run in found:
        table.add_row(*map(Text, run.cells))
    return table


def _cells(path: Path) -> list[str]:
    name = clean(path.parent.name, 40)
    try:
        population = folded(path, read(path))
    except JournalDamaged:  # which says what to do when that run is shown
        return [name, "damaged", *("" for _ in HEADS[2:])]
    state = "running" if is_held(path) else "ended" if population.ended is not None else "stopped"
    found, baseline = best(population), population.baseline
    first = None if baseline is None else known(population, baseline)
    last = None if found is None else known(population, found)
    cells = [name, state, str(population.finished), str(len(population.living))]
    cells += [duration(population.elapsed_s) if population.entries else ""]
    return [*cells, *("–" if x is None else figure(x) for x in (first, last))]
