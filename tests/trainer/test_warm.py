"""A forked process is like a started one, hands nothing on to the next, and ends with whom it belongs to."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]
import pytest

from tests.waiting import until
from trainer.outcome import Completed
from trainer.running.launch import Process, Start, cold
from trainer.sandbox import confined, environment
from trainer.task import open_task
from trainer.trial import Order, run_trial
from trainer.warm.forks import Forks, Lost
from trainer.warm.harness import Warm, imported

ROOT = Path(__file__).parents[2]
HILL = ROOT / "benchmarks" / "tasks" / "hill"
NOTHING: frozenset[str] = frozenset()


@pytest.fixture
def forks(warm: Warm, tmp_path: Path) -> Forks:
    return having(warm, NOTHING, tmp_path)


def having(warm: Warm, packages: frozenset[str], home: Path) -> Forks:
    """From a server that stays when the block ends, until another takes its place."""
    with warm.start(packages, "cpu", home) as start:
        assert isinstance(start, Forks), warm.problem
        return start


class Cell:
    """A scratch folder in which confined scripts run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.printed = folder, folder / "printed"

    def begin(self, start: Start, code: str, *words: str, inherited: tuple[int, ...] = ()) -> Process:
        (self.folder / "train.py").write_text(code)
        command = confined([sys.executable, "train.py", *words], "cpu")
        env = environment(str(self.folder), "cpu", {"LINEAGES_SEED": "7"})
        with self.printed.open("wb") as printed:
            return start(command, self.folder, env, printed.fileno(), inherited)

    def run(self, start: Start, code: str, *words: str, inherited: tuple[int, ...] = ()) -> tuple[int, str]:
        """Exit code, and what was printed."""
        code_ = self.begin(start, code, *words, inherited=inherited).wait(60)
        return code_, self.printed.read_text()

    def left(self) -> str:
        """What the file `left` holds, if a script left one."""
        file = self.folder / "left"
        text = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return text

    def sleeps(self, start: Start) -> tuple[Process, psutil.Process]:
        """A process that is asleep, by its supervisor and by itself."""
        process = self.begin(start, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
        until(lambda: self.printed.read_text().endswith("\n"))
        return process, psutil.Process(int(self.printed.read_text()))


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)


CIRCUMSTANCES = """
import ctypes, json, os, resource, signal, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
death = ctypes.c_int()
libc.prctl(2, ctypes.byref(death))
circumstances = {
    "python": [sys.argv, sys.path, str(sys.flags), sys.dont_write_bytecode, hash("lineages")],
    "harness": sorted(name for name in sys.modules if name.partition(".")[0] == "trainer"),
    "main": [__name__, __file__, sorted(globals()), sys.modules["__main__"].__dict__ is globals()],
    "output": [sys.stdout.encoding, sys.stdout.write_through, sys.stdout.line_buffering, sys.stdin.read()],
    "environment": [sorted(os.environ.items()), *(str(libc.getenv(name.encode())) for name in os.environ)],
    "place": [os.getcwd(), os.umask(0), os.nice(0), len(os.sched_getaffinity(0))],
    "session": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid(), death.value, libc.prctl(3)],
    "descriptors": sorted(os.readlink(f"/proc/self/fd/{fd}").replace(str(os.getpid()), "PID")
        for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")),
    "status": [item for item in status.items() if item[0][:3] in ("Cap", "NoN", "Sec", "Uid", "Gid", "Thr")],
    "signals": [status[name] for name in ("SigBlk", "SigIgn", "SigCgt", "ShdPnd")],
    "limits": [resource.getrlimit(number) for number in range(16) if number != resource.RLIMIT_NPROC],
    "memory runs out": open("/proc/self/oom_score_adj").read(),
}
print(json.dumps(circumstances, indent=1))
"""


def test_a_forked_process_finds_itself_in_the_circumstances_of_a_started_one(
    cell: Cell, forks: Forks
) -> None:
    ends = os.pipe()
    started, forked = (
        cell.run(start, CIRCUMSTANCES, "one", "two", inherited=ends[:1]) for start in (cold, forks)
    )
    for end in ends:
        os.close(end)
    assert forked[1].splitlines() == started[1].splitlines()
    assert started[0] == 0 and "pipe:" in started[1]


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    raise ValueError('no such\\nlayer')\nf()",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('k') from error",
        "def f(:",
        "import sys; sys.excepthook = lambda kind, error, trace: print(kind.__name__); 1 / 0",
        "raise KeyboardInterrupt",
        "raise SystemExit('sorry')",
        "import atexit; atexit.register(print, 'bye'); raise SystemExit(3)",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
        "import os; print('unflushed', end=''); os._exit(4)",
        "import os; os.kill(os.getpid(), 9)",
        "import ctypes; ctypes.CDLL(None).printf(b'by C'); raise SystemExit(5)",
        "open('left', 'w').write('x'); left = open('left', 'a'); left.write('y')",
        "import trainer",
    ],
)
def test_it_ends_and_says_why_as_a_started_one_does(cell: Cell, forks: Forks, code: str) -> None:
    ended = [(*cell.run(start, code), cell.left()) for start in (forks, cold)]
    assert ended[0] == ended[1]


def test_what_one_changes_the_next_does_not_find(cell: Cell, forks: Forks) -> None:
    cell.run(forks, "import json, os, sys; json.loads = None; os.environ['X'] = 'x'; sys.modules['x'] = json")
    code = "import json, os, sys; print(json.loads is None, 'X' in os.environ, 'x' in sys.modules)"
    assert cell.run(forks, code) == (0, "False False False\n")


TORCH = """
import sys
imported = "torch" in sys.modules
import numpy, random, torch
print(random.random(), numpy.random.rand(), torch.rand(1).item())
print(torch.get_num_threads(), torch.cuda.is_initialized(), torch.cuda._is_in_bad_fork())
assert imported or sys.argv[1:] == ["cold"]
"""


def test_torch_is_there_already_and_no_two_draw_the_same_random_numbers(
    cell: Cell, warm: Warm, tmp_path: Path
) -> None:
    forks = having(warm, frozenset({"torch"}), tmp_path)  # which would not begin with more than one thread
    ended = [cell.run(start, TORCH, *words) for start, *words in ((forks,), (forks,), (cold, "cold"))]
    drawn = [printed.splitlines()[0].split() for _, printed in ended]
    assert len({number for numbers in drawn for number in numbers}) == 9
    assert len({(code, printed.splitlines()[1]) for code, printed in ended}) == 1


def test_a_confined_fork_can_do_nothing_to_the_fork_server(cell: Cell, forks: Forks) -> None:
    process, _ = cell.sleeps(forks)
    server = psutil.Process(process.pid).ppid()
    process.terminate()
    process.wait(20)
    attempts = """
import os, sys
server = int(sys.argv[1])
for attempt in (lambda: os.kill(server, 9), lambda: open(f"/proc/{server}/mem", "r+b"),
        lambda: os.listdir(f"/proc/{server}/fd"), lambda: open(f"/proc/{server}/maps").read()):
    try: attempt()
    except PermissionError: print("denied")
"""
    assert cell.run(forks, attempts, str(server)) == (0, "denied\n" * 4)
    assert forks.lives()


def test_who_is_ended_takes_its_family_along(cell: Cell, forks: Forks) -> None:
    process, inside = cell.sleeps(forks)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    process.terminate()
    process.wait(20)
    assert gone(inside)


def test_with_a_fork_server_dies_what_it_forked_and_another_takes_its_place(
    cell: Cell, warm: Warm, forks: Forks
) -> None:
    process, inside = cell.sleeps(forks)
    psutil.Process(process.pid).parent().kill()
    with pytest.raises(Lost):
        process.wait(20)
    until(lambda: gone(inside))
    with pytest.raises(Lost):
        cell.begin(forks, "")
    again = having(warm, NOTHING, cell.folder)
    assert again is not forks and cell.run(again, "print(1)") == (0, "1\n")


EXAMINER = """
import sys, time
from pathlib import Path
from trainer.sandbox import confined, environment
from trainer.warm.forks import Forks
from trainer.warm.server import fork_here
forks = Forks(fork_here())
secret = "what it is examined " + "on"
command, env = confined([sys.executable, "model.py"], "cpu"), environment(str(Path.cwd()), "cpu", {})
forks(command, Path.cwd(), env, None)
time.sleep(60)
"""
MODEL = """
import gc, os, time
known = any(isinstance(each, dict) and "what it is examined on" in each.values() for each in gc.get_objects())
print(known, os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("end", [lambda examiner: examiner.parent().terminate(), psutil.Process.kill])
def test_a_model_server_knows_nothing_of_its_examiner_and_ends_with_it(
    cell: Cell, forks: Forks, end: Callable[[psutil.Process], None]
) -> None:
    (cell.folder / "model.py").write_text(MODEL)
    (cell.folder / "exam.py").write_text(EXAMINER)
    env = environment(str(cell.folder), "cpu", {"PYTHONPATH": str(ROOT)})
    with cell.printed.open("wb") as printed:
        process = forks([sys.executable, "-P", "exam.py"], cell.folder, env, printed.fileno())
    until(lambda: cell.printed.read_text().endswith("\n"))
    known, model = cell.printed.read_text().split()
    below = psutil.Process(process.pid).children(recursive=True)
    assert known == "False" and int(model) in [each.pid for each in below]
    end(below[0])
    process.wait(20)
    assert len(below) == 4 and all(map(gone, below))  # examiner, its fork server, supervisor, model


def order(folder: Path, genome: str = (HILL / "train.py").read_text()) -> Order:
    return Order(1, genome, 7, open_task(HILL, "cpu"), str(folder / "log"), str(folder / "scratch"))


HARNESS = """
import msgspec, sys
from trainer.trial import Order, run_trial
from trainer.warm.harness import Warm
run_trial(msgspec.json.decode(sys.argv[1], type=Order), lambda progress: None, Warm())
"""


def test_one_server_serves_genomes_that_import_more_and_less_in_turn(warm: Warm, tmp_path: Path) -> None:
    turns = ({"torch"}, {"numpy"}, {"torch", "numpy"}, NOTHING, {"torch"})
    assert len({having(warm, frozenset(packages), tmp_path) for packages in turns}) == 1


def test_who_was_given_a_server_keeps_it_while_another_takes_its_place(cell: Cell, tmp_path: Path) -> None:
    with Warm() as warm, ExitStack() as first_trial:
        first = first_trial.enter_context(warm.start(NOTHING, "cpu", tmp_path))
        with warm.start(frozenset({"numpy"}), "cpu", tmp_path) as second:
            assert second is not first
        process, _ = cell.sleeps(first)
        server = psutil.Process(process.pid).parent()
        assert server is not None and having(warm, NOTHING, tmp_path) is second
        first_trial.close()
        with pytest.raises(Lost):
            process.wait(20)
        assert gone(server) and cell.run(second, "print(1)") == (0, "1\n")


def test_who_has_ended_keeps_its_number_until_somebody_has_heard_of_it(cell: Cell, forks: Forks) -> None:
    first = cell.begin(forks, "pass")
    until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE)
    assert cell.run(forks, "pass")[0] == 0  # another one comes and goes
    assert psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE
    assert first.wait(20) == 0 and cell.run(forks, "pass")[0] == 0
    assert not psutil.pid_exists(first.pid)


def test_with_a_killed_harness_die_its_fork_server_and_its_trial(tmp_path: Path) -> None:
    says = order(tmp_path, "import time; print('here', flush=True); time.sleep(60)")
    command = [sys.executable, "-c", HARNESS, msgspec.json.encode(says).decode()]
    with subprocess.Popen(command, cwd=ROOT) as harness:
        until(lambda: (tmp_path / "log").exists() and "here" in (tmp_path / "log").read_text())
        family = psutil.Process(harness.pid).children(recursive=True)
        harness.kill()
    assert len(family) == 3  # fork server, supervisor, training
    until(lambda: all(map(gone, family)))


def test_trials_are_forked_and_score_as_ever(warm: Warm, tmp_path: Path) -> None:
    outcomes = [run_trial(order(tmp_path), lambda progress: None, how).outcome for how in (warm, None)]
    assert outcomes[0] == outcomes[1] and isinstance(outcomes[0], Completed)
    assert not (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("no_such_module", "No module named 'no_such_module'"),
        ("tests.trainer.starts_a_thread", "2 threads are running"),
    ],
)
def test_where_no_fork_server_starts_trials_do_and_their_log_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, why: str
) -> None:
    monkeypatch.setattr("trainer.warm.harness.ALWAYS", (module,))
    with Warm() as broken:
        for _ in range(2):
            report = run_trial(order(tmp_path), lambda progress: None, broken)
            assert isinstance(report.outcome, Completed)
            assert why in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import os, json", set()),
        ("import torch.nn as nn\nimport numpy", {"torch", "numpy"}),
        ("def f():\n    from torch import nn", {"torch"}),
        ("# import torch\nprint('import torch')", set()),
        ("import torchvision\ndef f(:", set()),
    ],
)
def test_only_what_a_task_imports_is_imported_for_it(text: str, expected: set[str]) -> None:
    assert imported("", text) == expected
