"""What a run says of its minds, for a terminal: what they cost, whose ideas gain most, what they foresaw.

Bounded in length: of each ranking the first few are shown. Gains are positive when the score went down.
"""

from collections.abc import Sequence
from statistics import median
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from population.state import Population
from results.expected import expected
from results.ideas import attempts, source, spent, tokens
from results.ranking import Ranking, Standing, rankings
from results.writing import change, clean, count

_ROWS: Final = 6  # of a ranking
_NAME: Final = 22  # characters of a brief or a proposer
_ENOUGH: Final = 8  # ideas whose effect was foreseen, from which that is told
_SMALL: Final = 1e-3  # the unit of gains, unless they are larger than 1


def cost(population: Population) -> str:
    """`12 requests, 1.2M tokens, $3.40`; nothing where no mind was paid in either."""
    asked = [line for line in population.lineages.values() if tokens(line.spent) or line.spent.cost_usd]
    if not asked:
        return ""
    used, paid = tokens(spent(asked)), spent(asked).cost_usd
    parts = [many(used) + " tokens"] * bool(used) + [dollars(paid)] * bool(paid)
    return ", ".join([count(sum(line.requests for line in asked), "request"), *parts])


def foresight(population: Population) -> str:
    """What authors expected of their changes, beside what came of them; nothing where too few said."""
    pairs = []
    for trial in attempts(population):
        foreseen, told = source(population, trial.candidate).expected, expected(population, trial.candidate)
        if foreseen is not None and told is not None and trial.score is not None:
            pairs.append((foreseen, told.change))
    if len(pairs) < _ENOUGH:
        return ""
    before, after = (change(median(side)) for side in zip(*pairs, strict=True))
    return f"minds foresaw a median of {before} and got {after} ({count(len(pairs), 'candidate')})"


def standings(population: Population) -> list[RenderableType]:
    """Tables of what can be ranked, each with what it comes to in words; nothing where nothing can be."""
    found = rankings(population)
    parts = ranked(found, population.run.metric, "beside what others gained at that time")
    if {"brief", "proposer"} <= {ranking.of for ranking in found} and _paired(population):
        note = "each brief had one proposer: which of the two it is that gains cannot be told"
        parts[-1:-1] = [Text(note, "dim", overflow="fold")]
    return parts


def ranked(found: Sequence[Ranking], metric: str, beside: str) -> list[RenderableType]:
    """Such tables, with a note on what gains are compared with; an empty line at the end."""
    if not found:
        return []
    unit = 1.0 if max(one.high for ranking in found for one in ranking.standings) > 1 else _SMALL
    parts: list[RenderableType] = []
    for ranking in found:
        parts += [_table(ranking, unit), Text(verdict(ranking), overflow="fold"), Text()]
    where = f"{'' if unit == 1 else f'{unit:g} '}{clean(metric, 30)}"
    notes = [f"all a trial; gains in {where}, {beside}"]
    operators = (one.name for ranking in found if ranking.of == "operator" for one in ranking.standings)
    if "revisit" in operators:
        notes.append("a revisit happens only after a drought, so operators had unequal chances")
    return [*parts[:-1], *(Text(note, "dim", overflow="fold") for note in notes), Text()]


def verdict(ranking: Ranking) -> str:
    """What a ranking says, or that it says nothing."""
    first, rival = ending(ranking.standings[0].name, _NAME), ending(ranking.rival, _NAME)
    if ranking.told_apart:
        return f"{first} gains more than {rival}: {_odds(ranking)} likely"
    return f"the data cannot tell them apart: {likelier(ranking)}"


def likelier(ranking: Ranking) -> str:
    """How likely it is that the first of a ranking is the best: `83% that cma beats tpe`."""
    first, rival = ending(ranking.standings[0].name, _NAME), ending(ranking.rival, _NAME)
    return f"{_odds(ranking)} that {first} beats {rival}"


def _odds(ranking: Ranking) -> str:
    return "over 99%" if ranking.odds > 0.99 else f"{ranking.odds:.0%}"


def ending(name: str, limit: int) -> str:
    """A full name in so many characters: its end, where models differ."""
    name = clean(name, 200)
    return name if len(name) <= limit else f"…{name[1 - limit :]}"


def many(number: float) -> str:
    """A number of tokens: `870`, `12.3k`, `1.2M`."""
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1000:.1f}k" if number < 999_950 else f"{number / 1e6:.1f}M"


def dollars(paid: float) -> str:
    """`$3.40`; of less than a dollar two digits that mean something."""
    return f"${paid:.2f}" if paid >= 0.1 or not paid else f"${paid:.2g}"


def _paired(population: Population) -> bool:
    """Whether no brief was given to lineages of different proposers."""
    pairs = {(line.brief, line.proposer) for line in population.lineages.values()}
    return len(pairs) == len({brief for brief, _ in pairs})


def _table(ranking: Ranking, unit: float) -> Table:
    shown, more = ranking.standings[:_ROWS], len(ranking.standings) - _ROWS
    columns = _columns(shown, unit)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(_cell(ranking.of), max_width=_NAME)
    for name in columns:
        table.add_column(_cell(name), justify="right")
    for index, standing in enumerate(shown):
        table.add_row(
            _cell(ending(standing.name, _NAME)), *(_cell(column[index]) for column in columns.values())
        )
    if more > 0:
        table.add_row(_cell(f"+ {more} more", "dim"))
    return table


def _columns(shown: tuple[Standing, ...], unit: float) -> dict[str, list[str]]:
    """The figures of some standings by the heads of their columns; costs only where there are any."""
    places = 1 if max(one.high for one in shown) > 10 * unit else 2
    columns = {"runs": [str(one.runs) for one in shown]} if any(one.runs > 1 for one in shown) else {}
    columns |= {
        "trials": [str(one.trials) for one in shown],
        "kept": [str(one.kept) for one in shown],
        "gain": [f"{one.gain / unit:.{places}f}" for one in shown],
        "95%": [f"{one.low / unit:.{places}f} to {one.high / unit:.{places}f}" for one in shown],
    }
    if any(one.tokens for one in shown):
        columns["tokens"] = [many(one.tokens) for one in shown]
    if any(one.cost_usd for one in shown):
        columns["cost"] = [dollars(one.cost_usd) for one in shown]
        paid = [one.usd_per_gain for one in shown]
        columns["per gain"] = ["" if each is None else dollars(each * unit) for each in paid]
    return columns


def _cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
