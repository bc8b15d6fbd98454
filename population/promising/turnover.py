"""Which lineages end, and who gets the place: the brief and proposer that promise most, the untried first."""

from typing import Final

from population.names import lineage_name
from population.promising.forecasts import record
from population.promising.sharing import leading, venturer
from population.records import Founded, Pruned
from population.state import Lineage, Population

_FAIR: Final = 8  # trials a lineage has before it can be pruned, or another measured by it
_BEHIND: Final = 0.25  # of the best lineage's gain a trial, below which one is pruned

Pair = tuple[str, str]  # brief and proposer


def turnover(population: Population, slots: int, pairs: tuple[Pair, ...]) -> Pruned | Founded | None:
    """Prune a lineage that fell behind, or found one in a free place; `pairs` are what it may be given."""
    tip = leading(population)
    if not pairs or tip is None:
        return None
    values = {line.name: _value(population, line) for line in population.lineages.values()}
    if len(population.living) < slots:
        pair, why = _next(population, pairs, values)
        return Founded(lineage_name(len(population.lineages)), *pair, tip, why)
    known = [line for line in population.living if len(line.trials) >= _FAIR]
    best = max(known, key=lambda line: values[line.name], default=None)
    away = venturer(population, tip)
    for line in known:
        if (
            best is not None
            and line is not away
            and not any(population.trials[n].candidate.lineage == line.name for n in population.running)
            and values[line.name] < _BEHIND * values[best.name]
            and _next(population, pairs, values)[0] != (line.brief, line.proposer)
        ):
            return Pruned(line.name, f"gains less than a quarter of what {best.name} does")
    return None


def _value(population: Population, lineage: Lineage) -> float:
    """Expected gain of the lineage's next trial, in sigmas."""
    found = record(population, lineage)
    return (found.gained + 0.3) / (found.wins + found.failures + 1.0)


def _next(population: Population, pairs: tuple[Pair, ...], values: dict[str, float]) -> tuple[Pair, str]:
    """The pair that no lineage has had; else the one with the best record."""
    tried = {(line.brief, line.proposer) for line in population.lineages.values()}
    for pair in pairs:
        if pair not in tried:
            return pair, "nobody has tried this brief with this proposer"
    best = max(population.lineages.values(), key=lambda line: values[line.name])
    return (best.brief, best.proposer), f"{best.name}'s brief and proposer gain most"
