"""What the live view draws below the events: lineages, the trial under way, the budget. Reads, never acts.

Made for 80 columns; a narrower console loses columns, a lower one rows. Lower scores are better: a bar of the
sparkline is as high as its score is bad, and full at the baseline's score and beyond.
"""

from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Group, JustifyMethod, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from population.evidence import best, known
from population.state import Lineage, Population
from results.ideas import spent
from results.words import idea_of
from results.writing import change, clean, duration, figure, printable
from trainer.outcome import Progress

_COLOURS = (
    "cyan",
    "magenta",
    "yellow",
    "blue",
    "bright_green",
    "bright_red",
    "bright_cyan",
    "bright_magenta",
)
_BARS = "▁▂▃▄▅▆▇█"
_RECENT = 10  # scores of a lineage in its sparkline
_FURNITURE = 7  # rows of the panel that are not lineages, and one of air


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
    _Column("tried", 5, 50, numbers=True),
    _Column("kept", 4, 50, numbers=True),
    _Column("tip", 7, 0, numbers=True),
    _Column("change", 8, 30, numbers=True),
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
    if population.lineages:
        parts += [_lineages(population, progress, thinking, width, max(3, height - _FURNITURE)), Text()]
    parts += [_running(population, number, progress.get(number), width) for number in population.running]
    if not population.running:
        parts.append(Group(_line("no trial under way", "dim"), Text()))
    cost = spent(population.lineages.values()).cost_usd
    parts.append(_line(f"{budget} · ${cost:.2f}" if cost else budget, "dim"))
    return Group(*parts)


def colour(population: Population | None, name: str) -> str:
    """A lineage's colour, the same for the whole run."""
    names = list(population.lineages) if population else []
    return _COLOURS[names.index(name) % len(_COLOURS)] if name in names else ""


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
    shown = [index for index, column in enumerate(_COLUMNS) if width >= column.from_width]
    for index in shown:
        column = _COLUMNS[index]
        widest = column.widest + (max(0, width - 80) // 4 if column.grows else 0)
        side: JustifyMethod = "right" if column.numbers else "left"
        table.add_column(_line(column.name), max_width=widest, justify=side)
    chosen = _most_telling(population, rows)
    found = best(population)
    for lineage in chosen:
        style = "bold green" if lineage.tip == found != population.baseline else ""
        cells = _cells(population, lineage, style, _state(population, lineage, progress, thinking))
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


def _cells(population: Population, lineage: Lineage, style: str, state: Text) -> list[Text]:
    """One cell a column; `style` is that of the tip."""
    baseline = known(population, population.baseline) if population.baseline else None
    tip = known(population, lineage.tip)
    trials = [population.trials[number] for number in lineage.trials]
    kept = sum(t.verdict == "advance" and t.candidate.operator != "baseline" for t in trials)
    apart = None if tip is None or baseline is None else tip - baseline
    return [
        _line(lineage.name, colour(population, lineage.name)),
        _line(lineage.brief),
        _line(lineage.proposer),
        _line(str(sum(t.outcome is not None and not t.again for t in trials))),
        _line(str(kept)),
        _line("–" if tip is None else figure(tip), style),
        _line("–" if not apart else f" {change(apart)}", "green" if apart and apart < 0 else "dim"),
        _line(_recent(population, lineage, baseline), colour(population, lineage.name)),
        state,
    ]


def _recent(population: Population, lineage: Lineage, baseline: float | None) -> str:
    tried = [population.trials[n].score for n in lineage.trials if population.trials[n].outcome is not None]
    floor = min((min(scores) for scores in population.scores.values()), default=0.0)
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


def _running(population: Population, number: int, progress: Progress | None, width: int) -> RenderableType:
    trial = population.trials[number]
    title = Text.assemble(
        (f"trial {trial.number}  ", "dim"),
        (clean(trial.candidate.lineage, 16), colour(population, trial.candidate.lineage)),
        f"  {idea_of(trial, 200)}",
        no_wrap=True,
        overflow="ellipsis",
    )
    return Group(title, _progress(progress, population.run.budget_s, width) if progress else Text())


def _progress(progress: Progress, budget_s: float, width: int) -> RenderableType:
    training = progress.phase == "training" and progress.fraction > 0
    share = progress.fraction if training else progress.elapsed_s / max(progress.limit_s, 1e-9)
    share = min(max(share, 0.0), 1.0)
    left_s = budget_s * (1 - share) if training else progress.limit_s - progress.elapsed_s
    facts = f"{share:4.0%}  {duration(left_s)} left" if training else f"at most {duration(left_s)} more"
    if progress.loss is not None:
        facts += f"  loss {progress.loss:.4g}"
    if progress.steps:
        facts += f"  step {progress.steps}"
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column()
    grid.add_row(
        _line(progress.phase), ProgressBar(total=1.0, completed=share, width=max(4, width // 4)), _line(facts)
    )
    return grid


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text[:200]), style=style, no_wrap=True, overflow="ellipsis")
