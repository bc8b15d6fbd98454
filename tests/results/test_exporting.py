"""Exports are written by a process that may die, and that neither a full disk nor its own output confuses."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import polars as pl
import psutil
import pytest
from synthetic_runs import Story, searched

from results.exporting import Exporter
from tests.waiting import until
from trainer.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = """
import sys
from pathlib import Path
from results.exporting import answer

def genome_of(commit):
    print("what is printed is no answer")
    {body}

answer(Path({folder!r}), genome_of)
"""
Begun = Callable[..., Exporter]


@pytest.fixture
def story(tmp_path: Path) -> Story:
    found = searched(30)
    write(found, tmp_path)
    return found


def write(story: Story, folder: Path) -> None:
    (folder / "journal.jsonl").write_bytes(b"".join(msgspec.json.encode(e) + b"\n" for e in story.entries))


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begun]:
    """Begins what writes the exports of the folder; `body` gives the text of a commit's genome."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made: list[Exporter] = []

    def begin(body: str = "return f'X = {commit!r}\\n'", most: int = 100) -> Exporter:
        command = [sys.executable, "-c", ANSWERS.format(body=body, folder=str(tmp_path))]
        made.append(Exporter(command, most).__enter__())
        return made[-1]

    yield begin
    for exporter in made:
        exporter.__exit__(None, None, None)


def writers() -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any("results.exporting" in word for word in child.cmdline()):
                found.append(child)
    return found


def unasked(commit: str) -> str:
    raise AssertionError("the process asks by itself")


def exported(folder: Path) -> int:
    return len(pl.read_parquet(folder / "experiments.parquet"))


def test_they_are_those_of_the_journal_as_it_is_when_asked(tmp_path: Path, begun: Begun) -> None:
    export, story = begun(), Story().begins("cedar")
    for number in range(1, 4):
        write(story, tmp_path)
        export(tmp_path, story.population, unasked)
        assert exported(tmp_path) == number
        story.tries("cedar", "an idea", 2.5 - number / 10, keep=True)
    assert (tmp_path / "best" / "train.py").read_text().startswith("X = ")
    assert (tmp_path / "tree.html").exists()


def test_one_that_was_killed_has_a_successor(tmp_path: Path, story: Story, begun: Begun) -> None:
    export = begun()
    for _ in range(2):
        (writer,) = writers()
        writer.kill()
        export(tmp_path, story.population, unasked)
        assert exported(tmp_path) == 30
        (tmp_path / "experiments.parquet").unlink()
    assert len(writers()) == 1


def test_one_that_dies_each_time_is_told_of(tmp_path: Path, story: Story, begun: Begun) -> None:
    with pytest.raises(ChildProcessError, match="twice"):
        begun("raise ZeroDivisionError")(tmp_path, story.population, unasked)


def test_a_new_one_follows_after_so_many(tmp_path: Path, story: Story, begun: Begun) -> None:
    export, before = begun(most=2), writers()
    export(tmp_path, story.population, unasked)
    assert writers() == before
    export(tmp_path, story.population, unasked)
    until(lambda: len(writers()) == 1 and writers() != before)
    export(tmp_path, story.population, unasked)
    assert exported(tmp_path) == 30


def test_what_the_system_refuses_is_raised_as_it_was_and_the_next_may_go_well(
    tmp_path: Path, story: Story, begun: Begun
) -> None:
    full = tmp_path / "full"
    fails = "raise OSError(28, 'no room', 'train.py')"
    export = begun(f"if Path({str(full)!r}).exists(): {fails}\n    return ''")
    full.touch()
    with pytest.raises(OSError, match="no room") as raised:
        export(tmp_path, story.population, unasked)
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == "train.py"
    full.unlink()
    export(tmp_path, story.population, unasked)
    assert (tmp_path / "best" / "best.diff").exists()


def test_a_repository_that_is_gone_is_told_of_in_a_line(tmp_path: Path, story: Story, begun: Begun) -> None:
    export = begun("from trainer.errors import BadInput; raise BadInput('no repository')")
    with pytest.raises(BadInput, match="no repository"):
        export(tmp_path, story.population, unasked)


def test_it_does_not_hear_ctrl_c_and_ends_with_its_scheduler(
    tmp_path: Path, story: Story, begun: Begun
) -> None:
    export = begun()
    (writer,) = writers()
    assert os.getpgid(writer.pid) != os.getpgrp()
    export.__exit__(None, None, None)
    assert not writer.is_running()


def test_the_scheduler_imports_nothing_that_draws() -> None:
    says = "import sys, scheduler; print({'polars', 'altair', 'vl_convert'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", says], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
