"""What the live view draws below the events: lineages, the trials under way, the budget. Reads, never acts.

Made for 80 columns; a narrower console loses columns, a lower one rows. Lower scores are better: a bar of the
sparkline is as high as its score is bad, lowest at the best's and full at the baseline's and beyond. A tip is
shown as all evidence knows it, with its 95% interval; what a lineage promises is the gain expected of its
next idea.
"""

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from population.evidence import best, known, weigh
from population.promising.forecasts import forecasts
from population.state import Lineage, Population
from results.cells import cell, colour
from results.ideas import spent
from results.underway import lines, underway
from results.writing import change, duration, figure, interval, printable
from trainer.outcome import Progress

_BARS = "▁▂▃▄▅▆▇█"
_RECENT = 10  # scores of a lineage in its sparkline
_FURNITURE = 5  # rows of the panel that are neither lineages nor trials, and one of air
_WIDTH = 1.96  # standard deviations to either side, that 95% of a normal distribution lie within


class _Column(NamedTuple):
    name: str
    widest: int
    from_width: int  # of the console; narrower ones go without this column
    numbers: bool = False
    grows: bool = False  # with the console


_COLUMNS = (
    _Column("lineage", 10, 0),
    _Column("brief", 10, 60, grows=True),
    _Column("proposer", 10, 70, grows=True),
    _Column("kept", 7, 50, numbers=True),
    _Column("tip", 13, 0, numbers=True),
    _Column("change", 8, 96, numbers=True),
    _Column("promise", 7, 64, numbers=True),
    _Column("recent", _RECENT, 78),
    _Column("state", 12, 24),
)


def panel(
    population: Population,
    progress: Mapping[int, Progress],
    thinking: Mapping[str, float],
    budget: str,
    width: int,
    height: int,
) -> RenderableType:
    """The whole panel for a console of `width` x `height`; `thinking`: for how many seconds a lineage has."""
    parts: list[RenderableType] = [Text()]
    trials = lines(population, (height - _FURNITURE) // 2)
    if population.lineages:
        room = max(3, height - _FURNITURE - trials)
        parts += [_lineages(population, progress, thinking, width, room), Text()]
    parts.append(underway(population, progress, width, trials))
    cost = spent(population.lineages.values()).cost_usd
    parts.append(_line(f"{budget} · ${cost:.2f}" if cost else budget, "dim"))
    return Group(*parts)


def sparkline(scores: list[float | None], floor: float, ceiling: float) -> str:
    """One bar a score: lowest at `floor` and below, full from `ceiling` on; a dot where there is none."""
    span = ceiling - floor
    bars = []
    for score in scores:
        share = 1.0 if score is None or span <= 0 else min(max((score - floor) / span, 0.0), 1.0)
        bars.append("·" if score is None else _BARS[round(share * (len(_BARS) - 1))])
    return "".join(bars)


def _lineages(
    population: Population,
    progress: Mapping[int, Progress],
    thinking: Mapping[str, float],
    width: int,
    rows: int,
) -> Table:
    table = Table(box=None, padding=(0, 2 if width >= 96 else 1, 0, 0), pad_edge=False, header_style="dim")
    promising = population.started is not None and population.run.policy == "promise"
    shown = [
        index
        for index, column in enumerate(_COLUMNS)
        if width >= column.from_width and (promising or column.name != "promise")
    ]
    for index in shown:
        column = _COLUMNS[index]
        widest = column.widest + (max(0, width - 80) // 4 if column.grows else 0)
        side: JustifyMethod = "right" if column.numbers else "left"
        table.add_column(_line(column.name), max_width=widest, justify=side)
    chosen = _most_telling(population, rows)
    found, promises = best(population), _promises(population)
    for lineage in chosen:
        style = "bold green" if lineage.tip == found != population.baseline else ""
        state = _state(population, lineage, progress, thinking)
        cells = _cells(population, lineage, promises.get(lineage.name, ""), style, state)
        table.add_row(*(cells[index] for index in shown))
    hidden, pruned = len(population.living) - len(chosen), len(population.lineages) - len(population.living)
    if hidden or pruned:
        more = [f"+ {hidden} more"] * bool(hidden) + [f"{pruned} pruned"] * bool(pruned)
        table.add_row(_line(", ".join(more), "dim"))
    return table


def _most_telling(population: Population, rows: int) -> list[Lineage]:
    """Living lineages, or as many as fit: the one that trains and those with the best tips, oldest first."""
    running = {population.trials[number].candidate.lineage for number in population.running}

    def rank(lineage: Lineage) -> tuple[bool, float]:
        score = known(population, lineage.tip)
        return lineage.name not in running, float("inf") if score is None else score

    everyone = population.living
    if len(everyone) < len(population.lineages):
        rows -= 1  # that some were pruned takes a row
    if len(everyone) <= rows:
        return everyone
    names = {lineage.name for lineage in sorted(everyone, key=rank)[: rows - 1]}
    return [lineage for lineage in everyone if lineage.name in names]


def _cells(population: Population, lineage: Lineage, promise: str, style: str, state: Text) -> list[Text]:
    """One cell a column; `style` is that of the tip."""
    baseline = known(population, population.baseline) if population.baseline else None
    tip = known(population, lineage.tip)
    trials = [population.trials[number] for number in lineage.trials]
    kept = sum(t.verdict == "advance" and t.candidate.operator != "baseline" for t in trials)
    tried = sum(t.outcome is not None and not t.again for t in trials)
    apart = None if tip is None or baseline is None else tip - baseline
    return [
        _line(lineage.name, colour(population, lineage.name)),
        _line(lineage.brief),
        _line(lineage.proposer),
        _line(f"{kept}/{tried}"),
        _line(_tip(population, lineage.tip), style),
        _line("–" if not apart else f" {change(apart)}", "green" if apart and apart < 0 else "dim"),
        _line(promise, "" if promise else "dim"),
        _line(_recent(population, lineage, baseline), colour(population, lineage.name)),
        state,
    ]


def _tip(population: Population, commit: str) -> str:
    """What is known of a commit: `1.874±0.054`, or its mean score alone."""
    if (estimate := weigh(population).estimates.get(commit)) is not None:
        return interval(estimate.mean, _WIDTH * estimate.sd).replace(" ", "")
    score = known(population, commit)
    return "–" if score is None else figure(score)


def _promises(population: Population) -> dict[str, str]:
    """What the next idea of each living lineage is expected to gain; nothing where nobody goes by that."""
    if population.baseline_score is None or population.run.policy != "promise":
        return {}
    sigma = weigh(population).sigma
    believed = forecasts(population, Random(0))  # a sample of it is drawn too, and not looked at
    return {name: f"{forecast.expected * sigma:#.2g}" for name, forecast in believed.items()}


def _recent(population: Population, lineage: Lineage, baseline: float | None) -> str:
    tried = [population.trials[n].score for n in lineage.trials if population.trials[n].outcome is not None]
    found = best(population)
    floor = (known(population, found) if found else None) or 0.0
    ceiling = (
        max((score for score in tried if score is not None), default=0.0) if baseline is None else baseline
    )
    return sparkline(tried[-_RECENT:], floor, ceiling)


def _state(
    population: Population, lineage: Lineage, progress: Mapping[int, Progress], thinking: Mapping[str, float]
) -> Text:
    for number in population.running:
        if population.trials[number].candidate.lineage == lineage.name:
            return _line(progress[number].phase if number in progress else "training", "bold")
    if lineage.ready:
        return _line("ready" if len(lineage.ready) == 1 else f"{len(lineage.ready)} ready", "green")
    if lineage.name in thinking:
        seconds = thinking[lineage.name]
        return _line(f"thinks {duration(seconds) if seconds < 59.5 else f'{seconds / 60:.0f} m'}", "dim")
    return _line("waiting", "dim")


def _line(text: str, style: str = "") -> Text:
    return cell(printable(text[:200]), style)
