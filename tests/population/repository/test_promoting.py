"""A run's best in the user's own branch: an ordinary merge commit, and nothing lost."""

from pathlib import Path

import pytest

from population.evidence import best
from population.repository.promoting import Checkout
from population.state import Population
from results.merge_message import merge_message
from tests.population.searches import git, make_run, make_task, searched
from trainer.errors import BadInput


@pytest.fixture
def task(tmp_path: Path) -> Path:
    made = make_task(tmp_path / "task")
    git(made, "config", "user.name", "Ada")
    git(made, "config", "user.email", "ada@example.org")
    return made


@pytest.fixture
def run(tmp_path: Path, task: Path) -> Population:
    return searched(make_run(tmp_path, task, trials=14)).population


def top(population: Population) -> str:
    found = best(population)
    assert found is not None and found != population.baseline
    return found


def test_the_best_becomes_an_ordinary_merge_commit_of_the_users(task: Path, run: Population) -> None:
    checkout, before = Checkout.of(task), git(task, "rev-parse", "HEAD").strip()
    checkout.check(top(run))
    made = checkout.merge(top(run), merge_message(run))
    assert git(task, "log", "-1", "--format=%H %P %an").split() == [made, before, top(run), "Ada"]
    assert git(task, "status", "--porcelain") == "" and checkout.has(top(run))
    assert (task / "train.py").read_text() == git(task, "show", f"{top(run)}:train.py")


def test_the_message_tells_the_claim_and_every_step_of_the_way(run: Population) -> None:
    subject, _, *body = merge_message(run).splitlines()
    assert subject.startswith("Merge the best of run run0: loss lower by ")
    steps = run.path(top(run))[1:]
    assert steps and [line.split(":")[0] for line in body[-len(steps) :]] == [
        f"- trial {trial.number}" for trial in steps
    ]


def test_unsaved_work_that_the_merge_would_touch_stops_it_and_other_work_does_not(
    task: Path, run: Population
) -> None:
    checkout = Checkout.of(task)
    (task / "notes.txt").write_text("mine")
    (task / "program.md").write_text("changed")
    checkout.check(top(run))
    (task / "train.py").write_text("X = 9.0\n")
    with pytest.raises(BadInput, match=r"train\.py has unsaved changes"):
        checkout.check(top(run))
    assert (task / "train.py").read_text() == "X = 9.0\n"


def test_a_branch_that_changed_the_same_lines_is_left_alone(task: Path, run: Population) -> None:
    text = (task / "train.py").read_text()
    (task / "train.py").write_text(text.replace("X = 3.0", "X = 2.5").replace("RATE = 0.5", "RATE = 0.4"))
    git(task, "commit", "-qam", "by hand")
    head = git(task, "rev-parse", "HEAD")
    with pytest.raises(BadInput, match=r"changed the same lines of train\.py"):
        Checkout.of(task).check(top(run))
    assert git(task, "rev-parse", "HEAD") == head and git(task, "status", "--porcelain") == ""


def test_a_merge_that_a_hook_refuses_says_so(task: Path, run: Population) -> None:
    hook = task / ".git" / "hooks" / "pre-merge-commit"
    hook.write_text("#!/bin/sh\necho not on a Monday >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(BadInput, match="not on a Monday"):
        Checkout.of(task).merge(top(run), merge_message(run))
    assert git(task, "status", "--porcelain") == ""


def test_a_task_in_no_repository_has_no_branch_to_merge_into(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no git repository"):
        Checkout.of(tmp_path)
