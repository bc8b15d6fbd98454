"""What git shows of a run: the refs and notes that follow from each event of its journal.

Pure, and O(1) an event: the scheduler applies `marks_after` when an event is recorded, and `marks_of` the
whole journal when it resumes, which repairs whatever a crash cut off. Refs of one run, named R:

    refs/heads/lineages/R/LINEAGE     the tip, a branch like any other
    refs/lineages/R/trials/0007       the candidate of trial 7, whatever became of it
    refs/lineages/R/ready/0009        candidate 9, while it waits for the GPU
    refs/lineages/R/dropped/0009      candidate 9, if it gave way to another or to nothing before its turn
    refs/lineages/R/pruned/LINEAGE    the last tip of a lineage that ended, in the place of its branch
"""

import re
from collections.abc import Iterable, Mapping
from textwrap import shorten
from typing import assert_never

from msgspec import Struct

from population.records import (
    Adopted,
    Assigned,
    Clashed,
    Combined,
    Declined,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Proposed,
    Pruned,
    Resumed,
    Started,
)
from population.state import Population
from trainer.outcome import status

_VALID_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SUBJECT = 72  # characters of a commit's first line


class Note(Struct, frozen=True):
    """One line of the note on `commit`. It begins with `key`; a line with the same key is replaced."""

    commit: str
    key: str
    text: str


class Marks(Struct, frozen=True):
    """What git is to show: each ref at its commit (None: there is no such ref), and lines of notes."""

    refs: Mapping[str, str | None]
    notes: tuple[Note, ...]
    at: float  # unix seconds, dates the notes


def branch(run: str, lineage: str) -> str:
    return f"refs/heads/lineages/{run}/{lineage}"


def trial_ref(run: str, trial: int) -> str:
    return f"refs/lineages/{run}/trials/{trial:04d}"


def ready_ref(run: str, candidate: int) -> str:
    return f"refs/lineages/{run}/ready/{candidate:04d}"


def dropped_ref(run: str, candidate: int) -> str:
    return f"refs/lineages/{run}/dropped/{candidate:04d}"


def pruned_ref(run: str, lineage: str) -> str:
    return f"refs/lineages/{run}/pruned/{lineage}"


def valid_run_name(name: str) -> bool:
    """Whether `name` can stand in a ref and name a folder; lineages are named by the same rule."""
    return bool(_VALID_NAME.fullmatch(name)) and ".." not in name and not name.endswith((".", ".lock"))


def message(idea: str, lineage: str, proposer: str) -> str:
    """A candidate's commit message: a subject that fits a log's line, the whole idea, who had it."""
    words = " ".join(idea.split()) or "no idea given"
    subject = shorten(words, SUBJECT, placeholder=" ...")
    body = "" if subject == words else f"{words}\n\n"
    return f"{subject}\n\n{body}Lineage: {lineage}\nProposer: {proposer}"


def marks_after(event: Event, population: Population) -> Marks:
    """The marks that `event` asks for. `population` has taken it in, and may have taken in later ones."""
    run = population.run.run
    refs: dict[str, str | None] = {}
    notes: tuple[Note, ...] = ()
    match event:
        case Founded() as born:
            refs[branch(run, born.lineage)] = born.tip
        case Proposed(candidate):
            refs[ready_ref(run, candidate.number)] = candidate.commit
            gone = candidate.combines or population.replaced.get(candidate.number, ())
            refs |= _dropped(gone, population)
        case Clashed(_, candidates):
            refs |= _dropped(candidates, population)
        case Adopted(lineage, commit):
            refs[branch(run, lineage)] = commit
        case Pruned(lineage):
            refs[branch(run, lineage)] = None
            refs[pruned_ref(run, lineage)] = population.lineages[lineage].tip
        case Assigned() as assigned:
            refs[trial_ref(run, assigned.trial)] = population.candidates[assigned.candidate].commit
            refs[ready_ref(run, assigned.candidate)] = None
        case Lost(number):
            trial = population.trials[number]
            if not trial.again:
                refs[ready_ref(run, trial.candidate.number)] = trial.candidate.commit
        case Judged() as judged:
            candidate = population.trials[judged.trial].candidate
            if judged.verdict == "advance" and population.lineages[candidate.lineage].pruned is None:
                refs[branch(run, candidate.lineage)] = candidate.commit
            notes = (_note(judged, population),)
        case Started() | Declined() | Combined() | Finished() | Resumed() | Ended():
            pass
        case _:
            assert_never(event)
    return Marks(refs, notes, population.at)


def marks_of(entries: Iterable[Entry], population: Population) -> Marks:
    """What git shows after all of `entries`, whose fold is `population`."""
    refs: dict[str, str | None] = {}
    notes: list[Note] = []
    for entry in entries:
        marks = marks_after(entry.event, population)
        refs |= marks.refs
        notes += marks.notes
    return Marks(refs, tuple(notes), population.at)


def _dropped(candidates: Iterable[int], population: Population) -> dict[str, str | None]:
    """Refs of those among some candidates that were never tried, which they will not be now."""
    run = population.run.run
    refs: dict[str, str | None] = {}
    for number in set(candidates) - population.tried.keys():
        refs[ready_ref(run, number)] = None
        refs[dropped_ref(run, number)] = population.candidates[number].commit
    return refs


def _note(judged: Judged, population: Population) -> Note:
    """One line a trial, so that a commit measured twice, or by two runs, keeps both."""
    trial = population.trials[judged.trial]
    assert trial.outcome is not None, "a judged trial has an outcome"
    result = status(trial.outcome)
    if trial.score is not None:
        result = f"{population.run.metric} {trial.score:.6f}"
    key = f"{population.run.run}/{trial.number:04d}"
    return Note(
        trial.candidate.commit, key, " ".join(f"{key} {result}, {judged.verdict}: {judged.reason}".split())
    )
