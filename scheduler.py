"""lineages, the command line: `python scheduler.py --lineages 4`.

Composes a run of its parts (folder, task, git, minds, machines); the loop is population/search.py. Exit
codes: 0 done, 2 bad use with one clear line, 1 anything else.
"""

import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import cache, partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from population import evidence, genome
from population.beginning.beginning import (
    ROOT,
    RUNS,
    USUAL,
    Asked,
    begun,
    checked,
    checks,
    devices,
    resumed,
    walled,
)
from population.beginning.minds import mind
from population.beginning.opening import opened
from population.branches import Branches
from population.journal import folded, read
from population.keeping import runs
from population.keeping.locks import hold_device
from population.repository.promoting import Checkout
from population.search import MachineFailed
from population.state import Population
from population.submitting import sending
from population.submitting.inbox import Inbox
from results.checkup import following, lines, verdict
from results.exporting import Exporter, answer
from results.listing import listing
from results.merge_message import merge_message
from results.report import report
from results.serving import serving
from results.summary import summary
from results.terminal import View, console
from results.words import Limits
from trainer.doctor.checkup import checkup
from trainer.doctor.finding import exit_code
from trainer.doctor.smoke import smoke as smoke_trial
from trainer.errors import BadInput
from trainer.hardware import detect
from trainer.sandbox import hide
from trainer.task import genome_path
from trainer.walls.process import bind_to

app = App(
    name="scheduler.py",
    help="Autoresearch, run as evolution.",
    version_flags=[],
    default_parameter=Parameter(negative=()),
)


@app.command(name="run")
@app.default
def search(asked: Annotated[Asked, Parameter(name="*")] = USUAL) -> int:
    """Search for a better train.py with several lineages that compete for one GPU."""
    for option in ("lineages", "gpus", "trials", "hours", "budget", "max_cost"):
        value = getattr(asked, option)
        if value is not None and not value > 0:
            raise BadInput(f"--{option.replace('_', '-')} must be more than 0, not {value:g}")
    with nullcontext() if asked.serve is None else serving(RUNS, asked.serve) as address:
        if address is not None:
            console().print(f"all runs are shown at {address}")
        if asked.resume is not None:
            folder, settings = resumed(asked, asked.resume)
            with devices(settings.task.device, settings.gpus, asked.address):
                return go(folder, checked(folder, settings), asked.address)
        with devices(detect(asked.device).device, asked.gpus or 1, asked.address):
            return go(*begun(asked, detect(asked.device)), asked.address)


@app.command
def show(run: str | None = None, *, serve: int | None = None) -> int:
    """Print the lineage tree of a run and the path of its best genome; without RUN, list the runs.

    Parameters
    ----------
    run
        The run's name.
    serve
        Show it, or all runs, to a browser at this port of 127.0.0.1 instead, until Ctrl-C.
    """
    if serve is not None:
        page = f"{runs.find(RUNS, run).path.name}/tree.html" if run else ""
        with serving(RUNS, serve) as address, suppress(KeyboardInterrupt):
            console().print(f"{address}{page}, until Ctrl-C")
            threading.Event().wait()
        return 0
    if run is None:
        console().print(listing(RUNS))
        return 0
    folder = runs.find(RUNS, run)
    population = folded(folder.journal, read(folder.journal)) if folder.journal.exists() else Population()
    console().print(report(population, folder.path))
    return 0


@app.command
def compare(*run: str) -> int:
    """Lay runs side by side, autoresearch's results.tsv among them; without RUN, all there are.

    Parameters
    ----------
    run
        Names of runs, or paths of results.tsv files.
    """
    from results.compare import compare as laid  # charts take a moment to import

    sources = [Path(name) if Path(name).is_file() else runs.find(RUNS, name).path for name in run] or [RUNS]
    RUNS.mkdir(parents=True, exist_ok=True)
    screen = console()
    screen.print(f"\n{laid(sources, screen, RUNS, genome_of)}", soft_wrap=True)
    return 0


@app.command(show=False)
def export(folder: Path, scheduler: int) -> int:
    """Write the exports of a run for its scheduler, whenever that asks, and die with it.

    Parameters
    ----------
    folder
        The run's.
    scheduler
        The number of its process.
    """
    bind_to(scheduler)
    branches = cache(partial(branches_of, folder))  # when it asks, they are there
    answer(folder, lambda commit: branches().text(commit))
    return 0


def genome_of(folder: Path, commit: str) -> str | None:
    """The genome at a commit of the run in `folder`; None if its repository is gone."""
    try:
        return branches_of(folder).text(commit)
    except BadInput:
        return None


def branches_of(folder: Path) -> Branches:
    """Those of the run in `folder`. Raises BadInput if its repository is gone."""
    settings = runs.load(runs.RunFolder(folder))
    task = Path(settings.task.folder)
    return Branches.open(task, settings.run, folder, genome_path(task))


def exporter(folder: Path) -> Exporter:
    """What writes the exports of the run in `folder` as long as this process lives."""
    return Exporter([sys.executable, __file__, "export", str(folder.resolve()), str(os.getpid())])


@app.command
def submit(
    run: str,
    *,
    lineage: str,
    message: Annotated[str, Parameter(alias="-m")],
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
) -> int:
    """Queue the train.py of the worktree you are in as a candidate of a running scheduler.

    Parameters
    ----------
    run
        The run's name.
    lineage
        The lineage it is for.
    message
        The idea, in one line.
    wait
        Wait for the outcome and print it.
    """
    folder, screen = runs.find(RUNS, run), console()
    settings = runs.load(folder)
    sent = sending.found(folder, settings, Path.cwd(), lineage, message)
    if problem := checks(folder, settings)(sent.genome):
        screen.print(f"refused: {problem}")
        return 1
    receipt = sending.received(folder, Inbox(folder.path).send(sent))
    if receipt.candidate is None:
        screen.print(f"refused: {receipt.refused}")
        return 1
    screen.print(f"queued as candidate {receipt.candidate} of {run}, for {lineage}")
    trial = sending.judged(folder, receipt.candidate) if wait else None
    if wait:
        screen.print(
            "the run has ended, or went on without it"
            if trial is None
            else summary(trial, settings.task.metric)
        )
    return 0


@app.command
def promote(run: str, *, dry_run: bool = False) -> int:
    """Merge a run's best into the branch that is checked out, as an ordinary merge commit.

    Parameters
    ----------
    run
        The run's name.
    dry_run
        Only show what would be merged, and with which message.
    """
    folder, screen = runs.find(RUNS, run), console()
    settings, population = runs.load(folder), folded(folder.journal, read(folder.journal))
    found = evidence.best(population)
    if found is None or found == population.baseline:
        raise BadInput(f"run {run} has found nothing better than its baseline yet")
    checkout = Checkout.of(Path(settings.task.folder))
    if checkout.has(found):
        screen.print(f"{checkout.branch()} holds the best of {run} already")
        return 0
    checkout.check(found)
    message = merge_message(population)
    screen.print(message, soft_wrap=True)
    if dry_run:
        screen.print(f"\nwould merge {found[:12]} into {checkout.branch()}")
    else:
        screen.print(f"\nmerged into {checkout.branch()} as {checkout.merge(found, message)[:12]}")
    return 0


@app.command
def doctor(*, smoke: bool = False) -> int:
    """Say whether this machine is ready for a run, with a remedy for what is not.

    Parameters
    ----------
    smoke
        Also give the default task a trial of twenty seconds, with its exam.
    """
    screen, found = console(), checkup(ROOT, RUNS, hold_device)
    screen.print(lines(found))
    if smoke and not exit_code(found):
        with following(screen) as watch:
            trial = smoke_trial(ROOT, hold_device, genome.rewrite, watch)
        screen.print(lines([trial]))
        found += (trial,)
    screen.print()
    screen.print(verdict(found))
    return exit_code(found)


def go(folder: runs.RunFolder, settings: runs.Settings, address: str | None = None) -> int:
    """Search with actors until the run ends, on this terminal; in the cluster at `address`, if there is one.

    Returns the exit code.
    """
    from population.cluster.backend import Cluster  # Ray takes a second to import, and only a search needs it

    screen = console()
    screen.print(f"run {settings.run}: starting the machines")
    view = View(screen, Limits(settings.trials, settings.hours))
    preflight = checks(folder, settings)
    machines = partial(Cluster, settings.task.device, settings.gpus, address, settings.task, walled(settings))
    with (
        exporter(folder.path) as write,
        opened(
            folder,
            settings,
            machines,
            view,
            write,
            mind_of=lambda lineage, brief, proposer: mind(lineage, proposer, settings, folder, preflight),
        ) as search,
    ):
        for signum in (signal.SIGINT, signal.SIGTERM):  # for good: the last acts are not cut short either
            signal.signal(signum, search.interrupt)
        try:
            with view:
                search.run()
        finally:
            search.export()
    screen.print(report(search.population, folder.path))
    return 0 if search.population.baseline_score is not None else 1


def main(arguments: Sequence[str]) -> int:
    """Parse, run, and turn what the user got wrong into one line and exit code 2."""
    hide()  # candidates run as the same user, and our environment may hold keys
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return int(result or 0)
    except (BadInput, CycloptsError) as error:
        problem, code = " ".join(str(error).split()), 2
    except MachineFailed as error:
        problem, code = f"{error}; the run can be resumed", 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        code = 2
        problem = (
            f"cannot write {error.filename or 'a file'}: {error.strerror}; make room or mend its permissions"
        )
    print(f"error: {problem}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
