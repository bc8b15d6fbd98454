"""The command line as its user types it: real processes, real Ray, the ten-line task."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from population.journal import read
from population.records import Finished, Lost
from population.state import Population, replay

ROOT = Path(__file__).resolve().parent.parent
HILL = ROOT / "benchmarks" / "tasks" / "hill"
BAD_USES = [
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
    (["--task", "no_program"], "train.py, line 1: invalid syntax"),
    (["--gpus", "2", "--device", "cpu"], "--gpus 2: on one CPU"),
    (["--address", "ray://here:1"], "say auto, or HOST:PORT"),
    (["--address", "127.0.0.1:1"], "no cluster answers there"),
    (["--wings", "2"], "Unknown option"),
    (["--trials", "many"], "--trials"),
]
EACH_IN_A_FORK = """
import json, os, sys
import scheduler
for number, arguments in enumerate(json.loads(sys.argv[1])):
    if os.fork() == 0:
        for stream, kind in ((1, "said"), (2, "errors")):
            os.dup2(os.open(f"{number}.{kind}", os.O_WRONLY | os.O_CREAT), stream)
        code = scheduler.main(arguments)
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)  # taking apart what was imported takes a second
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


class Desk:
    """A folder of runs, a copy of the ten-line task outside any repository, and a scheduler to call."""

    def __init__(self, home: Path) -> None:
        self.home, self.task = home, home / "hill"
        shutil.copytree(HILL, self.task)
        self.runs = home / "runs"
        self._env = os.environ | {"LINEAGES_RUNS": str(self.runs), "TMPDIR": str(home), "NO_COLOR": "1"}
        self._env["PYTHONPATH"] = str(ROOT)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return self._started(str(ROOT / "scheduler.py"), *arguments)

    def _started(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self._env,
            cwd=self.home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        return self.python(str(ROOT / "scheduler.py"), *arguments)

    def python(self, *arguments: str) -> tuple[int, str, str]:
        return self.ended(self._started(*arguments))

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
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
            if population.finished >= trials and (bool(population.running) or not running):
                return
            time.sleep(0.05)
        raise AssertionError(f"{run} did not come to {trials} trials")


@contextmanager
def furnished() -> Iterator[Desk]:
    home = Path(tempfile.mkdtemp(prefix="desk"))  # short: Ray's sockets have long names and a limit of 107
    yield Desk(home)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with furnished() as desk:
        yield desk


class Used(Struct, frozen=True):
    """What became of a command: its exit code, output and errors; and the desk it was given at."""

    desk: Desk
    code: int
    said: str
    errors: str


def git(task: Path, *arguments: str) -> str:
    command = ["git", "-C", str(task), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit_all(task: Path) -> None:
    git(task, "init", "-q"), git(task, "add", "."), git(task, "commit", "-qm", "task")


@pytest.fixture(scope="module")
def done() -> Iterator[Used]:
    """A run of twelve trials, come to its end, in a repository with unsaved work."""
    with furnished() as desk:
        commit_all(desk.task)
        (desk.task / "train.py").write_text((HILL / "train.py").read_text() + "# unsaved work\n")
        (desk.task / "notes.txt").write_text("mine\n")
        (desk.home / "before").write_text(git(desk.task, "status", "--porcelain"))
        yield Used(desk, *desk.run("--task", str(desk.task), "--name", "one", "--trials", "12"))


def test_four_lineages_compete_and_leave_what_people_open(done: Used) -> None:
    assert (done.code, done.errors) == (0, "")
    population = done.desk.population("one")
    assert population.finished == 12
    assert len(population.living) == 4
    again = [trial.number for trial in population.trials.values() if trial.again]
    assert again[0] == 2 and again[-1] == 12  # the baseline at first, the best at last
    left = done.desk.runs / "one"
    for name in ("settings.json", "experiments.parquet", "results.tsv", "best/train.py", "best/best.diff"):
        assert (left / name).stat().st_size > 0, name
    assert len(list((left / "logs").iterdir())) == 12
    assert not list((left / "scratch").glob("*"))
    assert re.search(r"baseline \d\.\d+( ± \d\.\d+)?, best \d\.\d+( ± \d\.\d+)? loss \(gain \d", done.said)
    assert "\x1b" not in done.said


def test_show_prints_the_tree_again(done: Used) -> None:
    code, shown, _ = done.desk.run("show", "one")
    assert code == 0
    assert shown.strip() in done.said


def test_the_repository_of_a_task_is_left_as_it_was(done: Used) -> None:
    task = done.desk.task
    assert "unsaved changes" in done.said
    assert git(task, "status", "--porcelain") == (done.desk.home / "before").read_text()
    assert git(task, "log", "--format=%s", "HEAD") == "task\n"
    assert (task / "train.py").read_text().endswith("# unsaved work\n")
    assert (task / "notes.txt").read_text() == "mine\n"
    assert len(git(task, "branch", "--list", "lineages/one/*").split()) == 4
    assert len(git(task, "for-each-ref", "refs/lineages/one/trials").splitlines()) == 12


@pytest.fixture(scope="module")
def killed() -> Iterator[tuple[Desk, list[Used]]]:
    """A run of sixteen trials, killed on the way, and what became of two that would not wait for it."""
    with furnished() as desk:
        process = desk.start("--task", str(desk.task), "--name", "one", "--trials", "16")
        desk.wait_for("one", 1)
        others = [["--task", str(desk.task), "--name", "two"], ["--resume", "one"]]
        refused = [desk.ended(other) for other in [desk.start(*arguments) for arguments in others]]
        process.kill()
        process.communicate()
        yield desk, [Used(desk, *other) for other in refused]


def test_two_schedulers_on_one_device_or_one_run_are_refused(killed: tuple[Desk, list[Used]]) -> None:
    for other in killed[1]:
        assert other.code == 2
        assert re.fullmatch(r"error: another scheduler \(pid \d+, since .*\n", other.errors)


@pytest.fixture(scope="module")
def resumed(killed: tuple[Desk, list[Used]]) -> Used:
    """The killed run, gone on with for a while and stopped by Ctrl-C."""
    desk, _ = killed
    had = desk.population("one").finished
    process = desk.start("--resume", "one", "--trials", "500")
    desk.wait_for("one", had + 4)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to git and Ray too
    return Used(desk, *desk.ended(process))


def test_a_run_killed_at_once_resumes_and_loses_at_most_the_trial_in_flight(resumed: Used) -> None:
    events = [entry.event for entry in read(resumed.desk.journal("one"))]
    finished = [event.trial for event in events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished)) >= 5
    assert len([event for event in events if isinstance(event, Lost)]) <= 1


def test_ctrl_c_finishes_cleanly(resumed: Used) -> None:
    assert (resumed.code, resumed.errors) == (0, "")
    assert resumed.desk.population("one").ended == "stopped by hand"
    assert "best genome" in resumed.said and "trials in" in resumed.said


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


@pytest.fixture(scope="module")
def misused() -> Iterator[list[Used]]:
    """What each bad use comes to, in a process of its own. They share the imports, which take a second."""
    with furnished() as desk:
        shutil.copytree(desk.task, desk.home / "no_exam")
        (desk.home / "no_exam" / "prepare.py").write_text("METRIC = 'loss'\nBUDGET_S = 5\n")
        shutil.copytree(desk.task, desk.home / "no_commit")
        git(desk.home / "no_commit", "init", "-q")
        shutil.copytree(desk.task, desk.home / "no_program")
        commit_all(desk.home / "no_program")
        (desk.home / "no_program" / "train.py").write_text("unsaved work\n")
        _, codes, _ = desk.python("-c", EACH_IN_A_FORK, json.dumps([arguments for arguments, _ in BAD_USES]))
        yield [
            Used(desk, int(code), *((desk.home / f"{n}.{kind}").read_text() for kind in ("said", "errors")))
            for n, code in enumerate(codes.split())
        ]


@pytest.mark.parametrize("number", range(len(BAD_USES)), ids=lambda number: " ".join(BAD_USES[number][0]))
def test_bad_use_is_one_line_and_exit_code_2(misused: list[Used], number: int) -> None:
    came, says = misused[number], BAD_USES[number][1]
    assert (came.code, came.said) == (2, "")
    assert came.errors.startswith("error: ") and came.errors.count("\n") == 1
    assert says in came.errors


def test_the_shell_is_told_of_bad_use(desk: Desk) -> None:
    assert desk.run("--lineages", "0") == (2, "", "error: --lineages must be more than 0, not 0\n")


@pytest.mark.slow
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
