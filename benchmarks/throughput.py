"""How many trials the scheduler itself can do: `uv run python benchmarks/throughput.py`.

The ten-line task, so that training costs next to nothing and what is left is ours: decisions, minds, journal
(fsynced), git and machines. Two backends: Ray with real trial and exam processes, 100 trials; and inline with
a function in the place of both processes, 1,000 trials. Each is a whole run in a temporary folder and a
repository of its own, four lineages, journal to exports.
"""

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cyclopts

sys.path.insert(0, str(Path(__file__).parents[1]))

from population import evidence, genome
from population.backend import Backend, Inline
from population.beginning.minds import dealt
from population.beginning.opening import opened
from population.branches import Branches
from population.cluster.backend import Cluster
from population.keeping import runs
from results.terminal import View, console
from scheduler import exporter
from trainer.outcome import Completed, Progress, Report, Usage
from trainer.task import open_task
from trainer.trial import Order

HILL = Path(__file__).resolve().parent / "tasks" / "hill"


def main(ray_trials: int = 100, inline_trials: int = 1000) -> None:
    """Print a line for each backend."""
    for name, machines, trials in (("ray", Cluster, ray_trials), ("inline", inline, inline_trials)):
        with tempfile.TemporaryDirectory(prefix="lin") as home:
            took_s, best = measure(Path(home), machines, trials)
        each_ms = 1000 * took_s / trials
        print(f"{name:6}  {trials:5d} trials in {took_s:5.1f} s  {each_ms:6.1f} ms a trial  best {best:.4f}")


def measure(home: Path, machines: Callable[[], Backend], trials: int) -> tuple[float, float]:
    """Wall time of a whole run with its machines, in seconds, and the expected score of its best genome."""
    folder, settings = settings_of(home, trials)
    runs.save(folder, settings)
    with Path("/dev/null").open("w") as nowhere:
        screen = console()
        screen.file = nowhere
        begun = time.monotonic()
        with (
            exporter(folder.path) as write,
            opened(folder, settings, machines, View(screen), write) as search,
        ):
            search.run()
            search.export()
    assert search.population.finished == trials
    best = evidence.best(search.population)
    assert best is not None
    return time.monotonic() - begun, evidence.weigh(search.population).estimates[best].mean


def settings_of(home: Path, trials: int) -> tuple[runs.RunFolder, runs.Settings]:
    """A run on a copy of the ten-line task, in a repository of its own."""
    task = shutil.copytree(HILL, home / "hill")
    folder = runs.new_folder(home, "bench")
    branches = Branches.open(task, folder.name, folder.path)
    head = branches.head()
    return folder, runs.Settings(
        run=folder.name,
        created_at=time.time(),
        task=open_task(task, "cpu"),
        briefs=runs.read_briefs([task / "program.md"]),
        proposers=dealt(["mutate"], (), {}),
        lineages=4,
        policy="promise",
        seed=0,
        trials=trials,
        hours=None,
        head=head,
        baseline=branches.commit(branches.text(head), (head,), "Baseline", time.time()),
    )


def inline() -> Backend:
    return Inline(scored)


def scored(order: Order, watch: Callable[[Progress], None]) -> Report:
    """What hill's exam would say, without a process."""
    knobs = genome.knobs(order.genome)
    x, y = float(knobs["X"]), float(knobs["Y"])
    rate, width = math.log10(float(knobs["RATE"])), math.log2(float(knobs["WIDTH"]))
    loss = 1 + ((x + y - 2) ** 2 + (x - 2 * y - 1) ** 2 + (rate + 2) ** 2 + (width - 5) ** 2) / 100
    return Report(Completed(loss), Usage(time.time()))


if __name__ == "__main__":
    cyclopts.run(main)
