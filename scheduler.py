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
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from population import evidence, genome, runs, submission
from population.branches import Branches
from population.hearing.answers import Form
from population.inbox import Inbox
from population.journal import read
from population.locks import hold_device
from population.minds import dealt, mind, named, ready
from population.names import SUBMIT, reads
from population.opening import opened
from population.plumbing import main_worktree
from population.policy import PolicyName
from population.promoting import Checkout
from population.search import MachineFailed
from population.state import Population, replay
from results.exports import write_exports
from results.checkup import following, lines, verdict
from results.listing import listing
from results.merge_message import merge_message
from results.report import report
from results.summary import summary
from results.terminal import View, console
from results.words import Limits
from trainer.doctor.checkup import checkup
from trainer.doctor.finding import exit_code
from trainer.doctor.smoke import smoke as smoke_trial
from trainer.errors import BadInput
from trainer.hardware import Machine, detect, sizing
from trainer.preflight import Preflight
from trainer.proof import proof
from trainer.sandbox import MEMORY_FRACTION, Sandbox, hide
from trainer.task import Task, genome_path, open_task

ROOT = Path(__file__).resolve().parent
RUNS = Path(os.environ.get("LINEAGES_RUNS") or main_worktree(ROOT) / "results" / "runs").resolve()
UNSAID = Parameter(show_default=False)  # the help says it in words
SEVERAL = Parameter(show_default=False, consume_multiple=True)
CPU_TRIALS = 16  # a run on CPU ends by itself after so many


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    lineages: int = 4
    "How many lines of research compete."
    program: Annotated[tuple[Path, ...], SEVERAL] = ()
    "Briefs, dealt to the lineages in turn; a folder stands for its .md files. [default: the task's own]"
    proposer: Annotated[tuple[str, ...], SEVERAL] = ()
    "Where ideas come from, dealt likewise: mutate, llm, agent or submit. [default: mutate, or what is given]"
    model: Annotated[tuple[str, ...], SEVERAL] = ()
    "Language models by litellm's names, dealt to the lineages of proposer llm."
    answers: Form = "edits"
    "What models are asked for: edits of the code, or knobs to set (for small and for fast models)."
    agent: Annotated[tuple[str, ...], SEVERAL] = ()
    "Commands of coding agents such as 'claude -p {prompt}', dealt to the lineages of proposer agent."
    policy: PolicyName = "promise"
    "Who gets the GPU, and what advances."
    trials: int | None = None
    "End after so many uses of the GPU. [default: 16 on CPU, none on a GPU]"
    hours: float | None = None
    "Begin no trial that would not be over after so many hours of this session."
    max_cost: float | None = None
    "Dollars that models may take in all; what they thought of by then is still tried."
    budget: float | None = None
    "Seconds of training a trial. [default: the task's own]"
    seed: int = 0
    "Seed of every random choice of the run."
    name: str | None = None
    "The run's name. [default: month, day and time]"
    resume: str | None = None
    "Go on with this run; only --trials, --hours and --max-cost can be set anew."
    task: Annotated[Path, UNSAID] = ROOT
    "A folder with train.py, prepare.py and program.md. [default: this repository]"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    "Where trials run."
    sandbox: Sandbox = "auto"
    "`off` runs candidates without the kernel's walls around them, where it has none or they are in the way."


app = App(
    name="scheduler.py",
    help="Autoresearch, run as evolution.",
    version_flags=[],
    default_parameter=Parameter(negative=()),
)


@app.command(name="run")
@app.default
def search(asked: Annotated[Asked, Parameter(name="*")] = Asked()) -> int:
    """Search for a better train.py with several lineages that compete for one GPU."""
    for option in ("lineages", "trials", "hours", "budget", "max_cost"):
        value = getattr(asked, option)
        if value is not None and not value > 0:
            raise BadInput(f"--{option.replace('_', '-')} must be more than 0, not {value:g}")
    if asked.resume is not None:
        folder, settings = resumed(asked, asked.resume)
        with hold_device(settings.task.device):
            return go(folder, checked(folder, settings))
    machine = detect(asked.device)
    with hold_device(machine.device):
        return go(*begun(asked, machine))


@app.command
def show(run: str | None = None) -> int:
    """Print the lineage tree of a run and the path of its best genome; without RUN, list the runs."""
    if run is None:
        console().print(listing(RUNS))
        return 0
    folder = runs.find(RUNS, run)
    population = replay(read(folder.journal)) if folder.journal.exists() else Population()
    console().print(report(population, folder.path))
    return 0


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
    sent = submission.found(folder, settings, Path.cwd(), lineage, message)
    if problem := checks(folder, settings)(sent.genome):
        screen.print(f"refused: {problem}")
        return 1
    receipt = submission.received(folder, Inbox(folder.path).send(sent))
    if receipt.candidate is None:
        screen.print(f"refused: {receipt.refused}")
        return 1
    screen.print(f"queued as candidate {receipt.candidate} of {run}, for {lineage}")
    trial = submission.judged(folder, receipt.candidate) if wait else None
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
    settings, population = runs.load(folder), replay(read(folder.journal))
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


def begun(asked: Asked, machine: Machine) -> tuple[runs.RunFolder, runs.Settings]:
    """Make a new run: everything it will ever need is pinned in its settings."""
    name = asked.name or runs.free_name(RUNS, datetime.now())
    folder = runs.new_folder(RUNS, name)
    briefs, agents = runs.read_briefs(asked.program), named(asked.agent)
    proposers = dealt(asked.proposer, asked.model, agents)
    ready(proposers, agents, str(asked.task), folder.path)
    affordable(asked)
    task = open_task(asked.task, machine.device, asked.budget)
    branches = Branches.open(asked.task, name, folder.path, genome_path(asked.task))
    if branches.used():
        raise BadInput(f"branches of an earlier run {name} are still there: choose another --name")
    if branches.dirty_genome():
        console().print(f"{branches.genome} has unsaved changes: the run starts from the committed file")
    now, open_ended = time.time(), asked.trials is None and asked.hours is None
    settings = runs.Settings(
        run=name,
        created_at=now,
        task=task,
        briefs=briefs or runs.read_briefs([asked.task / "program.md"]),
        proposers=proposers,
        lineages=asked.lineages,
        policy=asked.policy,
        seed=asked.seed,
        trials=CPU_TRIALS if open_ended and machine.device == "cpu" else asked.trials,
        hours=asked.hours,
        head=branches.head(),
        baseline=sized(branches, task, machine, now),
        agents=agents,
        answers=asked.answers,
        max_cost=asked.max_cost,
        sandbox=asked.sandbox,
    )
    confinable(settings)
    runs.save(folder, settings)
    return folder, settings


def resumed(asked: Asked, name: str) -> tuple[runs.RunFolder, runs.Settings]:
    """Find a run again, with its limits set anew if that was asked for."""
    limits = ("trials", "hours", "max_cost")
    fixed = [f.name for f in fields(Asked) if f.name not in ("resume", *limits)]
    if changed := [f"--{f}" for f in fixed if getattr(asked, f) != getattr(Asked(), f)]:
        can = ", ".join(f"--{limit.replace('_', '-')}" for limit in limits)
        raise BadInput(f"{', '.join(changed)} cannot change in a resumed run; only {can} can")
    folder = runs.find(RUNS, name)
    settings = runs.resumed(runs.load(folder), asked.trials, asked.hours, asked.max_cost)
    ready(settings.proposers, settings.agents, settings.task.folder, folder.path)
    confinable(settings)
    return folder, settings


def affordable(asked: Asked) -> None:
    """Raise BadInput for a limit of cost on a model whose price nobody knows."""
    if asked.max_cost is None:
        return
    from population.proposers.models import priced

    if unknown := [model for model in asked.model if not priced(model)]:
        raise BadInput(
            f"--max-cost: litellm knows no price of {', '.join(unknown)}, so nothing would be counted"
        )


def confinable(settings: runs.Settings) -> None:
    """Raise BadInput where strangers' code would run without walls and nobody said aloud that it may."""
    if settings.sandbox == "off":
        print("--sandbox off: candidates may read, change and send what you can", file=sys.stderr)
        return
    proven = proof()
    for line in proven.lines():
        print(line, file=sys.stderr)
    strangers = any(reads(proposer) or proposer == SUBMIT for proposer in settings.proposers)
    if strangers and not proven.holds:
        raise BadInput(
            "the sandbox does not hold on this machine, and models and agents write code that nobody has "
            "read; mend that, or say --sandbox off"
        )


def checked(folder: runs.RunFolder, settings: runs.Settings) -> runs.Settings:
    """A resumed run goes on with the very exam it began with, or not at all."""
    task = settings.task
    now = open_task(Path(task.folder), task.device, task.budget_s, task.profile or None)
    if now.exam_hash != task.exam_hash:
        raise BadInput(
            f"{task.folder}: prepare.py or its data changed since run {settings.run} began, so new scores "
            "could not be compared with old ones; restore them, or start a new run"
        )
    runs.save(folder, settings)
    return settings


def sized(branches: Branches, task: Task, machine: Machine, at: float) -> str:
    """Commit the genome as checked out, its constants sized to the machine if it is this repository's own."""
    head = branches.head()
    text = branches.text(head)
    constants = sizing(task.profile, machine) if Path(task.folder) == ROOT else {}
    known = genome.knobs(text)
    constants = {name: value for name, value in constants.items() if name in known and known[name] != value}
    message = f"Size the first genome for {task.profile}" if constants else f"Baseline of {branches.run}"
    return branches.commit(genome.rewrite(text, constants), (head,), message, at)


def go(folder: runs.RunFolder, settings: runs.Settings) -> int:
    """Search with actors until the run ends, on this terminal. Returns the exit code."""
    from population.cluster import Cluster  # Ray takes a second to import, and only a search needs it

    screen = console()
    screen.print(f"run {settings.run}: starting the machines")
    view = View(screen, Limits(settings.trials, settings.hours))
    preflight = checks(folder, settings)
    with opened(
        folder,
        settings,
        Cluster,
        view,
        write_exports,
        mind_of=lambda lineage, brief, proposer: mind(lineage, proposer, settings, folder, preflight),
    ) as search:
        for signum in (signal.SIGINT, signal.SIGTERM):  # for good: the last acts are not cut short either
            signal.signal(signum, search.interrupt)
        try:
            with view:
                search.run()
        finally:
            search.export()
    screen.print(report(search.population, folder.path))
    return 0 if search.population.baseline_score is not None else 1


def checks(folder: runs.RunFolder, settings: runs.Settings) -> Preflight:
    """What a candidate goes through before it may use the device."""
    machine = detect(settings.task.device)  # type: ignore[arg-type]
    on_card = settings.task.device == "cuda"
    memory_mb = machine.gpu_memory_mib if on_card else machine.memory_mib * MEMORY_FRACTION
    return Preflight(settings.task, str(folder.scratch), memory_mb, settings.sandbox)


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
