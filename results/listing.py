"""The runs there are, one row each: what a person picks one of."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from population.evidence import best, known
from population.journal import JournalDamaged, folded, is_held, read
from results.writing import clean, duration, figure


def listing(runs: Path) -> Table | str:
    """Runs by name, the latest last; a line of words if there are none."""
    journals = sorted(runs.glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    if not journals:
        return f"no runs yet in {runs}"
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("run", "", "trials", "lineages", "took", "baseline", "best"):
        table.add_column(name, no_wrap=True)
    for path in journals:
        table.add_row(*_cells(path))
    return table


def _cells(path: Path) -> list[Text]:
    name = Text(clean(path.parent.name, 40))
    try:
        population = folded(path, read(path))
    except JournalDamaged:  # which says what to do when that run is shown
        return [name, Text("damaged")]
    state = "running" if is_held(path) else "ended" if population.ended is not None else "stopped"
    found, baseline = best(population), population.baseline
    first = None if baseline is None else known(population, baseline)
    last = None if found is None else known(population, found)
    cells = [state, str(population.finished), str(len(population.living))]
    cells += [duration(population.elapsed_s) if population.entries else ""]
    return [name, *map(Text, (*cells, *("–" if x is None else figure(x) for x in (first, last))))]
