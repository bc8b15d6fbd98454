"""The command line as its user types it: real processes, real Ray, the ten-line task."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from population.journal import read
from population.records import Finished, Lost
from population.state import Population, replay

ROOT = Path(__file__).resolve().parent.parent
HILL = ROOT / "benchmarks" / "tasks" / "hill"


class Desk:
    """A folder of runs, a copy of the ten-line task outside any repository, and a scheduler to call."""

    def __init__(self, home: Path) -> None:
        self.home, self.task = home, home / "hill"
        shutil.copytree(HILL, self.task)
        self.runs = home / "runs"
        self._env = os.environ | {"LINEAGES_RUNS": str(self.runs), "TMPDIR": str(home), "NO_COLOR": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "scheduler.py"), *arguments]
        return subprocess.Popen(
            command,
            env=self._env,
            cwd=self.home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        process = self.start(*arguments)
        said, errors = process.communicate(timeout=120)
        return process.returncode, said, errors

    def journal(self, run: str) -> Path:
        return self.runs / run / "journal.jsonl"

    def population(self, run: str) -> Population:
        return replay(read(self.journal(run)))

    def wait_for(self, run: str, trials: int, running: bool = False) -> None:
        """Until so many trials of a run have finished (and another one is running)."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            population = self.population(run) if self.journal(run).exists() else Population()
            if population.finished >= trials and (population.running is not None or not running):
                return
            time.sleep(0.05)
        raise AssertionError(f"{run} did not come to {trials} trials")


@pytest.fixture
def desk() -> Iterator[Desk]:
    home = Path(tempfile.mkdtemp(prefix="desk"))  # short: Ray's sockets have long names and a limit of 107
    yield Desk(home)
    shutil.rmtree(home, ignore_errors=True)


def test_four_lineages_compete_and_leave_what_people_open(desk: Desk) -> None:
    code, said, errors = desk.run("--task", str(desk.task), "--name", "one", "--trials", "12")
    assert (code, errors) == (0, "")
    population = desk.population("one")
    assert population.finished == 12
    assert len(population.living) == 4
    assert [trial.again for trial in population.trials.values()][-2:] == [True, True]  # its finals
    left = desk.runs / "one"
    for name in ("settings.json", "experiments.parquet", "results.tsv", "best/train.py", "best/best.diff"):
        assert (left / name).stat().st_size > 0, name
    assert len(list((left / "logs").iterdir())) == 12
    assert not list((desk.runs / "one" / "scratch").glob("*"))
    assert re.search(r"baseline \d\.\d+( ± \d\.\d+)?, best \d\.\d+( ± \d\.\d+)? loss \(gain \d", said)
    assert "\x1b" not in said


def test_show_prints_the_tree_again(desk: Desk) -> None:
    _, said, _ = desk.run("--task", str(desk.task), "--name", "one", "--trials", "3")
    code, shown, _ = desk.run("show", "one")
    assert code == 0
    assert shown.strip() in said


def test_a_run_killed_at_once_resumes_and_loses_at_most_the_trial_in_flight(desk: Desk) -> None:
    process = desk.start("--task", str(desk.task), "--name", "one", "--trials", "30")
    desk.wait_for("one", 5)
    process.kill()
    process.communicate()
    code, said, _ = desk.run("--resume", "one")
    assert code == 0, said
    events = [entry.event for entry in read(desk.journal("one"))]
    finished = [event.trial for event in events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished)) == 30
    assert len([event for event in events if isinstance(event, Lost)]) <= 1


def test_ctrl_c_finishes_cleanly(desk: Desk) -> None:
    process = desk.start("--task", str(desk.task), "--name", "one", "--trials", "500")
    desk.wait_for("one", 3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to git and Ray too
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert desk.population("one").ended == "stopped by hand"
    assert "way to the best" in said


def test_a_second_ctrl_c_does_not_wait_for_the_trial(desk: Desk) -> None:
    (desk.task / "train.py").write_text("import time\nX = 1\ntime.sleep(60)\n")
    process = desk.start("--task", str(desk.task), "--name", "one", "--budget", "100")
    desk.wait_for("one", 0, running=True)
    begun = time.monotonic()
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.6)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 30
    assert errors == ""
    events = [entry.event for entry in read(desk.journal("one"))]
    assert [type(event).__name__ for event in events[-2:]] == ["Lost", "Ended"]


def test_two_schedulers_on_one_device_or_one_run_are_refused(desk: Desk) -> None:
    process = desk.start("--task", str(desk.task), "--name", "one", "--trials", "500")
    desk.wait_for("one", 1)
    for arguments in (["--task", str(desk.task), "--name", "two"], ["--resume", "one"]):
        code, _, errors = desk.run(*arguments)
        assert code == 2
        assert re.fullmatch(r"error: another scheduler \(pid \d+, since .*\n", errors)
    process.kill()
    process.communicate()


def test_the_repository_of_a_task_is_left_as_it_was(desk: Desk) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(desk.task), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "-q"), git("add", "."), git("commit", "-qm", "task")
    (desk.task / "train.py").write_text("unsaved work\n")
    (desk.task / "notes.txt").write_text("mine\n")
    before = git("status", "--porcelain"), git("rev-parse", "HEAD")
    code, said, _ = desk.run("--task", str(desk.task), "--name", "one", "--trials", "5", "--lineages", "2")
    assert code == 2  # a train.py that does not parse is the user's to mend
    git("stash", "-q"), git("stash", "apply", "-q")
    (desk.task / "train.py").write_text((HILL / "train.py").read_text() + "# unsaved work\n")
    before = git("status", "--porcelain"), git("rev-parse", "HEAD")
    code, said, _ = desk.run("--task", str(desk.task), "--name", "one", "--trials", "5", "--lineages", "2")
    assert code == 0
    assert "unsaved changes" in said
    assert (git("status", "--porcelain"), git("rev-parse", "HEAD")) == before
    assert (desk.task / "train.py").read_text().endswith("# unsaved work\n")
    assert len(git("branch", "--list", "lineages/one/*").split()) == 2
    assert len(git("for-each-ref", "refs/lineages/one/trials").splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lineages", "0"], "--lineages must be more than 0"),
        (["--budget", "-5"], "--budget must be more than 0"),
        (["--budget", "nan"], "--budget must be more than 0"),
        (["--policy", "luck"], "Choose from"),
        (["--proposer", "oracle"], "choose from mutate"),
        (["--program", "missing.md"], "missing.md"),
        (["--resume", "nothing"], "no run 'nothing'"),
        (["show", "nothing"], "no run 'nothing'"),
        (["--name", "a b"], "--name 'a b'"),
        (["--task", "missing"], "missing is not a folder"),
        (["--task", "no_exam"], "must define examine"),
        (["--task", "no_commit"], "git commit"),
        (["--wings", "2"], "Unknown option"),
        (["--trials", "many"], "--trials"),
    ],
)
def test_bad_use_is_one_line_and_exit_code_2(desk: Desk, arguments: list[str], says: str) -> None:
    shutil.copytree(desk.task, desk.home / "no_exam")
    (desk.home / "no_exam" / "prepare.py").write_text("METRIC = 'loss'\nBUDGET_S = 5\n")
    shutil.copytree(desk.task, desk.home / "no_commit")
    subprocess.run(["git", "init", "-q", str(desk.home / "no_commit")], check=True)
    code, said, errors = desk.run(*arguments)
    assert (code, said) == (2, "")
    assert errors.startswith("error: ") and errors.count("\n") == 1
    assert says in errors


def test_no_space_left_stops_the_run_with_one_line_and_it_resumes(desk: Desk) -> None:
    small = desk.home / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can make a small disk")
    try:
        desk._env["LINEAGES_RUNS"], desk.runs = str(small / "runs"), small / "runs"
        code, _, errors = desk.run("--task", str(desk.task), "--name", "one", "--trials", "200")
        assert code == 2
        assert errors.count("\n") == 1 and "No space left" in errors
        done = desk.population("one").finished
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert desk.run("--resume", "one", "--trials", str(done + 3))[0] == 0
        assert desk.population("one").finished == done + 3
    finally:
        subprocess.run(["umount", str(small)], check=True)
