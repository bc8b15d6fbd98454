"""A run's folder: names, briefs, settings that survive."""

from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from population.keeping import runs
from population.keeping.runs import Brief, Settings
from population.names import lineage_name
from trainer.errors import BadInput
from trainer.task import Task

SETTINGS = Settings(
    run="demo",
    created_at=1e9,
    task=Task("/task", "METRIC = 'loss'\n", "loss", 5.0, None, "hash", "", "cpu"),
    briefs=(Brief("one", "Look here."), Brief("two", "Look there.")),
    proposers=("mutate/tpe", "mutate/cma"),
    lineages=3,
    policy="promise",
    seed=7,
    trials=None,
    hours=8.0,
    head="a" * 40,
    baseline="b" * 40,
)


def test_settings_read_back_as_they_were_saved(tmp_path: Path) -> None:
    runs.save(runs.new_folder(tmp_path, "demo"), SETTINGS)
    assert runs.load(runs.find(tmp_path, "demo")) == SETTINGS


def test_a_name_that_is_taken_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    runs.save(runs.new_folder(tmp_path, "demo"), SETTINGS)
    with pytest.raises(BadInput, match=r"--name.*--resume demo"):
        runs.new_folder(tmp_path, "demo")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 65, "a.lock", "ä"])
def test_a_name_that_cannot_name_a_branch_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="letters"):
        runs.new_folder(tmp_path, name)


def test_an_unknown_run_is_answered_with_those_there_are(tmp_path: Path) -> None:
    runs.save(runs.new_folder(tmp_path, "demo"), SETTINGS)
    with pytest.raises(BadInput, match=r"no run 'dmo'.*there are: demo"):
        runs.find(tmp_path, "dmo")


def test_damaged_settings_are_refused(tmp_path: Path) -> None:
    runs.save(runs.new_folder(tmp_path, "demo"), SETTINGS)
    folder = runs.find(tmp_path, "demo")
    folder.settings.write_text("{")
    with pytest.raises(BadInput, match="damaged"):
        runs.load(folder)


def test_a_resumed_run_keeps_its_limits_unless_told_otherwise() -> None:
    assert runs.resumed(SETTINGS, None, None) == SETTINGS
    assert runs.resumed(SETTINGS, 50, None) == replace(SETTINGS, trials=50)


def test_a_run_nobody_named_is_named_by_the_time_and_never_twice(tmp_path: Path) -> None:
    now = datetime(2026, 3, 5, 9, 7)
    assert runs.free_name(tmp_path, now) == "mar05-0907"
    (tmp_path / "mar05-0907").mkdir()
    assert runs.free_name(tmp_path, now) == "mar05-0907-2"


def test_briefs_and_proposers_are_dealt_so_that_no_brief_keeps_one_proposer() -> None:
    dealt = [(name, b.name, proposer) for name, b, proposer in runs.deal(replace(SETTINGS, lineages=4))]
    assert dealt == [
        ("amber", "one", "mutate/tpe"),
        ("birch", "two", "mutate/cma"),
        ("cedar", "one", "mutate/cma"),
        ("dune", "two", "mutate/tpe"),
    ]


def test_briefs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "program.md").write_text(f"Look at {folder}.")
    briefs = runs.read_briefs([tmp_path / "a" / "program.md", tmp_path / "b"])
    assert briefs == (Brief("a/program", "Look at a."), Brief("b/program", "Look at b."))


def test_lineage_names_never_repeat() -> None:
    assert len({lineage_name(n) for n in range(200)}) == 200


def test_a_folder_stands_for_its_briefs_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "notes.txt"):
        (tmp_path / name).write_text("Look.")
    assert [brief.name for brief in runs.read_briefs([tmp_path])] == ["a", "b"]


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_brief_that_says_nothing_readable_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "brief.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"brief\.md"):
        runs.read_briefs([path])
