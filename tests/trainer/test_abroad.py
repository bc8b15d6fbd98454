"""A task that is sent to a machine without the run's files."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from trainer.abroad import LARGEST_MB, ROOT, packed, settled, taken
from trainer.errors import BadInput
from trainer.task import Task, open_task
from trainer.trial import Order

MAKES_DATA = """
import os, pathlib
METRIC, BUDGET_S = "loss", 5
DATA = pathlib.Path(os.environ["LINEAGES_TASK"]) / "data" / "rows"
def examine(submission, serve): return {}
def ready(): return DATA.exists()
def fingerprint(): return DATA.read_text()
if __name__ == "__main__":
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(pathlib.Path(os.environ["LINEAGES_TASK"]).joinpath("words").read_text())
"""


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """One that makes its data, and has a file of its own for that."""
    folder = tmp_path / "task"
    folder.mkdir()
    for name, text in {"train.py": "X = 1\n", "program.md": "Look.\n", "prepare.py": MAKES_DATA}.items():
        (folder / name).write_text(text)
    (folder / "words").write_text("one two")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("")
    return open_task(folder, "cpu")


def test_what_a_task_makes_is_not_sent_but_made_again_once(task: Task, tmp_path: Path) -> None:
    parcel = packed(task, walled=False)
    assert sorted(parcel.files) == ["prepare.py", "program.md", "train.py", "words"]
    first = settled(parcel, tmp_path / "cache", tmp_path)
    made = Path(first.folder) / "data" / "rows"
    assert made.read_text() == "one two"
    made_at = made.stat().st_mtime_ns
    assert settled(parcel, tmp_path / "cache", tmp_path).folder == first.folder
    assert made.stat().st_mtime_ns == made_at


def test_the_task_that_was_pinned_is_sent_whatever_became_of_its_folder(task: Task, tmp_path: Path) -> None:
    (Path(task.folder) / "prepare.py").write_text("raise SystemExit\n")
    abroad = settled(packed(task, walled=False), tmp_path, tmp_path)
    assert (Path(abroad.folder) / "prepare.py").read_text() == MAKES_DATA


def test_an_order_has_the_paths_of_the_machine_it_is_carried_out_on(task: Task, tmp_path: Path) -> None:
    abroad = settled(packed(task, walled=False), tmp_path / "cache", tmp_path)
    order = Order(7, "X = 2\n", 3, task, "/elsewhere/7.log", "/elsewhere/scratch")
    carried = abroad.carried(order)
    assert "elsewhere" not in f"{carried}" and task.folder not in f"{carried}"
    home = replace(order, task=replace(task, folder=abroad.folder), log=carried.log, scratch=carried.scratch)
    assert carried == home == abroad.carried(order)


def test_a_machine_with_another_torch_is_refused(task: Task, tmp_path: Path) -> None:
    parcel = packed(task, walled=False)
    there = replace(parcel, ground=replace(parcel.ground, torch="1.0"))
    with pytest.raises(
        BadInput, match=r"has Python .*; the run began on Python .*, torch 1\.0 and \d+ cores$"
    ):
        settled(there, tmp_path, tmp_path)


def test_a_machine_that_makes_other_data_is_refused(task: Task, tmp_path: Path) -> None:
    parcel = packed(task, walled=False)
    with pytest.raises(BadInput, match="are not those the run began with"):
        settled(replace(parcel, files=parcel.files | {"words": b"three"}), tmp_path, tmp_path)


def test_what_was_left_half_written_is_removed_when_the_task_comes_again(task: Task, tmp_path: Path) -> None:
    parcel = packed(task, walled=False)
    folder = Path(settled(parcel, tmp_path / "cache", tmp_path).folder)
    (folder / ".words.partial").write_text("on")
    settled(parcel, tmp_path / "cache", tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["data", *sorted(parcel.files)]


def test_a_machine_without_room_is_refused(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.abroad.LEAST_FREE_MB", 10**12)
    with pytest.raises(BadInput, match=r"MB are free in .*; make room for 10+, or leave that machine out$"):
        settled(packed(task, walled=False), tmp_path / "cache", tmp_path)


def test_a_log_that_is_on_its_way_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "7.log").write_text("this is 7\n")
    assert taken(tmp_path / "7.log") == b"this is 7\n" and not [*tmp_path.iterdir()]


def test_a_folder_that_is_too_large_to_send_is_refused(task: Task) -> None:
    with (Path(task.folder) / "large").open("wb") as file:
        file.truncate((LARGEST_MB + 1) * 2**20)
    with pytest.raises(BadInput, match=f"holds more than {LARGEST_MB} MB to send"):
        packed(task, walled=False)


def test_of_this_repository_only_the_task_is_sent() -> None:
    task = Task(str(ROOT), "METRIC = 1\n", "loss", 5.0, None, "", "cpu", "cpu")
    assert sorted(packed(task, walled=False).files) == ["prepare.py", "program.md", "train.py"]
