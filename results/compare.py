"""Runs side by side: which gained more, how fast, by whose ideas, what they found alike, what only one did.

A run is a folder of ours with its journal, or a results.tsv as autoresearch writes it, so that a plain
autoresearch run can be laid beside ours. What cannot be compared is shown apart, with the reason. It is
printed, and written as `compare.html`, one file that needs no network.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import structs
from rich.console import Console

from population.journal import JournalDamaged, folded, read
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
    found, damaged = _gathered(sources)
    laid = _laid(found, genome_of)
    if damaged:
        screen.print(f"left out, since their journals are damaged: {', '.join(damaged)}")
    screen.print(told(laid))
    written = folder / PAGE
    aside = written.with_name(f".{PAGE}.new")
    aside.write_text(page(laid), encoding="utf-8")
    aside.replace(written)
    return written


def comparison(sources: Sequence[Path], genome_of: GenomeOf) -> tuple[Laid, ...]:
    """The groups of runs that can be compared, the largest first; sources and errors as in `compare`."""
    found, _ = _gathered(sources)
    return _laid(found, genome_of)


def _laid(found: Mapping[Path, Side], genome_of: GenomeOf) -> tuple[Laid, ...]:
    if not found:
        raise BadInput("none of these runs has begun: there is nothing to compare")
    names = _distinct([side.name for side in found.values()])
    named = dict(zip(names, found.items(), strict=True))
    sides = [structs.replace(side, name=name) for name, (_, side) in named.items()]
    ours = {name: path for name, (path, side) in named.items() if side.population is not None}
    return lay(sides, {name: partial(genome_of, path) for name, path in ours.items()})


def _gathered(sources: Sequence[Path]) -> tuple[dict[Path, Side], list[str]]:
    """All runs that have begun, by their paths, and the names of damaged ones that nobody named."""
    found: dict[Path, Side] = {}
    damaged: list[str] = []
    for source in sources:
        for path in _stands_for(source):
            try:
                side = _side(path)
            except JournalDamaged:  # which says what to do when that run is named
                if path.parent != source:
                    raise
                damaged.append(clean(path.name, 40))
            else:
                found |= {} if side is None else {path: side}
    return found, damaged


def _stands_for(source: Path) -> list[Path]:
    """A run's folder, a results.tsv, or all runs in a folder, the oldest first."""
    if source.is_file():
        ours = source.name == "results.tsv" and (source.parent / _JOURNAL).exists()
        return [source.parent if ours else source]  # what we exported is known better from its journal
    if (source / _JOURNAL).exists():
        return [source]
    journals = sorted(source.glob(f"*/{_JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not journals:
        raise BadInput(f"{source} is neither a run nor a results.tsv, and holds no runs")
    return [path.parent for path in journals]


def _side(path: Path) -> Side | None:
    """None for a run that has not begun."""
    if path.is_file():
        name = path.parent.resolve().name if path.stem == "results" else path.stem
        return side_of_rows(clean(name, 64) or "results", read_rows(path))
    entries = read(path / _JOURNAL)
    population = folded(path / _JOURNAL, entries)
    return None if population.started is None else side_of(population, entries)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that came before with a number behind them."""
    seen: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
