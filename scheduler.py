"""lineages, the command line: `python scheduler.py --lineages 4`.

Composes a run of its parts (folder, task, git, minds, machines); the loop is population/search.py. Exit
codes: 0 done, 2 bad use with one clear line, 1 anything else.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from cyclopts import App, CycloptsError

from population import genome, runs
from population.branches import Branches
from population.journal import read
from population.locks import hold_device
from population.minds import dealt
from population.policy import PolicyName
from population.search import opened
from population.state import replay
from results.exports import write_exports
from results.report import report
from results.terminal import View, console
from results.words import Limits
from trainer.errors import BadInput
from trainer.hardware import Machine, detect, sizing
from trainer.task import Task, genome_path, open_task

ROOT = Path(__file__).resolve().parent
RUNS = Path(os.environ.get("LINEAGES_RUNS") or ROOT / "results" / "runs").resolve()
CPU_TRIALS = 16  # a run on CPU ends by itself after so many


def go(folder: runs.RunFolder, settings: runs.Settings) -> int:
    """Search with actors until the run ends, on this terminal. Returns the exit code."""
    from population.cluster import Cluster  # Ray takes a second to import, and only a search needs it

    screen = console()
    screen.print(f"run {settings.run}: starting the machines")
    view = View(screen, Limits(settings.trials, settings.hours))
    with hold_device(settings.task.device), opened(folder, settings, Cluster, view, write_exports) as search:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, search.interrupt)
        try:
            with view:
                search.run()
        except KeyboardInterrupt:
            search.give_up()
        finally:
            search.export()
    screen.print(report(search.population, folder.path))
    return 0 if search.population.baseline_score is not None else 1


def sized(branches: Branches, task: Task, machine: Machine, at: float) -> str:
    """Commit the genome as checked out, its constants sized to the machine if it is this repository's own."""
    head = branches.head()
    text = branches.text(head)
    constants = sizing(task.profile, machine) if Path(task.folder) == ROOT else {}
    known = genome.knobs(text)
    constants = {name: value for name, value in constants.items() if name in known and known[name] != value}
    message = f"Size the first genome for {task.profile}" if constants else f"Baseline of {branches.run}"
    return branches.commit(genome.rewrite(text, constants), (head,), message, at)


def check_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not value > 0:
            raise BadInput(f"--{name} must be more than 0, not {value:g}")


def check_unchanged(settings: runs.Settings) -> None:
    """A resumed run goes on with the very exam it began with, or not at all."""
    task = settings.task
    now = open_task(Path(task.folder), task.device, task.budget_s, task.profile or None)
    if now.exam_hash != task.exam_hash:
        raise BadInput(
            f"{task.folder}: prepare.py or its data changed since run {settings.run} began, so new scores "
            "could not be compared with old ones; restore them, or start a new run"
        )


def main(arguments: Sequence[str]) -> int:
    """Parse, run, and turn what the user got wrong into one line and exit code 2."""
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return int(result or 0)
    except (BadInput, CycloptsError) as error:
        problem = " ".join(str(error).split())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        problem = (
            f"cannot write {error.filename or 'a file'}: {error.strerror}; make room or mend its permissions"
        )
    print(f"error: {problem}", file=sys.stderr)
    return 2


app = App(name="scheduler.py", help="Autoresearch, run as evolution.", version_flags=[])


@app.default
def search(
    *,
    lineages: int = 4,
    program: list[Path] | None = None,
    proposer: list[str] | None = None,
    policy: PolicyName = "promise",
    trials: int | None = None,
    hours: float | None = None,
    budget: float | None = None,
    seed: int = 0,
    name: str | None = None,
    resume: str | None = None,
    task: Path = ROOT,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Search for a better train.py with several lineages that compete for one GPU.

    Parameters
    ----------
    lineages
        How many lines of research compete.
    program
        Briefs, dealt to the lineages in turn; a folder stands for its .md files. [default: the task's own]
    proposer
        Where ideas come from, dealt likewise: mutate, mutate/tpe or mutate/cma. [default: mutate]
    policy
        Who gets the GPU, and what advances.
    trials
        End after so many uses of the GPU. [default: 16 on CPU, none on a GPU]
    hours
        Begin no trial that would not be over after so many hours of this session.
    budget
        Seconds of training a trial. [default: the task's own]
    seed
        Seed of every random choice of the run.
    name
        The run's name. [default: month, day and time]
    resume
        Go on with this run; only --trials and --hours can be set anew.
    task
        A folder with train.py, prepare.py and program.md. [default: this repository]
    device
        Where trials run.
    """
    check_positive(lineages=lineages, trials=trials, hours=hours, budget=budget)
    if resume is not None:
        folder = runs.find(RUNS, resume)
        settings = runs.resumed(runs.load(folder), trials, hours)
        check_unchanged(settings)
    else:
        name = name or runs.free_name(RUNS, datetime.now())
        folder = runs.new_folder(RUNS, name)
        machine = detect(device)
        pinned = open_task(task, machine.device, budget)
        branches = Branches.open(task, name, folder.path, genome_path(task))
        created_at = time.time()
        settings = runs.Settings(
            run=name,
            created_at=created_at,
            task=pinned,
            briefs=runs.read_briefs(program or [task / "program.md"]),
            proposers=dealt(proposer or ["mutate"]),
            lineages=lineages,
            policy=policy,
            seed=seed,
            trials=CPU_TRIALS if trials is None and hours is None and machine.device == "cpu" else trials,
            hours=hours,
            head=branches.head(),
            baseline=sized(branches, pinned, machine, created_at),
        )
        runs.save(folder, settings)
    return go(folder, settings)


@app.command
def show(run: str) -> int:
    """Print the lineage tree of a run and the path of its best genome."""
    folder = runs.find(RUNS, run)
    console().print(report(replay(read(folder.journal)), folder.path))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
