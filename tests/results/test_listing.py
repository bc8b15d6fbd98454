"""The list of runs: one row each, whatever state they are in."""

import io
import os
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from synthetic_runs import Story

from population.journal import Journal
from population.records import Crashed, Ended
from results.listing import listing


def kept(runs: Path, name: str, story: Story, at: float) -> Path:
    """A story as the journal of a run that was last written at `at` (unix seconds)."""
    journal = runs / name / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in story.entries))
    os.utime(journal, (at, at))
    return journal


def rows(runs: Path) -> list[list[str]]:
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(listing(runs))
    return [line.split() for line in console.export_text().splitlines()][1:]


def test_without_runs_it_says_where_it_looked(tmp_path: Path) -> None:
    assert listing(tmp_path) == f"no runs yet in {tmp_path}"
    assert listing(tmp_path / "missing") == f"no runs yet in {tmp_path / 'missing'}"


def test_each_run_is_a_row_and_the_latest_is_the_last(tmp_path: Path) -> None:
    ended = Story().begins("amber", "birch", score=2.5)
    ended.tries("birch", "raise DEPTH", 1.5, keep=True)
    ended.happens(Ended("enough"))
    kept(tmp_path, "zoo", ended, at=1e9)
    kept(tmp_path, "ant", Story().begins("amber", score=2.5), at=2e9)
    (tmp_path / "no run").mkdir()
    old, new = rows(tmp_path)
    assert old[:4] == ["zoo", "ended", "2", "2"] and new[:4] == ["ant", "stopped", "1", "1"]
    assert float(old[-1]) < float(old[-2]) and new[-1] == new[-2]


def test_a_run_that_some_process_writes_is_running(tmp_path: Path) -> None:
    journal = kept(tmp_path, "ant", Story().begins("amber"), at=1e9)
    with Journal.open(journal):
        assert rows(tmp_path)[0][1] == "running"
    assert rows(tmp_path)[0][1] == "stopped"


@pytest.mark.parametrize("entries", [0, 1, 2])
def test_a_run_that_has_hardly_begun_has_no_scores(tmp_path: Path, entries: int) -> None:
    story = Story().begins("amber")
    story.entries = story.entries[:entries]
    kept(tmp_path, "ant", story, at=1e9)
    assert rows(tmp_path)[0][:3] == ["ant", "stopped", "0"] and rows(tmp_path)[0][-2:] == ["–", "–"]


def test_a_run_whose_baseline_failed_has_no_scores(tmp_path: Path) -> None:
    story = Story().founds("amber")
    story.tries("amber", "the baseline", Crashed("no"), operator="baseline")
    kept(tmp_path, "ant", story, at=1e9)
    assert rows(tmp_path)[0][-2:] == ["–", "–"]


def test_a_damaged_journal_does_not_hide_the_other_runs(tmp_path: Path) -> None:
    kept(tmp_path, "bad", Story(), at=1e9).write_text("{}\n")
    kept(tmp_path, "good", Story().begins("amber"), at=3e9)
    assert {row[0]: row[1] for row in rows(tmp_path)} == {"bad": "damaged", "good": "stopped"}
