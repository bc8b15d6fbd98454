"""What `scheduler.py submit` does: sends the train.py of a worktree to a running scheduler and waits.

What comes of it is learned from the journal alone.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from population.branches import Branches
from population.hearing.quoting import line
from population.journal import folded, is_held, read
from population.keeping.runs import RunFolder, Settings
from population.repository.plumbing import Plumbing
from population.state import Population, Trial
from population.submitting.inbox import Inbox
from population.submitting.receiving import Receipt, Submission
from trainer.errors import BadInput
from trainer.task import genome_path

LOOK_S: Final = 0.5
_MOST_BYTES: Final = 2**20  # of a genome
_LONGEST: Final = 1000  # characters of what a shell hands over, which need not be text


def found(folder: RunFolder, settings: Settings, here: Path, lineage: str, idea: str) -> Submission:
    """The genome of the worktree that `here` lies in, and the commit it was made from.

    Raises BadInput, in one line, if there is no such file.
    """
    task = Path(settings.task.folder)
    path = Branches.open(task, settings.run, folder.path, genome_path(task)).path
    git = Plumbing.find(here)
    if git is None:
        raise BadInput(f"{here} is in no git worktree: `git worktree add --detach ../{lineage} lineages/...`")
    file = git.folder / path
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise BadInput(f"{file} is larger than a megabyte; a genome is a file that people can read")
        genome = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    parent = git.run("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    return Submission(line(lineage, _LONGEST), line(idea, _LONGEST), genome, parent)


def received(folder: RunFolder, token: str) -> Receipt:
    """Wait for the receipt. Raises BadInput, with the submission taken back, if no scheduler is running."""
    inbox = Inbox(folder.path)
    while (receipt := inbox.receipt(token)) is None:
        if not is_held(folder.journal) and inbox.withdraw(token):
            raise BadInput(f"no scheduler is running {folder.name}: go on with --resume {folder.name}")
        time.sleep(LOOK_S)
    return receipt


def judged(folder: RunFolder, candidate: int, wait: Callable[[float], None] = time.sleep) -> Trial | None:
    """Wait until the candidate's first trial is judged; None if it will not be, or the scheduler ended."""
    size, population = -1, Population()
    while True:
        running = is_held(folder.journal)
        if (grown := folder.journal.stat().st_size) != size:  # a trial on these cores may be under way
            size, population = grown, folded(folder.journal, read(folder.journal))
        trial = _first(population, candidate)
        if trial is not None and trial.verdict is not None:
            return trial
        waits = trial is not None or any(candidate in line.ready for line in population.living)
        if not running or not waits:
            return None
        wait(LOOK_S)


def _first(population: Population, candidate: int) -> Trial | None:
    number = population.tried.get(candidate)
    return None if number is None else population.trials[number]
