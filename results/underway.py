"""The trials under way, as the live view draws them: what each is about, how far it is, what is left of it.

One is told in two lines, several in a line each, and of many as many as fit.
"""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from population.state import Population, Trial
from results.cells import cell, colour
from results.words import idea_of
from results.writing import clean, duration
from trainer.outcome import Progress

_IDEA = 200  # characters
_FROM_WIDTH = (0, 0, 0, 50, 0, 64)  # of the console; on narrower ones, of several, this is not shown


def underway(
    population: Population, progress: Mapping[int, Progress], width: int, rows: int
) -> RenderableType:
    """All of it for a console of `width`, in `rows` lines (see `lines`)."""
    trials = [population.trials[number] for number in population.running]
    match trials:
        case []:
            return Group(cell("no trial under way", "dim"), Text())
        case [trial]:
            return _one(population, trial, progress.get(trial.number), width)
        case _:
            return _several(population, trials, progress, width, rows)


def lines(population: Population, most: int) -> int:
    """How many lines that takes, where it may take `most`, which are two at least."""
    return min(max(2, len(population.running)), max(2, most))


def _one(population: Population, trial: Trial, progress: Progress | None, width: int) -> RenderableType:
    name = clean(trial.candidate.lineage, 16), colour(population, trial.candidate.lineage)
    title = Text.assemble((f"trial {trial.number}  ", "dim"), name, f"  {idea_of(trial, _IDEA)}")
    title.no_wrap, title.overflow = True, "ellipsis"
    if progress is None:
        return Group(title, Text())
    budget_s = population.run.budget_s
    facts = [f"{_share(progress):4.0%}"] if _trains(progress) else []
    facts += [_left(progress, budget_s)]
    facts += [f"loss {progress.loss:.4g}"] if progress.loss is not None else []
    facts += [f"step {progress.steps}"] if progress.steps else []
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column()
    bar = _bar(progress, max(4, width // 4), name[1])
    grid.add_row(cell(progress.phase), bar, cell("  ".join(facts)))
    return Group(title, grid)


def _several(
    population: Population, trials: Sequence[Trial], progress: Mapping[int, Progress], width: int, rows: int
) -> RenderableType:
    """A line each; only what a trial is about is cut."""
    shown = trials if len(trials) <= rows else trials[: rows - 1]
    bar = max(4, width // 10)
    drawn = [_row(population, trial, progress.get(trial.number), bar) for trial in shown]
    *columns, about = (place for place, least in enumerate(_FROM_WIDTH) if width >= least)
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    for place in columns:
        words = (row[place] for row in drawn)
        grid.add_column(min_width=max(bar if isinstance(one, ProgressBar) else one.cell_len for one in words))
    grid.add_column(ratio=1)
    for row in drawn:
        grid.add_row(*(row[place] for place in (*columns, about)))
    more = len(trials) - len(shown)
    return Group(grid, cell(f"+ {more} more", "dim")) if more else grid


def _row(
    population: Population, trial: Trial, progress: Progress | None, bar: int
) -> tuple[Text | ProgressBar, ...]:
    number, lineage = cell(str(trial.number), "dim"), trial.candidate.lineage
    ink = colour(population, lineage)
    name, about = cell(clean(lineage, 10), ink), cell(idea_of(trial, _IDEA))
    if progress is None:
        return number, name, cell(""), cell(""), cell(""), about
    left = cell(_left(progress, population.run.budget_s))
    where = cell(f"GPU {progress.gpu} {progress.phase}")
    return number, name, where, _bar(progress, bar, ink), left, about


def _trains(progress: Progress) -> bool:
    """Whether it is known how much of the budget is spent."""
    return progress.phase == "training" and progress.fraction > 0


def _share(progress: Progress) -> float:
    """How much of its budget is spent, or else of the limit of its phase."""
    spent = progress.fraction if _trains(progress) else progress.elapsed_s / max(progress.limit_s, 1e-9)
    return min(max(spent, 0.0), 1.0)


def _bar(progress: Progress, width: int, ink: str) -> ProgressBar:
    return ProgressBar(
        total=1.0, completed=_share(progress), width=width, complete_style=ink, finished_style=ink
    )


def _left(progress: Progress, budget_s: float) -> str:
    if _trains(progress):
        return f"{duration(budget_s * (1 - _share(progress)))} left"
    return f"{duration(progress.limit_s - progress.elapsed_s)} at most"
