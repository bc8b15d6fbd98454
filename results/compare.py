"""Runs side by side: which gained more, how fast, by whose ideas, what they found alike, what only one did.

A run is a folder of ours with its journal, or a results.tsv as autoresearch writes it, so that a plain
autoresearch run can be laid beside ours. What cannot be compared is shown apart, with the reason. It is
printed, and written as `compare.html`, one file that needs no network.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import structs
from rich.console import Console

from population.journal import JournalDamaged, read
from population.state import replay
from results.comparing.laid import Laid, lay
from results.comparing.page import page
from results.comparing.rows import read_rows
from results.comparing.sides import Side, side_of, side_of_rows
from results.comparing.told import told
from results.writing import clean
from trainer.errors import BadInput

GenomeOf: TypeAlias = Callable[[Path, str], str | None]  # of a run's folder and a commit; None: not there

PAGE: Final = "compare.html"
_JOURNAL: Final = "journal.jsonl"


def compare(sources: Sequence[Path], screen: Console, folder: Path, genome_of: GenomeOf) -> Path:
    """Print the comparison of some runs on `screen` and write `compare.html` in `folder`. Returns its path.

    `sources` are folders of runs, paths of results.tsv files, or a folder that holds runs: all of these but
    for damaged ones, which are named. Raises BadInput where there is nothing to read, or where what was named
    itself is damaged or has a broken line.
    """
    paths, damaged = _found(sources)
    laid = comparison(paths, genome_of)
    if damaged:
        screen.print(f"left out, since their journals are damaged: {', '.join(damaged)}")
    screen.print(told(laid))
    written = folder / PAGE
    aside = written.with_name(f".{PAGE}.new")
    aside.write_text(page(laid), encoding="utf-8")
    aside.replace(written)
    return written


def comparison(paths: Sequence[Path], genome_of: GenomeOf) -> tuple[Laid, ...]:
    """The groups of runs that can be compared, the largest first; `paths` are of runs and of results.tsv."""
    found = [(path, side) for path in dict.fromkeys(paths) if (side := _side(path)) is not None]
    if not found:
        raise BadInput("none of these runs has begun: there is nothing to compare")
    names = _distinct([side.name for _, side in found])
    sides = [structs.replace(side, name=name) for (_, side), name in zip(found, names, strict=True)]
    folders = {name: path for (path, side), name in zip(found, names, strict=True) if side.population}
    return lay(sides, {name: partial(genome_of, folder) for name, folder in folders.items()})


def _found(sources: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """What sources stand for, and the names of damaged runs among those that nobody named."""
    paths: list[Path] = []
    damaged: list[str] = []
    for source in sources:
        if source.is_file():
            ours = source.name == "results.tsv" and (source.parent / _JOURNAL).exists()
            paths.append(
                source.parent if ours else source
            )  # what we exported is known better from its journal
        elif (source / _JOURNAL).exists():
            paths.append(source)
        else:
            whole, broken = _runs(source)
            paths += whole
            damaged += broken
    return paths, damaged


def _runs(folder: Path) -> tuple[list[Path], list[str]]:
    """All runs in a folder, the oldest first, and the names of damaged ones."""
    journals = sorted(folder.glob(f"*/{_JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not journals:
        raise BadInput(f"{folder} is neither a run nor a results.tsv, and holds no runs")
    whole: list[Path] = []
    damaged: list[str] = []
    for journal in journals:
        try:
            read(journal)
        except JournalDamaged:  # which says what to do when that run is named
            damaged.append(clean(journal.parent.name, 40))
        else:
            whole.append(journal.parent)
    return whole, damaged


def _side(path: Path) -> Side | None:
    """None for a run that has not begun."""
    if path.is_file():
        name = path.parent.resolve().name if path.stem == "results" else path.stem
        return side_of_rows(clean(name, 64) or "results", read_rows(path))
    entries = read(path / _JOURNAL)
    population = replay(entries)
    return None if population.started is None else side_of(population, entries)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that came before with a number behind them."""
    seen: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
