"""The command that starts a run like another, as one would paste it."""

import shlex
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from population.beginning.beginning import ROOT, Asked
from population.beginning.minds import dealt, named
from population.keeping import runs
from results.page.reproduce import again, command, git, typed
from scheduler import app

PINNED = {
    "lineages": 3, "policy": "promise", "seed": 7, "trials": 40, "hours": None, "max_cost": 2.5,
    "briefs": [{"name": "bold", "text": "Be bold."}, {"name": "calm one", "text": "Be calm."}],
    "proposers": ["llm/openai/x", "agent/claude", "mutate/tpe"],
    "agents": {"claude": "claude -p  {prompt}"},
    "answers": "knobs", "sandbox": "off", "racing": True,
    "task": {"folder": str(ROOT), "budget_s": 300.0, "device": "cuda"},
}  # fmt: skip


def pasted(folder: Path, **settings: object) -> Asked:
    """What the scheduler is asked for by the command of a run with these settings."""
    (folder / "settings.json").write_bytes(msgspec.json.encode(PINNED | settings))
    line = again(folder)
    assert line is not None
    uv, run, program, *words = shlex.split(line)
    assert (uv, run, program) == ("uv", "run", "scheduler.py")
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    asked = bound.arguments["asked"]
    assert isinstance(asked, Asked)
    return asked


def test_pasted_it_asks_for_what_the_run_was_asked_for(tmp_path: Path) -> None:
    asked = pasted(tmp_path)
    program = (tmp_path / "briefs",)  # which stands for the two in it
    assert asked == Asked(
        lineages=3, policy="promise", seed=7, trials=40, max_cost=2.5, program=program, budget=300.0,
        device="cuda", answers="knobs", sandbox="off", proposer=("llm", "agent", "mutate/tpe"),
        model=("openai/x",), agent=("claude -p  {prompt}",),
    )  # fmt: skip


def test_the_briefs_it_names_are_those_that_were_pinned(tmp_path: Path) -> None:
    names = [{"name": name, "text": f"Look at {name}."} for name in ("small/calm", "large/calm", "bold")]
    briefs = runs.read_briefs(pasted(tmp_path, briefs=names).program)
    assert [(brief.name, brief.text) for brief in briefs] == [(one["name"], one["text"]) for one in names]


def test_a_brief_that_is_named_like_a_way_out_stays_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (path,) = pasted(folder, briefs=[{"name": "../calm", "text": "Be calm."}]).program
    assert path.resolve().is_relative_to(folder) and [tmp_path / "run"] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "proposers",
    [
        ("mutate/tpe", "mutate/cma"),
        ("mutate/cma",),
        ("llm/a", "llm/b"),
        ("agent/x",),
        ("llm/a", "mutate/tpe"),
    ],
)
def test_minds_are_dealt_as_they_were(proposers: tuple[str, ...], tmp_path: Path) -> None:
    asked = pasted(tmp_path, proposers=proposers, agents={"x": "x -p {prompt}"})
    assert dealt(asked.proposer, asked.model, named(asked.agent)) == proposers


def test_a_run_with_the_usual_brief_task_and_minds_needs_none_of_them_named(tmp_path: Path) -> None:
    usual = {
        "briefs": [{"name": "program", "text": "Improve it."}],
        "proposers": ["mutate/tpe", "mutate/cma"],
    }
    asked = pasted(tmp_path, **usual, answers="edits", sandbox="auto", max_cost=None)
    assert asked == replace(Asked(), lineages=3, seed=7, trials=40, budget=300.0, device="cuda")
    assert not (tmp_path / "briefs").exists()


def test_another_task_is_named_and_briefs_in_the_repository_are_called_as_from_there(tmp_path: Path) -> None:
    line = command(PINNED | {"task": {"folder": "/tasks/hill"}}, ROOT / "results/runs/dawn")
    assert " --task /tasks/hill" in line and " --program results/runs/dawn/briefs " in line


def test_git_is_asked_where_the_branches_of_the_run_are(tmp_path: Path) -> None:
    pasted(tmp_path)
    assert git(tmp_path) == "git"
    pasted(tmp_path, task={"folder": "/else where"})
    assert git(tmp_path) == "git -C '/else where'"
    (tmp_path / "repo").mkdir()
    assert git(tmp_path) == f"git -C {tmp_path}/repo"


def test_of_a_run_whose_settings_are_gone_nothing_is_known(tmp_path: Path) -> None:
    assert again(tmp_path) is None


def test_a_best_that_has_no_branch_of_somebodys_to_go_to_is_not_to_be_merged(tmp_path: Path) -> None:
    pasted(tmp_path)
    assert typed(tmp_path).merges
    (tmp_path / "repo").mkdir()
    assert not typed(tmp_path).merges
