"""Policies, proposers and plain optimisers against each other, on worlds whose true scores are known.

    uv run --group bench python benchmarks/arena.py [KIND ...]

See arms.py for who competes on what. Every arm searches the same worlds for the same number of trials (or the
same night), through the population code of a real run. For each kind of world a table is printed and left in
benchmarks/results/, as Markdown, with all plays as parquet, and charts where altair is installed. Ctrl-C
keeps the plays that are done.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import App, CycloptsError, Parameter
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import tables
from benchmarks.arms import Kind, kinds
from benchmarks.result import Result, write
from trainer.errors import BadInput

RESULTS: Final = Path(__file__).resolve().parent / "results"
SIMULATED: Final = ("equal", "unequal", "deceptive", "null", "noisy", "night", "racing")
TRIALS: Final = 100
REAL_TRIALS: Final = 16
INTERRUPTED: Final = 130  # exit code

Name: TypeAlias = Literal[
    "equal", "unequal", "deceptive", "null", "noisy", "night", "racing", "h200", "world", "real"
]

app = App(
    name="arena.py",
    help="Search policies against each other.",
    version_flags=[],
    default_parameter=Parameter(negative=()),
)


class Plan(Struct, frozen=True):
    """All that a process needs to know to play."""

    table: Path | None
    file: Path | None
    hours: float
    budget: float | None

    def kinds(self) -> dict[str, Kind]:
        return kinds(self.table, self.file, self.hours, self.budget)


class Task(Struct, frozen=True):
    """One search to be played."""

    kind: str
    arm: str
    world: int
    trials: int


Players: TypeAlias = Callable[[Sequence[Task]], Iterator[Result]]  # results come in any order


@app.default
def arena(
    *kind: Name,
    worlds: int = 100,
    first: int = 0,
    trials: Annotated[int | None, Parameter(show_default=False)] = None,
    h200: Path | None = None,
    world: Path | None = None,
    jobs: int = 2,
    hours: float = 8.0,
    seeds: int = 3,
    budget: Annotated[float | None, Parameter(show_default=False)] = None,
    out: Path = RESULTS,
) -> int:
    """Play kinds of world; by default all that need no file, and none that trains for real.

    Parameters
    ----------
    kind
        What to play. `night` and `racing` are nights of a GPU, `real` trains on this machine, alone and
        for long.
    worlds
        How many worlds of each kind.
    first
        Number of the first of them. What policies were tuned on is no test of them.
    trials
        How many trials each search has. [default: 100, and 16 of real trainings]
    h200
        A parquet table of trials on an H200, for the kind `h200`.
    world
        A file with a landscape of your own, for the kind `world`; without a KIND only that is played.
    jobs
        How many processes play.
    hours
        How long a night is.
    seeds
        How many searches each arm has of real trainings.
    budget
        Seconds of a real training. [default: the task's own]
    out
        The folder that tables and charts are written to.
    """
    counts = {"worlds": worlds, "trials": trials, "jobs": jobs, "seeds": seeds}
    for option, value in {**counts, "hours": hours, "budget": budget}.items():
        if value is not None and not value > 0:
            raise BadInput(f"--{option} must be more than 0, not {value:g}")
    plan = Plan(h200, world, hours, budget)
    names, there = chosen(kind, plan), plan.kinds()
    if not drawable():
        print("without charts, which take altair and vl-convert-python", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    with players(plan, jobs) as together:
        for name in names:
            if name == "real":
                tasks = agenda(there[name], seeds, trials or REAL_TRIALS, first)
                finished = contest(there[name], tasks, alone(plan), out)
            else:
                tasks = agenda(there[name], worlds, trials or TRIALS, first)
                finished = contest(there[name], tasks, together, out)
            if not finished:
                return INTERRUPTED
    if drawable():
        import_module("benchmarks.charts").draw_all(out)
    return 0


def chosen(names: Sequence[Name], plan: Plan) -> list[str]:
    """Full names of the kinds to play. Raises BadInput for one whose file was not given."""
    for name, file in (("h200", plan.table), ("world", plan.file)):
        if name in names and file is None:
            raise BadInput(f"the kind {name} needs --{name} FILE")
    given = [name for name, file in (("h200", plan.table), ("world", plan.file)) if file is not None]
    wanted = [*names, *given] if names or plan.file else [*SIMULATED, *given]
    several = {"night": ("night-equal", "night-unequal"), "noisy": ("noisy", "null-noisy")}
    return list(dict.fromkeys(full for name in wanted for full in several.get(name, (name,))))


def agenda(kind: Kind, worlds: int, trials: int, first: int = 0) -> list[Task]:
    """World by world, so that what is done when somebody interrupts can be compared."""
    numbers = range(first, first + worlds)
    return [Task(kind.name, arm.name, world, trials) for world in numbers for arm in kind.entrants]


def contest(kind: Kind, tasks: Sequence[Task], play: Players, out: Path) -> bool:
    """Play and publish; false if Ctrl-C came first, and only what was done by then is published."""
    results: list[Result] = []
    began, trials = time.monotonic(), 0
    try:
        with Progress(*_COLUMNS, console=Console(stderr=True)) as bar:
            shown = bar.add_task(kind.name, total=len(tasks), speed=0.0)
            for result in play(tasks):
                results.append(result)
                trials += result.played.trials
                bar.update(shown, advance=1, speed=60 * trials / (time.monotonic() - began))
    except KeyboardInterrupt:
        pass
    finally:  # whatever else went wrong, what is done took its time
        if results:
            publish(kind, results, out, _note(tasks, results, time.monotonic() - began))
    return len(results) == len(tasks)


@contextmanager
def players(plan: Plan, jobs: int) -> Iterator[Players]:
    """Whoever plays tasks: so many processes for the block, or this one."""
    if jobs == 1:
        yield alone(plan)
        return
    os.environ |= _ONE_THREAD
    with multiprocessing.get_context("spawn").Pool(jobs, _enter, (plan,)) as pool:
        yield partial(pool.imap_unordered, _search)


def alone(plan: Plan) -> Players:
    return partial(map, partial(search, plan.kinds()))


def search(there: dict[str, Kind], task: Task) -> Result:
    found = there[task.kind].entrant(task.arm).search(task.world, task.trials)
    return Result(task.kind, task.arm, task.world, found)


def publish(kind: Kind, results: Sequence[Result], folder: Path, note: str) -> None:
    """Print a kind's table, and write it with its plays and charts."""
    table = tables.markdown(kind, tables.rows(kind, results))
    page = f"# {kind.name}\n\n{kind.about}. {note}\n\n{table}\n"
    print(page, flush=True)
    (folder / f"{kind.name}.md").write_text(page, encoding="utf-8")
    write(results, folder / f"{kind.name}.parquet")
    if drawable():
        import_module("benchmarks.charts").draw(kind, results, folder)


def drawable() -> bool:
    """Whether there is what draws charts; it is slow to import, and players need none of it."""
    return find_spec("altair") is not None and find_spec("vl_convert") is not None


def _note(tasks: Sequence[Task], results: Sequence[Result], took_s: float) -> str:
    """How the table came about."""
    command = " ".join(["python benchmarks/arena.py", *sys.argv[1:]])
    trials = sum(result.played.trials for result in results)
    cut = "" if len(results) == len(tasks) else f", cut off after {len(results)} of {len(tasks)} searches"
    return f"Brackets are 95% intervals. `{command}`: {trials:,} trials in {took_s:,.0f} s{cut}."


_COLUMNS: Final = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[speed]:,.0f} trials a minute"),
    TimeRemainingColumn(),
)

# Of a process of several, whose threads would only get in each other's way.
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_there: dict[str, Kind] = {}  # of a process of the pool


def _enter(plan: Plan) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who prints
    _there.update(plan.kinds())


def _search(task: Task) -> Result:
    return search(_there, task)


def main(arguments: Sequence[str]) -> int:
    """Play, and turn what the user got wrong into one line and exit code 2."""
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return int(result or 0)
    except (BadInput, CycloptsError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
