"""Who took part in a run: a row for each lineage, with what its trials came to and how it began and ended.

A lineage is credited with the changes it proposed, wherever they were built on. Bounded in length: of many
lineages those are shown that live, the latest first to go, and then the latest that were pruned.
"""

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from population.state import Lineage, Population, Trial
from results.cells import colour
from results.expected import expected
from results.ideas import tokens
from results.minds import dollars, ending, many
from results.words import advanced
from results.writing import change, clean

_ROWS: Final = 12


def roster(population: Population) -> RenderableType:
    """The lineages as a table, oldest first, and below it what there is to say of some of them."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    costs = _costs(population)
    for name in ("lineage", "brief", "proposer", "tried", "kept", "change", *costs):
        number = name in ("tried", "kept", "change", *costs)
        table.add_column(_cell(name), justify="right" if number else "left", max_width=None if number else 34)
    pruned = [line for line in population.lineages.values() if line.pruned is not None]
    shown = {line.name for line in [*population.living, *reversed(pruned)][:_ROWS]}
    proven = advanced(population)
    for lineage in population.lineages.values():
        if lineage.name in shown:
            paid = [_cell(column[lineage.name]) for column in costs.values()]
            table.add_row(*_cells(population, lineage, proven), *paid)
    if more := len(population.lineages) - len(shown):
        table.add_row(_cell(f"+ {more} more", "dim"))
    lives = ((line, _life(population, line)) for line in population.lineages.values() if line.name in shown)
    return Group(table, *(_cell(f"{clean(line.name, 16)} {life}", "dim") for line, life in lives if life))


def _cells(population: Population, lineage: Lineage, proven: set[int]) -> list[Text]:
    changes = {t.candidate.number: t.candidate for t in _changes(population, lineage)}
    kept = [expected(population, changes[number]) for number in changes.keys() & proven]
    shift = sum(told.change for told in kept if told is not None)
    return [
        _cell(clean(lineage.name, 16), colour(population, lineage.name)),
        _cell(clean(lineage.brief, 20)),
        _cell(ending(lineage.proposer, 18)),
        _cell(str(len(changes))),
        _cell(str(len(kept))),
        _cell(change(shift) if kept else "", "green" if shift < 0 else ""),
    ]


def _costs(population: Population) -> dict[str, dict[str, str]]:
    """Columns of what each lineage's mind took, by name of the lineage: only those with anything in them."""
    thoughts = {name: lineage.spent for name, lineage in population.lineages.items()}
    columns = {}
    if any(tokens(thought) for thought in thoughts.values()):
        columns["tokens"] = {name: many(tokens(one)) if tokens(one) else "" for name, one in thoughts.items()}
    if any(thought.cost_usd for thought in thoughts.values()):
        columns["cost"] = {
            name: dollars(one.cost_usd) if one.cost_usd else "" for name, one in thoughts.items()
        }
    return columns


def _changes(population: Population, lineage: Lineage) -> list[Trial]:
    """First trials of the changes that the lineage tried."""
    trials = (population.trials[number] for number in lineage.trials)
    return [t for t in trials if t.outcome and not t.again and t.candidate.operator != "baseline"]


def _life(population: Population, lineage: Lineage) -> str:
    """How a lineage began, if not with the run, and how it ended, if it did; as the rest of a sentence."""
    parts = []
    if lineage.root != population.baseline and lineage.root in population.bases:
        parts.append(f"was founded on trial {population.tried[population.bases[lineage.root]]}")
    if lineage.pruned is not None:
        last = max((trial.number for trial in _changes(population, lineage)), default=None)
        after = "" if last is None else f" after trial {last}"
        parts.append(f"was pruned{after}: {clean(lineage.pruned, 80)}")
    return ", ".join(parts)


def _cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
