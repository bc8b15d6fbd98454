"""The harness's end of a trial's data: starts the feeder (`feeder.py`), hears from it when the clock starts.

A task is fed if its prepare.py defines `feed(start, count)`, which gives rows of a training's data, numpy
[count, ...], and takes them in `batches` from the ring that LINEAGES_FEED names: the number of a socket and
that of the memory, see `feeder.py`. No other file of its data can then be read in training but those in
OPEN, a tuple of paths in the task's folder. While it feeds, LINEAGES_FEEDS is set, so that prepare.py can do
without what feeding has no need of, such as torch.
"""

import ast
import contextlib
import fcntl
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from trainer.examining.examiner import ROOT, ExamFailed
from trainer.feed.feeder import CLOCK
from trainer.running.launch import Process, Start, cold
from trainer.running.log import Log
from trainer.sandbox import environment
from trainer.syntax import parse
from trainer.task import Task, told

FEEDER = Path(__file__).with_name("feeder.py")
RING_MB = 8  # a batch of 64 rows of 2048 tokens takes a quarter of one


class FeederFailed(ExamFailed):
    """The feeder could not do its work, through no fault of the candidate's; says why in one line."""


class Feeding:
    """A running feeder, and what a training needs to be fed by it."""

    def __init__(
        self, process: Process, said: Path, clock: socket.socket, inherited: tuple[int, int]
    ) -> None:
        self.inherited = inherited  # descriptors
        self.told = {"LINEAGES_FEED": ",".join(map(str, inherited))}
        self._process, self._said, self._socket = process, said, clock
        self._started: float | None = None

    def clock(self) -> float | None:
        """When the first batch was asked for, by time.monotonic(); None before."""
        if self._started is None:
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                heard = self._socket.recv(CLOCK.size)
                self._started = CLOCK.unpack(heard)[0] if heard else None
        return self._started

    def check(self) -> None:
        """Raises FeederFailed if it ended by itself, and not because the candidate hung up."""
        code = self._process.poll()
        if code:
            said = Log()
            said.write(self._said.read_bytes()[-(2**16) :])
            raise FeederFailed(f"the feeder failed: {said.reason(code)}")


@contextlib.contextmanager
def feeding(task: Task, seed: int, scratch: Path, door: int, start: Start = cold) -> Iterator[Feeding]:
    """Start a feeder for one training, which must inherit its descriptors; it ends with the block.

    The clock does not start before what is read from the descriptor `door` ends.
    """
    with contextlib.ExitStack() as stack:
        # Of a name the candidate cannot foresee, and where it may not write.
        folder = Path(stack.enter_context(_folder(scratch)))
        (folder / "prepare.py").write_text(task.prepare, encoding="utf-8")
        asked, asks = (stack.enter_context(end) for end in socket.socketpair(type=socket.SOCK_SEQPACKET))
        clock, tells = (stack.enter_context(end) for end in socket.socketpair(type=socket.SOCK_SEQPACKET))
        clock.setblocking(False)
        ring = _ring()
        stack.callback(os.close, ring)
        numbers = [asked.fileno(), ring, tells.fileno(), door]
        words = [str(folder / "prepare.py"), *map(str, numbers), str(task.budget_s)]
        settings = {"PYTHONPATH": str(ROOT), "LINEAGES_FEEDS": "1"}
        env = environment(str(folder), "cpu", told(task, seed, folder) | settings)
        with (folder / "said").open("wb") as said:
            process = start([sys.executable, "-P", str(FEEDER), *words], folder, env, said.fileno(), numbers)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        asked.close()
        tells.close()
        yield Feeding(process, folder / "said", clock, (asks.fileno(), ring))


def _folder(scratch: Path) -> "tempfile.TemporaryDirectory[str]":
    # Where there is no sandbox the candidate can keep us from removing it now; the run clears its scratch.
    return tempfile.TemporaryDirectory(prefix="feed-", dir=scratch, ignore_cleanup_errors=True)


def is_fed(task: Task) -> bool:
    """Whether its prepare.py defines `feed`."""
    return _feeds(task.prepare)


@lru_cache
def _feeds(prepare: str) -> bool:
    tree = parse(prepare)
    return any(isinstance(node, ast.FunctionDef) and node.name == "feed" for node in tree.body)


def can_wait(task: Task, genome: str) -> bool:
    """Whether a training can be started up before it is its turn, and then waits for that.

    A task whose data is not fed cannot be kept from training at once, nor a genome that does not call
    `prepare.turn()` from using the GPU.
    """
    return is_fed(task) and _asks_for_its_turn(genome)


@lru_cache
def _asks_for_its_turn(genome: str) -> bool:
    try:
        tree = parse(genome)
    except SyntaxError:
        return False
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(ast.unparse(called) == "prepare.turn" for called in calls if isinstance(called, ast.Attribute))


def open_to_training(task: Task) -> list[Path]:
    """What a training may read of the task's folder: its data/ or, if that is fed, what OPEN names."""
    folder = Path(task.folder)
    if not is_fed(task):
        return [folder / "data"]
    for node in parse(task.prepare).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["OPEN"]:
            return [folder / str(path) for path in ast.literal_eval(node.value)]
    return []


def _ring() -> int:
    """Memory that nobody can shrink: that would kill the feeder."""
    ring = os.memfd_create("lineages", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(ring, RING_MB * 2**20)
    fcntl.fcntl(ring, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return ring
