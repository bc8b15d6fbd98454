"""Damaged files of a run: read as they are, refused in one clear line, and never anything else."""

import contextlib
import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.journal import Journal, JournalDamaged, folded, read
from population.keeping import runs
from population.records import Entry, Lost, Started
from population.state import replay
from population.submitting.inbox import Inbox, Receipt, Submission
from tests.fuzz.fuzzing import damaged, examples
from tests.population.histories import histories
from trainer.errors import BadInput
from trainer.task import Task

COUNT = itertools.count()
TASK = Task("/task", "METRIC = 'loss'", "loss", 5.0, None, "exam", "cpu", "cpu")
SETTINGS = runs.Settings(
    "one", 1e9, TASK, (runs.Brief("program", "Look."),), ("mutate/tpe",), 4, "promise", 0, 16, None, "a", "b"
)
SUBMISSION = Submission("amber", "an idea", "X = 1\n", "c" * 40)


def written(entries: list[Entry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


@examples(150)
@given(histories(max_events=12), st.data())
def test_a_damaged_journal_folds_or_is_refused_by_its_line(
    tmp_path: Path, entries: list[Entry], data: st.DataObject
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(data.draw(damaged(written(entries))))
    before = path.read_bytes()
    try:
        folded(path, read(path))
    except JournalDamaged as problem:
        assert "line " in str(problem) and "\n" not in str(problem)
        assert path.read_bytes() == before
        return
    whole = before[: before.rfind(b"\n") + 1]
    with Journal.open(path) as journal:
        assert written(journal.entries).count(b"\n") == whole.count(b"\n")


@examples(50)
@given(histories(max_events=12), st.data())
def test_lines_swapped_repeated_or_left_out_are_refused(
    tmp_path: Path, entries: list[Entry], data: st.DataObject
) -> None:
    lines = written(entries).splitlines(keepends=True)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(data.draw(st.lists(st.sampled_from(lines), max_size=len(lines) + 2))))
    with contextlib.suppress(JournalDamaged):
        assert read(path) == entries[: len(read(path))]


@examples(50)
@given(histories(max_events=12), st.lists(st.floats(-1e5, 1e5), min_size=12))
def test_a_clock_that_jumps_changes_nothing_but_times(entries: list[Entry], jumps: list[float]) -> None:
    moved = [msgspec.structs.replace(e, at=e.at + jumps[e.number % len(jumps)]) for e in entries]
    steady, jumpy = replay(entries), replay(moved)
    assert jumpy.scores == steady.scores and jumpy.tried == steady.tried
    assert [(line.tip, line.ready) for line in jumpy.lineages.values()] == [
        (line.tip, line.ready) for line in steady.lineages.values()
    ]


@examples(100)
@given(st.data())
def test_damaged_settings_load_or_are_refused_in_one_line(tmp_path: Path, data: st.DataObject) -> None:
    folder = runs.RunFolder(tmp_path)
    runs.save(folder, SETTINGS)
    content = data.draw(damaged(folder.settings.read_bytes()))
    folder.settings.write_text(content.decode(errors="replace"))
    try:
        runs.load(folder)
    except BadInput as problem:
        assert "settings.json" in str(problem)


@examples(100)
@given(st.data())
def test_what_strangers_leave_in_the_inbox_is_a_submission_or_nothing(
    tmp_path: Path, data: st.DataObject
) -> None:
    inbox = Inbox(tmp_path / str(next(COUNT)))
    token = inbox.send(SUBMISSION)
    path = inbox.folder / f"{token}.json"
    path.write_bytes(data.draw(st.one_of(damaged(path.read_bytes()), st.binary())))
    ((found, sent),) = inbox.waiting()
    assert found == token and (sent is None or isinstance(sent, Submission))
    inbox.answer(token, Receipt(refused="no"))
    assert inbox.waiting() == [] and inbox.receipt(token) == Receipt(refused="no")


def test_a_line_nested_without_end_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"number":1,"at":1.0,"more":' + b"[" * 100_000 + b"\n")
    with pytest.raises(JournalDamaged, match="line 1"):
        read(path)


def test_a_line_that_reads_well_and_cannot_follow_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Started("one", 0, "promise", "task", "loss", 5.0, "exam", "cpu", "cpu", "head")
    entries = [Entry(1, 1.0, first), Entry(2, 2.0, Lost(7, "power"))]
    with pytest.raises(JournalDamaged, match=r"line 2.*only a running trial can be lost"):
        folded(path, entries)
