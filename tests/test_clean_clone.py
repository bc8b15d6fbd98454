"""The first command of the README on a clean clone: data prepared, a real GPT trained and examined."""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from population.genome import knobs
from population.journal import read
from population.state import Population, replay

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A clone of this repository in which a trial of two seconds has run."""
    with tempfile.TemporaryDirectory(prefix="lin", ignore_cleanup_errors=True) as home:
        folder = Path(home) / "lineages"
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(folder)], check=True)
        command = [sys.executable, "scheduler.py", "--lineages", "2", "--name", "first", "--trials", "1"]
        env = os.environ | {"TMPDIR": home}
        env.pop("LINEAGES_RUNS", None)
        done = subprocess.run(
            [*command, "--budget", "2", "--device", "cpu"],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        yield folder


@pytest.fixture
def population(clone: Path) -> Population:
    return replay(read(clone / "results" / "runs" / "first" / "journal.jsonl"))


@pytest.mark.slow
@pytest.mark.alone
def test_the_baseline_learns_something_in_its_budget(population: Population) -> None:
    assert population.baseline_score is not None
    guessing_bpb = math.log2(512)  # at best: a token is a byte or more
    assert 1.0 < population.baseline_score < 0.6 * guessing_bpb
    usage = population.trials[1].usage
    assert usage is not None
    assert usage.steps > 1 and usage.trained_tokens > 1000  # a busy machine takes a second a step


@pytest.mark.slow
def test_the_first_genome_is_sized_to_the_machine_in_a_commit_of_its_own(
    clone: Path, population: Population
) -> None:
    assert population.baseline is not None
    show = ["git", "show", f"{population.baseline}:trainer/train.py"]
    sized = knobs(subprocess.run(show, cwd=clone, capture_output=True, text=True, check=True).stdout)
    committed = knobs((clone / "trainer" / "train.py").read_text())
    assert int(sized["DEPTH"]) < int(committed["DEPTH"])
    assert population.candidates[1].parents == (population.run.head,)


@pytest.mark.slow
def test_the_clone_has_nothing_to_commit_afterwards(clone: Path) -> None:
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True)
    assert status.stdout == ""
