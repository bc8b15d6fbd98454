"""What the scheduler itself takes of a trial, and whether its memory stays where it is, over a long run.

    uv run python benchmarks/overhead.py [--trials 2000]

A run in this process with real git, an fsynced journal, the live view and the exports, whose minds and trials
take no time. Told for each quarter of the run: milliseconds of a trial, those in which it was decided, and
the memory of the process at the end.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import cyclopts
import psutil
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.pondering import Pondering
from benchmarks.throughput import settings_of
from population import search
from population.backend import Inline
from population.beginning.opening import opened
from population.keeping import runs
from population.lineage import Mind
from population.policy import decide
from population.records import Event, Finished
from population.state import Population
from results.terminal import View, console
from scheduler import exporter
from trainer.outcome import Completed, Progress, Report, Usage
from trainer.trial import Order

PARTS: Final = 4


class Mark(Struct, frozen=True):
    """How things stood after so many trials."""

    trials: int
    at: float
    decided_s: float
    memory_mb: float


class Marking(View):
    """A live view that marks where the run stands, now and then."""

    def __init__(self, console: Console, every: int) -> None:
        super().__init__(console)
        self._every = every
        self._decided_s = 0.0
        self.marks: list[Mark] = []

    def tell(self, event: Event, population: Population) -> None:
        super().tell(event, population)
        if isinstance(event, Finished) and (
            population.finished == 1 or not population.finished % self._every
        ):
            memory_mb = psutil.Process().memory_info().rss / 2**20
            mark = Mark(population.finished, time.perf_counter(), self._decided_s, memory_mb)
            self.marks.append(mark)

    def decide(self, *told: object) -> object:
        """Decide, and count the time."""
        began = time.perf_counter()
        decision = decide(*told)  # type: ignore[arg-type]
        self._decided_s += time.perf_counter() - began
        return decision


def scored(order: Order, watch: Callable[[Progress], None]) -> Report:
    """In the place of a training: noise, so that no gain is too large to go on from."""
    noise = Random(f"{order.genome} {order.seed}").gauss(0.0, 0.01)
    return Report(Completed(1.0 + noise), Usage(time.time()))


def main(trials: int = 2000) -> None:
    """Print a line for each quarter of the run."""
    with tempfile.TemporaryDirectory(prefix="lin") as home, Path("/dev/null").open("w") as nowhere:
        folder, settings = settings_of(Path(home), trials)
        runs.save(folder, replace(settings, proposers=("pondering",)))
        screen = console()
        screen.file = nowhere
        view = Marking(screen, trials // PARTS)
        search.decide = view.decide  # type: ignore[assignment]
        with (
            exporter(folder.path) as write,
            opened(
                folder,
                runs.load(folder),
                lambda: Inline(scored),
                view,
                write,
                mind_of=lambda lineage, brief, proposer: Mind(Pondering(0.0)),
            ) as found,
        ):
            found.run()
    print(f"{'after trials':>12}  {'each':>8}  {'deciding':>8}  {'memory':>8}")
    for before, mark in zip(view.marks, view.marks[1:], strict=False):
        number = mark.trials - before.trials
        each, deciding = (mark.at - before.at) / number, (mark.decided_s - before.decided_s) / number
        print(
            f"{mark.trials:12,}  {1000 * each:5.1f} ms  {1000 * deciding:5.1f} ms  {mark.memory_mb:5.0f} MB"
        )


if __name__ == "__main__":
    cyclopts.run(main)
