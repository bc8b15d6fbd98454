"""What can be checked of a genome before the GPU is spent: a trial that must crash costs no turn on it.

First its source is read (`checks/static.py`); then, for a task that builds a model, a confined process
rehearses it without memory (`checks/rehearsal.py`). A doubt is no refusal: a process that is killed, held up
or talks nonsense has said nothing against its genome, and what only training can show is left to training.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from trainer.checks import rows, static
from trainer.feed.feeding import open_to_training
from trainer.running.log import Log, one_line
from trainer.running.watch import Exit, run
from trainer.sandbox import Sandbox, confined, environment
from trainer.task import Task, genome_path, told
from trainer.trial import clear_scratch
from trainer.walls.process import hide

REHEARSAL = Path(__file__).parent / "checks" / "rehearsal.py"
LIMIT_S = 20.0  # of the candidate's own time: of the processor where trials use it too, of the wall elsewhere
START_S = 60.0  # until it begins, on a wall clock: torch and prepare.py are imported first
PATIENCE_S = 180.0  # on a wall clock, for a process that runs only when no trial wants the processor

TOO_MUCH = 1.5  # times the device's memory: how far the estimate may be off
# What CUDA saves of a pass, for each byte of float32 that the eager CPU does: half by bfloat16, two thirds of
# that since the compiler computes again what is cheap.
SAVED_ON_CUDA = 1 / 3


class Needs(Struct, frozen=True):
    """What one pass of a genome takes, in MiB, as its rehearsal counts it in float32 without compilation."""

    model_mb: float  # parameters and buffers
    trained_mb: float  # parameters that learn, in float32
    saved_mb: float  # tensors kept for the gradients, each storage once
    logits_mb: float  # [B, T, V] in float32
    rows: int  # B


class _Line(Struct, frozen=True):
    """What a rehearsal says: untrusted."""

    phase: str = ""
    refused: str = ""
    passed: Needs | None = None


def estimate_mb(needs: Needs, device: str) -> float:
    """Peak memory of training: weights + gradients + two moments + what is saved + logits and their gradient.

    Not counted: the runtime's own (0.3 GB and more), workspaces, temporary tensors of an optimiser and what a
    backward pass holds for a moment. Meant to be right within a factor of 1.5 either way: an optimiser with
    one moment, activations computed again and a fused loss need less, training in float32 on CUDA needs more.
    """
    saved_mb = needs.saved_mb * (SAVED_ON_CUDA if device == "cuda" else 1.0)
    return needs.model_mb + 3 * needs.trained_mb + saved_mb + 2 * needs.logits_mb


class Preflight(Struct, frozen=True):
    """Says why a genome cannot be tried, in one line, or None if nothing speaks against it."""

    task: Task
    scratch: str  # folder in which each check makes its own, and removes it
    memory_mb: float  # of the device; on cpu, the share of the machine's that a trial may take
    sandbox: Sandbox = "auto"

    def __call__(self, genome: str) -> str | None:
        own = static.read(genome_path(Path(self.task.folder)).read_text(encoding="utf-8"))
        try:
            source = static.read(genome)
        except SyntaxError as error:
            where = f" at line {error.lineno}" if error.lineno else ""
            return one_line(f"train.py is not Python{where}: {error.msg}")
        problem = static.problem(source, own, static.read(self.task.prepare))
        if problem is None and "build_model" in static.contract(own):
            problem = self._rehearsed(genome, source)
        return one_line(problem) if problem else None

    def _rehearsed(self, genome: str, source: static.Source) -> str | None:
        hide()  # this process may know keys
        with _folder(Path(self.scratch)) as folder, Log() as said:
            (folder / "train.py").write_text(genome, encoding="utf-8")
            (folder / "prepare.py").write_text(self.task.prepare, encoding="utf-8")
            command = confined(
                self.command(source),
                "cpu",
                reads=open_to_training(self.task),
                idle=self.task.device == "cpu",
                sandbox=self.sandbox,
            )
            # On the CPU whatever the device, and not compiled, which takes minutes and changes no shape.
            settings = {"OMP_NUM_THREADS": "1", "TORCH_COMPILE_DISABLE": "1"}
            env = environment(str(folder), "cpu", told(self.task, 0, folder / "submission") | settings)
            heard = Heard(self.task.device, self.memory_mb)
            ended = run(command, folder, env, said, heard)
            return verdict(heard, ended, said)

    def command(self, source: static.Source) -> list[str]:
        setup = {
            "device": self.task.device,
            "rows": rows.asked_for(source.tree),
            "calls_model": rows.calls_model(source.tree),
            "cpu_s": LIMIT_S if self.task.device == "cpu" else 0.0,
        }
        return [sys.executable, "-P", str(REHEARSAL), msgspec.json.encode(setup).decode()]


class Heard:
    """Oversees a rehearsal: what it has said, and how long it may go on."""

    def __init__(self, device: str, memory_mb: float) -> None:
        self.device, self.memory_mb = device, memory_mb
        self.phase, self.refused = "", ""
        self.passed = False
        self._limits_s = (START_S, LIMIT_S) if device == "cuda" else (PATIENCE_S, PATIENCE_S)
        self._began = time.monotonic()

    def hear(self, line: bytes) -> None:
        try:
            heard = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if heard.phase and not self.phase:
            self._began = time.monotonic()
        self.phase = heard.phase or self.phase
        self.passed = self.passed or heard.passed is not None
        too_large = heard.passed and _too_large(heard.passed, self.device, self.memory_mb)
        self.refused = self.refused or heard.refused or too_large or ""

    def left_s(self) -> float:
        if self.refused:
            return 0.0
        return self._began + self._limits_s[bool(self.phase)] - time.monotonic()

    def pulse(self, memory_mb: float, processor_s: float) -> None:
        pass


def verdict(heard: Heard, ended: Exit, said: Log) -> str | None:
    """Why a rehearsed genome cannot be tried, in one line, or None."""
    if heard.refused:
        return heard.refused
    if heard.passed or ended.excess or heard.phase in ("", "real"):  # real tensors may just be slow here
        return None
    doing = "importing train.py" if heard.phase == "import" else "build_model() and model(tokens)"
    if ended.code == -signal.SIGXCPU or (ended.overdue and heard.device == "cuda"):
        return f"{doing} took more than {LIMIT_S:g} s without any data; leave work to main()"
    if ended.code not in (0, -signal.SIGKILL):  # which is how a machine makes room
        return f"{doing} ended the process: {said.reason(ended.code)}"
    return None


def _too_large(needs: Needs, device: str, memory_mb: float) -> str | None:
    needed_mb = estimate_mb(needs, device)
    if needed_mb <= TOO_MUCH * memory_mb:
        return None
    return (
        f"training needs about {needed_mb:,.0f} MB of memory, the device has {memory_mb:,.0f} MB: take "
        f"fewer rows in a pass (it has {needs.rows}, whose activations are {needs.saved_mb:,.0f} MB in "
        f"float32) or a smaller model (it has {needs.model_mb:,.0f} MB of weights)"
    )


@contextmanager
def _folder(scratch: Path) -> Iterator[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="preflight-", dir=scratch.resolve())
    try:
        yield Path(folder)
    finally:
        clear_scratch(Path(folder))
