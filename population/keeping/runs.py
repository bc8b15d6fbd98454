"""A run's folder: what was asked for, pinned on the first day and read again on resume.

`settings.json` holds the task with the text of its prepare.py and the briefs, so that nothing outside the
folder can change a run that has begun. What happened is in the journal, not here.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from population.deciding.rules import PolicyName, Rules
from population.hearing.answers import Form
from population.names import lineage_name
from population.repository.marks import valid_run_name
from trainer.errors import BadInput
from trainer.sandbox import Sandbox
from trainer.task import Task

UNASKED = "\n## If this file is all you were given"  # a brief's part for agents that nobody here asks


class Brief(Struct, frozen=True):
    """A program.md: its name in tables, and its text."""

    name: str
    text: str

    @property
    def asked(self) -> str:
        """What a mind of ours is told of it."""
        return self.text.partition(UNASKED)[0]


class Settings(Struct, frozen=True):
    """All that a run was started with."""

    run: str
    created_at: float  # unix seconds
    task: Task
    briefs: tuple[Brief, ...]  # dealt to the lineages in turn
    proposers: tuple[str, ...]  # likewise
    lineages: int
    policy: PolicyName
    seed: int
    trials: int | None
    hours: float | None
    head: str  # the commit that was checked out
    baseline: str  # on top of it: the genome every lineage starts from, sized to the machine
    agents: dict[str, str] = {}  # commands of coding agents, by the names they have in `proposers`
    answers: Form = "edits"  # what language models are asked for
    max_cost: float | None = None  # dollars that minds may take
    sandbox: Sandbox = "auto"
    gpus: int = 1  # as many trials are under way at once
    racing: bool = True  # under promise: trials that are hopeless are stopped


class RunFolder:
    """Paths of results/runs/RUN/, which exists."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.settings = path / "settings.json"
        self.journal = path / "journal.jsonl"
        self.logs = path / "logs"
        self.scratch = path / "scratch"

    def worktree(self, lineage: str) -> Path:
        return self.path / "worktrees" / lineage

    def log(self, trial: int) -> Path:
        return self.logs / f"{trial:04d}.log"


def new_folder(runs: Path, name: str) -> RunFolder:
    """The folder of a new run, not made yet; BadInput if the name is taken or cannot name a branch."""
    if not valid_run_name(name):
        raise BadInput(
            f"--name {name!r}: use up to 64 letters, digits, '.', '-' and '_', a letter or digit first"
        )
    folder = RunFolder(runs / name)
    if folder.settings.exists():
        raise BadInput(f"run {name} exists: choose another --name, or go on with --resume {name}")
    return folder


def save(folder: RunFolder, settings: Settings) -> None:
    """Make the folder and write settings.json, aside first; from then on the run exists."""
    folder.logs.mkdir(parents=True, exist_ok=True)
    aside = folder.settings.with_suffix(".tmp")
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(settings), indent=2))
    aside.replace(folder.settings)


def find(runs: Path, name: str) -> RunFolder:
    """An existing run by its name; BadInput names those there are."""
    folder = RunFolder(runs / name)
    if valid_run_name(name) and folder.settings.exists():
        return folder
    known = sorted(path.parent.name for path in runs.glob("*/settings.json"))
    there = f"there are: {', '.join(known[-8:])}" if known else "there are none yet"
    raise BadInput(f"no run {name!r} in {runs} ({there})")


def load(folder: RunFolder) -> Settings:
    """Read settings.json; BadInput if it is damaged."""
    try:
        return msgspec.json.decode(folder.settings.read_bytes(), type=Settings)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{folder.settings} is damaged ({error}); restore it to resume this run") from error


def resumed(
    settings: Settings, trials: int | None, hours: float | None, max_cost: float | None = None
) -> Settings:
    """The settings of a run that goes on: its limits may be set anew, nothing else."""
    return msgspec.structs.replace(
        settings,
        trials=settings.trials if trials is None else trials,
        hours=settings.hours if hours is None else hours,
        max_cost=settings.max_cost if max_cost is None else max_cost,
    )


def deal(settings: Settings) -> list[tuple[str, Brief, str]]:
    """Each lineage's name, brief and proposer: briefs and proposers are dealt in turn.

    After each full round of pairs the proposers move on by one, so that no brief keeps one proposer and their
    records can be told apart.
    """
    briefs, proposers = settings.briefs, settings.proposers
    round_of_pairs = math.lcm(len(briefs), len(proposers))
    return [
        (lineage_name(n), briefs[n % len(briefs)], proposers[(n + n // round_of_pairs) % len(proposers)])
        for n in range(settings.lineages)
    ]


def rules(settings: Settings, patience_s: float, overlaps: bool = False) -> Rules:
    """What decisions go by, on machines that may start trials up beside others (see backend.py)."""
    pairs = tuple((brief.name, proposer) for brief in settings.briefs for proposer in settings.proposers)
    return Rules(
        settings.policy,
        settings.seed,
        settings.trials,
        settings.hours,
        patience_s,
        settings.lineages,
        settings.gpus,
        settings.policy == "promise" and (overlaps or settings.gpus > 1),
        pairs,
        settings.max_cost,
    )


def free_name(runs: Path, now: datetime) -> str:
    """A name for a run that nobody named: month, day and time, like nov22-2315."""
    name = now.strftime("%b%d-%H%M").lower()
    taken = (f"{name}-{count}" for count in range(2, 100))
    return name if not (runs / name).exists() else next(n for n in taken if not (runs / n).exists())


def read_briefs(programs: Sequence[Path]) -> tuple[Brief, ...]:
    """The briefs named by --program; a folder stands for its .md files, by name."""
    paths = [file for path in programs for file in (sorted(path.glob("*.md")) if path.is_dir() else [path])]
    stems = Counter(path.stem for path in paths)
    if programs and not paths:
        raise BadInput(f"--program {programs[0]}: the folder holds no .md file")
    names = [path.stem if stems[path.stem] == 1 else f"{path.parent.name}/{path.stem}" for path in paths]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BadInput(
            f"--program: two briefs are called {twice[0]}; rename one, tables tell them apart by name"
        )
    return tuple(Brief(name, _read_brief(path)) for name, path in zip(names, paths, strict=True))


def _read_brief(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BadInput(f"--program {path}: {reason}; name a readable .md file") from error
    if not text.strip():
        raise BadInput(f"--program {path}: the brief is empty; say what the lineage should look for")
    return text
