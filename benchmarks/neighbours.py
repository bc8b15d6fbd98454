"""What minds that think beside a running clock take from it on a CPU.

    uv run python benchmarks/neighbours.py [--repeats 10]

The cpu profile's first genome is trained again and again through the actors of a run: in turn while four
minds do nothing, and while all of them check genomes without end, which is the heaviest thing they do. Told
are the steps of each training, on which a score on a CPU depends, and the seconds from the order to the end
of its exam. Nothing else should run on the machine.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import cyclopts
from msgspec import Struct

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from population.backend import Backend, Trained
from population.genome import rewrite
from population.lineage import Mind
from population.proposals import NoIdea, Request
from trainer.hardware import detect, sizing
from trainer.preflight import Preflight
from trainer.task import open_task
from trainer.trial import Order

ROOT: Final = Path(__file__).resolve().parents[1]
MINDS: Final = ("one", "two", "three", "four")


class Checking:
    """A mind that checks a genome over and over for so many seconds."""

    def __init__(self, check: Preflight, seconds: float) -> None:
        self._check, self._seconds = check, seconds

    def propose(self, request: Request) -> NoIdea:
        until, checks = time.monotonic() + self._seconds, 0
        while time.monotonic() < until:
            assert self._check(request.genome) is None
            checks += 1
        return NoIdea(f"{checks} checks")


class Repeat(Struct, frozen=True):
    """One training of the genome."""

    busy: bool
    steps: int
    cycle_s: float

    @property
    def name(self) -> str:
        return "busy" if self.busy else "silent"


def main(repeats: int = 10) -> None:
    """Train so often beside silent minds, and as often beside busy ones; print a line for each and both."""
    from population.cluster.backend import Cluster

    task = open_task(ROOT, "cpu", profile="cpu")
    genome = rewrite((ROOT / "trainer" / "train.py").read_text(), sizing("cpu", detect("cpu")))
    found: list[Repeat] = []
    with tempfile.TemporaryDirectory() as home:
        cluster = Cluster("cpu")
        checking = Checking(Preflight(task, home, 4096.0), task.budget_s)
        for name in MINDS:
            cluster.enrol(name, Mind(checking))
        for trial in range(1, 2 * repeats + 2):
            order = Order(trial, genome, 1, task, str(Path(home) / "log"), home)
            repeat = trained(cluster, order, busy=bool(trial % 2))
            if trial > 1:  # the first one imports torch
                print(
                    f"{'busy' if repeat.busy else 'silent':>8}{repeat.steps:6} steps{repeat.cycle_s:8.2f} s"
                )
                found.append(repeat)
        cluster.close()
    for busy in (False, True):
        print(told([repeat for repeat in found if repeat.busy == busy]))


def trained(cluster: Backend, order: Order, busy: bool) -> Repeat:
    """Train once, and wait for the minds as well, if they are asked."""
    began = time.monotonic()
    cluster.train(order)
    thinking = 0
    for name in MINDS if busy else ():
        cluster.think(Request(name, "", "", order.genome, None, (), frozenset(), 0))
        thinking += 1
    done = None
    while done is None or thinking:
        match cluster.wait(1.0):
            case Trained(_, report):
                done = Repeat(busy, report.usage.steps, time.monotonic() - began)
            case None:
                pass
            case _:
                thinking -= 1
    return done


def told(repeats: list[Repeat]) -> str:
    """Steps and cycles of repeats of one kind."""
    steps, cycles = [repeat.steps for repeat in repeats], [repeat.cycle_s for repeat in repeats]
    spread = statistics.stdev(steps) / statistics.mean(steps)
    return (
        f"{repeats[0].name} minds: {statistics.mean(steps):.1f} steps, {min(steps)} to {max(steps)}, standard"
        f" deviation {spread:.1%}; a cycle {statistics.median(cycles):.2f} s"
    )


if __name__ == "__main__":
    cyclopts.run(main)
