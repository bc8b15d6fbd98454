"""From what the command line asks for to a run that can begin, or go on: its settings, checked and pinned.

Everything a run will ever need is in its settings; what cannot work is refused here, in one line, before
anything is made.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from msgspec.structs import replace

from population import genome
from population.beginning.minds import dealt, named, ready
from population.branches import Branches
from population.deciding.rules import PolicyName
from population.hearing.answers import Form
from population.keeping import runs
from population.keeping.locks import hold_cards, hold_device
from population.names import SUBMIT, reads
from population.repository.plumbing import main_worktree
from trainer.cards import CHOSEN, visible
from trainer.checks.proof import proof
from trainer.errors import BadInput
from trainer.hardware import Machine, detect, sizing
from trainer.preflight import Preflight
from trainer.sandbox import MEMORY_FRACTION, Sandbox
from trainer.task import Task, genome_path, open_task

ROOT = Path(__file__).resolve().parents[2]
RUNS = Path(os.environ.get("LINEAGES_RUNS") or main_worktree(ROOT) / "results" / "runs").resolve()
UNSAID = Parameter(show_default=False)  # the help says it in words
SEVERAL = Parameter(show_default=False, consume_multiple=True)
CPU_TRIALS = 16  # a run on CPU ends by itself after so many
_ANSWER_S = 5.0  # in which a cluster that is there answers
_ANEW = ("trials", "hours", "max_cost", "gpus", "address")  # what a resumed run may have set anew


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
    "Go on with this run; only --trials, --hours, --max-cost, --gpus and --address can be set anew."
    task: Annotated[Path, UNSAID] = ROOT
    "A folder with train.py, prepare.py and program.md. [default: this repository]"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    "Where trials run."
    gpus: int | None = None
    "How many GPUs work at once, a trial on each. [default: 1]"
    address: str | None = None
    "A cluster of Ray's to find them in: `auto`, or HOST:PORT as `ray start --head` printed it."
    sandbox: Sandbox = "auto"
    "`off` runs candidates without the kernel's walls around them, where it has none or they are in the way."
    racing: Annotated[bool, Parameter(negative="--no-racing")] = True
    "Stop a trial whose loss shows that nothing can come of it."
    serve: int | None = None
    "Show the runs to a browser at this port of 127.0.0.1, as long as this one goes on."


USUAL = Asked()


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
        print(f"{branches.genome} has unsaved changes: the run starts from the committed file")
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
        gpus=asked.gpus or 1,
        racing=asked.racing and asked.policy == "promise",  # control arms are what their names say
    )
    confinable(settings)
    runs.save(folder, settings)
    return folder, settings


def resumed(asked: Asked, name: str) -> tuple[runs.RunFolder, runs.Settings]:
    """Find a run again, with its limits set anew if that was asked for."""
    fixed = [f.name for f in fields(Asked) if f.name not in ("resume", "serve", *_ANEW)]
    if changed := [f"--{f}" for f in fixed if getattr(asked, f) != getattr(USUAL, f)]:
        can = ", ".join(f"--{option.replace('_', '-')}" for option in _ANEW)
        raise BadInput(f"{', '.join(changed)} cannot change in a resumed run; only {can} can")
    folder = runs.find(RUNS, name)
    settings = runs.resumed(runs.load(folder), asked.trials, asked.hours, asked.max_cost)
    settings = replace(settings, gpus=asked.gpus or settings.gpus)
    ready(settings.proposers, settings.agents, settings.task.folder, folder.path)
    confinable(settings)
    return folder, settings


@contextmanager
def devices(device: str, gpus: int, address: str | None) -> Iterator[None]:
    """Hold for the block what trials compute on, and see no other GPU; a cluster's machines hold their own.

    Raises BadInput where there is too little, or too little is free.
    """
    if address is not None:
        reachable(address)
        yield
    elif device == "cpu":
        if gpus > 1:
            raise BadInput(
                f"--gpus {gpus}: on one CPU trials would spoil each other's scores; ask for 1, or give the "
                "--address of a cluster"
            )
        with hold_device(device):
            yield
    else:
        with hold_cards(visible(), gpus) as cards:
            os.environ[CHOSEN] = ",".join(cards)
            yield


def reachable(address: str) -> None:
    """Raise BadInput for a cluster that does not answer; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal() and "/" not in address):
        raise BadInput(f"--address {address}: say auto, or HOST:PORT as `ray start --head` printed it")
    try:
        if host:
            socket.create_connection((host, int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise BadInput(f"--address {address}: no cluster answers there ({error})") from error


def affordable(asked: Asked) -> None:
    """Raise BadInput for a limit of cost on a model whose price nobody knows."""
    if asked.max_cost is None:
        return
    from population.proposers.models import priced

    if unknown := [model for model in asked.model if not priced(model)]:
        raise BadInput(
            f"--max-cost: litellm knows no price of {', '.join(unknown)}, so nothing would be counted"
        )


def walled(settings: runs.Settings) -> bool:
    """Whether trials may run only where the sandbox holds, since strangers write their genomes."""
    strangers = any(reads(proposer) or proposer == SUBMIT for proposer in settings.proposers)
    return strangers and settings.sandbox != "off"


def confinable(settings: runs.Settings) -> None:
    """Raise BadInput where strangers' code would run without walls and nobody said aloud that it may."""
    if settings.sandbox == "off":
        print("--sandbox off: candidates may read, change and send what you can", file=sys.stderr)
        return
    proven = proof()
    for line in proven.lines():
        print(line, file=sys.stderr)
    if walled(settings) and not proven.holds:
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


def checks(folder: runs.RunFolder, settings: runs.Settings) -> Preflight:
    """What a candidate goes through before it may use the device."""
    machine = detect(settings.task.device)  # type: ignore[arg-type]
    on_card = settings.task.device == "cuda"
    memory_mb = machine.gpu_memory_mib if on_card else machine.memory_mib * MEMORY_FRACTION
    return Preflight(settings.task, str(folder.scratch), memory_mb, settings.sandbox)
