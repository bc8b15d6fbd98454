"""The journal: append-only, whole lines only, one writer."""

import math
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from population.journal import Journal, JournalDamaged, read
from population.keeping.locks import hold_cards, hold_device
from population.records import Completed, Crashed, Ended, Entry, Finished, Lost, Resumed, Usage
from tests.population.histories import candidate, histories, started
from trainer.errors import BadInput

ROOT = Path(__file__).parents[2]
Factory = pytest.TempPathFactory


def written(entries: list[Entry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    return folder / "journal.jsonl"


def fill(path: Path, events: int = 4) -> None:
    with Journal.open(path) as journal:
        journal.append(started(), 1.0)
        for n in range(2, events + 1):
            journal.append(Resumed(), float(n))


def elsewhere(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Python in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


HOLD = """
import sys; from pathlib import Path; from population.journal import Journal
with Journal.open(Path(sys.argv[1])): print("held", flush=True); sys.stdin.read()
"""


@settings(max_examples=25, deadline=None)
@given(histories())
def test_what_is_appended_is_read_back(tmp_path_factory: Factory, entries: list[Entry]) -> None:
    path = tmp_path_factory.mktemp("run") / "journal.jsonl"
    with Journal.open(path) as journal:
        appended = [journal.append(entry.event, entry.at) for entry in entries]
    assert appended == entries == read(path)


@settings(deadline=None)
@given(histories(max_events=8), st.data())
def test_a_journal_cut_at_any_byte_reads_as_the_lines_that_were_whole(
    tmp_path_factory: Factory, entries: list[Entry], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / "journal.jsonl"
    whole = written(entries)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    path.write_bytes(cut)
    assert read(path) == entries[: cut.count(b"\n")]


def test_opening_drops_the_torn_line_and_goes_on_with_its_number(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes()[:-5])
    with Journal.open(path) as journal:
        assert [entry.number for entry in journal.entries] == [1, 2, 3]
        assert journal.append(Ended("enough"), 9.0).number == 4
    assert read(path)[-1] == Entry(4, 9.0, Ended("enough"))


def test_a_torn_line_is_dropped_even_if_only_its_newline_is_missing(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read(path)) == 3


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"", "truncated"),
        (b"\0\0\0", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b'{"number":3,"at":3.0,"event":{"type":"resumed"}}', "found entry 3"),
        (b'{"number":2,"at":3.0,"event":{"type":"exploded"}}', "exploded"),
        (b'{"number":2,"at":3.0}', "event"),
        (b'{"number":2,"at":NaN,"event":{"type":"resumed"}}', "malformed"),
    ],
)
def test_a_bad_line_in_the_middle_is_refused_by_file_and_line(path: Path, line: bytes, found: str) -> None:
    fill(path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], line, *lines[2:], b""]))
    with pytest.raises(JournalDamaged, match=f"journal.jsonl, line 2: expected journal entry 2: .*{found}"):
        read(path)
    with pytest.raises(JournalDamaged):
        Journal.open(path)


def test_a_damaged_journal_is_left_as_it_is_and_unlocked(path: Path) -> None:
    fill(path)
    path.write_bytes(b"garbage\n" + path.read_bytes() + b"torn")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(JournalDamaged):
            Journal.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("score", ["NaN", "Infinity", "1e999", "null"])
def test_a_score_that_is_not_a_finite_number_cannot_be_read(path: Path, score: str) -> None:
    fill(path)
    end = '{"type":"finished","trial":1,"usage":{"started_at":1.0},'
    end += '"outcome":{"type":"completed","score":SCORE}}'
    line = '{"number":5,"at":5.0,"event":EVENT}\n'.replace("EVENT", end.replace("SCORE", score))
    path.write_text(path.read_text() + line)
    with pytest.raises(JournalDamaged):
        read(path)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_a_finite_number_cannot_be_written(path: Path, score: float) -> None:
    fill(path)
    before = path.read_bytes()
    with Journal.open(path) as journal, pytest.raises(ValueError):
        journal.append(Finished(1, Completed(score), Usage(1.0)), 5.0)
    assert path.read_bytes() == before


def test_text_that_is_no_unicode_is_refused_before_a_byte_is_written(path: Path) -> None:
    with Journal.open(path) as journal, pytest.raises(ValueError):
        journal.append(Finished(1, Crashed("\ud800"), Usage(1.0)), 5.0)
    assert path.read_bytes() == b""


def test_newlines_in_what_a_candidate_printed_stay_within_one_line(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.append(Lost(1, 'a\nb\r\n{"number":2}\n\u2028\0'), 1.0)
    assert path.read_bytes().count(b"\n") == 1
    assert read(path)[0].event == Lost(1, 'a\nb\r\n{"number":2}\n\u2028\0')


def test_a_second_scheduler_is_refused_by_name_of_the_first(path: Path) -> None:
    with elsewhere(HOLD, str(path)) as first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        with pytest.raises(
            BadInput, match=rf"another scheduler \(pid {first.pid}, since .*\) is running demo; "
        ):
            Journal.open(path)
        first.communicate("")
    Journal.open(path).close()


def test_a_scheduler_that_was_killed_holds_nothing(path: Path) -> None:
    with elsewhere(HOLD, str(path)) as first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        first.kill()
        first.communicate()
    Journal.open(path).close()


def test_one_process_does_not_open_a_run_twice_either(path: Path) -> None:
    with Journal.open(path), pytest.raises(BadInput, match="is running demo"):
        Journal.open(path)


def test_a_device_is_held_by_one_scheduler_and_other_devices_are_free(tmp_path: Path) -> None:
    with hold_device("cuda:0", tmp_path):
        with pytest.raises(BadInput, match=r"another scheduler \(pid \d+, since .*\) is using cuda:0; "):
            hold_device("cuda:0", tmp_path).__enter__()
        with hold_device("cuda:1", tmp_path), hold_device("cpu", tmp_path):
            pass
    with hold_device("cuda:0", tmp_path):
        pass


def test_cards_that_another_scheduler_holds_are_passed_over(tmp_path: Path) -> None:
    with hold_device("b", tmp_path):
        with hold_cards(("a", "b", "c"), 2, tmp_path) as held:
            assert held == ("a", "c")
        with pytest.raises(BadInput, match="is using b; "):
            hold_cards(("a", "b", "c"), 3, tmp_path).__enter__()
        with hold_device("a", tmp_path):  # which was given back
            pass
    with pytest.raises(BadInput, match="--gpus 4: only 3 can be seen"):
        hold_cards(("a", "b", "c"), 4, tmp_path).__enter__()


def test_a_full_disk_is_one_clear_error_and_leaves_whole_lines(path: Path) -> None:
    fill(path)
    before = path.read_bytes()
    code = """
import resource, sys; from pathlib import Path
from population.journal import Journal; from population.records import Lost
from trainer.errors import BadInput
path = Path(sys.argv[1])
with Journal.open(path) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, resource.RLIM_INFINITY))
    for reason in "long " * 100, "long " * 100:
        try: journal.append(Lost(1, reason), 5.0)
        except BadInput as error: print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(path.stat().st_size)
    journal.append(Lost(1, "there is room again"), 6.0)
"""
    with elsewhere(code, str(path)) as process:
        first, second, size = process.communicate()[0].splitlines()
    assert first == second and "only 100 of" in first and "make room" in first
    assert int(size) == len(before)
    assert read(path)[-1] == Entry(5, 6.0, Lost(1, "there is room again"))


def test_a_journal_that_cannot_be_written_or_found_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="make its folder writable"):
        Journal.open(tmp_path / "file" / "journal.jsonl")
    with pytest.raises(BadInput, match="is the run's name right"):
        read(tmp_path / "missing" / "journal.jsonl")
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(BadInput, match="cannot write the journal"):
        Journal.open(tmp_path / "journal.jsonl")


def test_ten_thousand_trials_are_read_in_seconds(path: Path) -> None:
    entries = [Entry(1, 1.0, started())]
    for n in range(1, 10_001):
        for event in (Lost(n, "x" * 80), Finished(n, Completed(0.9), Usage(1.0)), Resumed()):
            entries.append(Entry(len(entries) + 1, 1.0, event))
        entries.append(Entry(len(entries) + 1, 1.0, Lost(n, str(candidate(n, "l1", ("a" * 40,))))))
    path.write_bytes(written(entries))
    begun = time.process_time()
    assert len(read(path)) == 40_001
    assert time.process_time() - begun < 2.0
