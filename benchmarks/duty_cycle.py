"""How much of a GPU's time is training: the pipeline beside the serial loop, many times as fast.

    uv run python benchmarks/duty_cycle.py [--lineages 1 2 3 4] [--think 25 60 300 600] [--pace 20]

Trials are real processes, confined and examined, that sleep where an H100 would work
(benchmarks/tasks/paced): 18 s of start-up, of which 8 need the card, 300 s of training, 8 s of exam. Minds
sleep too, and no trial is stopped for its loss. What is not scaled is our own part: forks, sandbox, exam,
journal, git, Ray. So the figures are worse than an H100's would be: at a pace of 20 a second of it counts as
twenty.

The clock's share is what it ran of the wall time from the end of the first trial to the end of the last.
The serial loop is `--policy greedy --lineages 1`, which thinks, starts up, trains and examines in turn.
"""

import itertools
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import cyclopts
from cyclopts import Parameter
from msgspec import Struct
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.pondering import Pondering
from population.beginning.opening import opened
from population.branches import Branches
from population.keeping import runs
from population.lineage import Mind
from population.records import Event
from population.state import Population, Trial
from trainer.task import open_task

PACED: Final = Path(__file__).resolve().parent / "tasks" / "paced"
SERIAL: Final = "serial loop"


class Arm(Struct, frozen=True):
    """One run: how many lineages, none for the serial loop; how long a mind thinks, by an H100's clock."""

    lineages: int
    think_s: float
    trials: int
    pace: float  # how many times as fast as on an H100 all goes

    @property
    def name(self) -> str:
        return f"{self.lineages} lineages" if self.lineages else SERIAL


class Measured(Struct, frozen=True):
    """What a run came to. Gaps are seconds, of this machine, from one clock's end to the next one's start."""

    arm: Arm
    share: float
    gaps: tuple[float, ...]
    ahead: int  # trials that had started up before their turn


class Quiet:
    """A watcher that looks at nothing."""

    def tell(self, event: Event, population: Population) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def show(self, population: Population, progress: object, thinking: object) -> None:
        pass


def measured(arm: Arm) -> Measured:
    """Carry out a run in a folder that goes with it."""
    from population.cluster.backend import Cluster

    with tempfile.TemporaryDirectory(prefix="duty-") as home:
        task = Path(shutil.copytree(PACED, Path(home) / "task"))
        prepare = task / "prepare.py"
        prepare.write_text(f"{prepare.read_text()}\n\n{_phases(arm.pace)}")
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "The task"]):
            names = ["-c", "user.name=duty", "-c", "user.email=duty@localhost"]
            subprocess.run(["git", "-C", str(task), *names, *words], check=True)
        folder = runs.new_folder(Path(home), "duty")
        runs.save(folder, _settings(arm, task, folder))

        def machines() -> Cluster:
            cluster = Cluster("cpu")
            cluster.overlaps = bool(arm.lineages)
            return cluster

        with opened(
            folder,
            runs.load(folder),
            machines,
            Quiet(),
            lambda path, population, text: None,
            patience_s=1.0 / arm.pace,
            mind_of=lambda lineage, brief, proposer: Mind(Pondering(arm.think_s / arm.pace)),
        ) as search:
            search.run()
        return _told(arm, search.population)


def _phases(pace: float) -> str:
    seconds = {"BUDGET_S": 300, "STARTUP_S": 200, "IMPORTS_S": 10, "COMPILING_S": 8, "EXAM_S": 8}
    return "".join(f"{name} = {value / pace}\n" for name, value in seconds.items())


def _settings(arm: Arm, task: Path, folder: runs.RunFolder) -> runs.Settings:
    branches = Branches.open(task, folder.name, folder.path)
    head = branches.head()
    return runs.Settings(
        run=folder.name,
        created_at=1e9,
        task=open_task(task, "cpu"),
        briefs=(runs.Brief("program", (task / "program.md").read_text()),),
        proposers=("pondering",),
        lineages=arm.lineages or 1,
        policy="promise" if arm.lineages else "greedy",
        seed=1,
        racing=False,
        trials=arm.trials,
        hours=None,
        head=head,
        baseline=branches.commit(branches.text(head), (head,), "Baseline", 1e9),
    )


def _told(arm: Arm, population: Population) -> Measured:
    trials = [trial for trial in population.trials.values() if trial.usage is not None]
    budget_s = population.run.budget_s
    clocks = [_clock(trial, budget_s) for trial in trials]
    (_, first), (_, last) = _whole(trials[0]), _whole(trials[-1])
    share = sum(end - start for start, end in clocks[1:]) / (last - first)
    gaps = tuple(after[0] - before[1] for before, after in itertools.pairwise(clocks))
    ahead = sum((trial.usage.ahead_s if trial.usage else 0.0) > 0.3 for trial in trials)
    return Measured(arm, share, gaps, ahead)


def _clock(trial: Trial, budget_s: float) -> tuple[float, float]:
    assert trial.usage is not None
    start = trial.usage.started_at + trial.usage.startup_s
    return start, start + min(trial.usage.training_s, budget_s)


def _whole(trial: Trial) -> tuple[float, float]:
    assert trial.usage is not None
    return trial.usage.started_at, trial.usage.started_at + trial.usage.wall_s


def told(found: Sequence[Measured]) -> Table:
    """A row for each run."""
    drawn = Table("minds", "thinking", "the clock ran", "median gap", "longest gap", "started ahead")
    for one in found:
        middle, longest = f"{median(one.gaps):.2f} s", f"{max(one.gaps):.2f} s"
        ahead = f"{one.ahead} of {one.arm.trials}"
        drawn.add_row(one.arm.name, f"{one.arm.think_s:g} s", f"{one.share:.1%}", middle, longest, ahead)
    return drawn


def main(
    *,
    lineages: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (1, 2, 3, 4),
    think: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (25, 60, 300, 600),
    trials: int = 40,
    pace: float = 20.0,
    jobs: int = 8,
) -> None:
    """Measure; so many runs at a time, since nearly all of them is sleep."""
    arms = [Arm(some, seconds, trials, pace) for seconds in think for some in (0, *lineages)]
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        found = []
        for one in pool.imap(measured, arms, chunksize=1):
            print(f"{one.arm.name}, thinking {one.arm.think_s:g} s: {one.share:.1%}", flush=True)
            found.append(one)
    Console().print(told(found))


if __name__ == "__main__":
    cyclopts.run(main)
