"""What must hold of a run however often it was killed, checked from outside and against git itself.

Every function returns violations in words; nothing found is an empty list.
"""

import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from population.branches import NOTES
from population.journal import read
from population.records import Assigned, Entry, Finished, Judged, Lost, Resumed
from population.repository.marks import Note, marks_of
from population.state import replay
from trainer.errors import BadInput

_LITTER = (
    "*.lock",
    "*.part",
    "*.tmp",
    "*.new",
    "*.aside",
    "tmp_*",
)  # what is written aside, or held for a moment


def journal_kept(journal: Path, before: bytes) -> list[str]:
    """The journal reads and folds, its lines from `before` still stand, and no trial came to two ends."""
    whole = before[: before.rfind(b"\n") + 1]
    try:
        entries = read(journal)
        replay(entries)
    except (BadInput, AssertionError) as error:
        return [f"the journal is damaged: {error}"]
    wrong = [] if journal.read_bytes().startswith(whole) else ["lines of the journal are gone"]
    ends = Counter(e.event.trial for e in entries if isinstance(e.event, Finished | Lost))
    begun = [e.event.trial for e in entries if isinstance(e.event, Assigned)]
    wrong += [f"trial {trial} ended {count} times" for trial, count in ends.items() if count > 1]
    if begun != list(range(1, len(begun) + 1)) or any(trial not in ends for trial in begun[:-1]):
        wrong.append("a trial is missing from the journal")
    return wrong


def git_in_step(task: Path, run: str, journal: Path, settled: bool) -> list[str]:
    """Git shows what the journal says: all of it if `settled`, or else all but what is happening just now.

    Notes wait for each other for some seconds, so of a run under way only those from before its last
    `Resumed` are asked for.
    """
    first = read(journal)
    shown = _refs(task, run)
    entries = read(journal)
    earliest = len(first) if settled else max(1, len(first) - 1)
    if not any(shown == _told(entries[:count]) for count in range(earliest, len(entries) + 1)):
        return [f"git's refs are not what the journal says: {_difference(shown, _told(entries))}"]
    since = max((e.number for e in entries if isinstance(e.event, Resumed)), default=0)
    noted = entries if settled else entries[: max(0, since - 1)]
    return _missing(task, marks_of(noted, replay(noted)).notes if noted else ())


def git_sound(task: Path, head: str) -> list[str]:
    """The repository has all its objects, and its HEAD, index and files are as they were."""
    checked = _git(task, "fsck", "--no-dangling", "--no-progress")
    wrong = [f"git fsck: {checked.stdout or checked.stderr}"] if checked.returncode else []
    if _git(task, "rev-parse", "HEAD").stdout.strip() != head or _git(task, "status", "--porcelain").stdout:
        wrong.append("HEAD, the index or a file of the user's moved")
    return wrong


def nothing_left(folder: Path, task: Path) -> list[str]:
    """No scratch, no lock of git's, nothing half written in the run's `folder` or the task's repository."""
    scratch = folder / "scratch"
    found = list(scratch.iterdir()) if scratch.exists() else []
    git = task / ".git"
    found += [path for pattern in _LITTER for path in git.rglob(pattern)]
    found += [path for pattern in _LITTER for path in folder.glob(pattern) if path.name != "journal.lock"]
    found += [path for pattern in _LITTER for path in (folder / "inbox").glob(pattern)]
    return [f"left behind: {path}" for path in found]


def exported(folder: Path) -> list[str]:
    """The tables that people open hold every trial of the journal once."""
    entries = read(folder / "journal.jsonl")
    begun = [e.event.trial for e in entries if isinstance(e.event, Assigned)]
    judged = [e.event.trial for e in entries if isinstance(e.event, Judged)]
    table = pl.read_parquet(folder / "experiments.parquet")["trial"].to_list()
    lines = (folder / "results.tsv").read_text().splitlines()[1:]
    wrong = [] if table == begun else [f"experiments.parquet has {len(table)} trials, not {len(begun)}"]
    return wrong + ([] if len(lines) == len(judged) else [f"results.tsv has {len(lines)}, not {len(judged)}"])


def _refs(task: Path, run: str) -> dict[str, str]:
    ours = f"refs/lineages/{run}", f"refs/heads/lineages/{run}"
    shown = _git(task, "for-each-ref", "--format=%(refname) %(objectname)", *ours).stdout.splitlines()
    return dict(line.split(" ") for line in shown)


def _told(entries: Sequence[Entry]) -> dict[str, str]:
    """The refs that follow from a journal."""
    refs = marks_of(entries, replay(entries)).refs
    return {ref: commit for ref, commit in refs.items() if commit is not None}


def _difference(shown: dict[str, str], told: dict[str, str]) -> str:
    return ", ".join(sorted(f"{ref} {commit[:8]}" for ref, commit in set(shown.items()) ^ set(told.items())))


def _missing(task: Path, notes: Sequence[Note]) -> list[str]:
    """Lines of notes that are not in git. A later one with the same key stands in the place of an earlier."""
    last = {(note.commit, note.key): note for note in notes}
    wrong = []
    for commit in {commit for commit, _ in last}:
        lines = _git(task, "notes", f"--ref={NOTES}", "show", commit).stdout.splitlines()
        told = [note.text for (noted, _), note in last.items() if noted == commit]
        wrong += [f"no note {text!r} on {commit[:8]}" for text in told if lines.count(text) != 1]
    return wrong


def _git(task: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", "-C", str(task), *words], capture_output=True, text=True, check=False)
