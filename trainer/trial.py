"""One trial: a scratch folder, a confined training, an exam, an outcome.

Whatever a candidate does is an outcome. What is the machine's fault rises instead, as OSError or ExamFailed:
a full disk, an examiner that was killed or ran out of memory, exam data that changed. Where the sandbox is
off or the kernel lacks parts of it, a candidate that means to can bring that about, and so stop the run.

Time is measured by the harness. Where a task's data is fed (`feeding.py`) the budget starts with the first
request for it, and a submission must be there soon after it ended. Any other task with a clock says itself
when its budget starts, at the latest at its start-up limit.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]
from msgspec import Struct
from msgspec.structs import replace

from trainer import caches
from trainer.curve import Curve
from trainer.examining.examiner import ExamFailed, ask
from trainer.feed.feeding import Feeding, feeding, is_fed, open_to_training
from trainer.outcome import Completed, Crashed, Outcome, Progress, Refused, Report, TimedOut, Usage
from trainer.running.launch import Start, cold
from trainer.running.log import Log, one_line
from trainer.running.watch import Exit, run
from trainer.sandbox import Sandbox, confined, environment
from trainer.task import Task, told
from trainer.training import MOST_GRACE_S, Training
from trainer.training import Watch as Watch
from trainer.turn import Turn, at_once
from trainer.walls.process import hide
from trainer.warm.harness import Warm, imported

EXAM_S = 300.0
COMPILED = "compiled"  # in the scratch folder: what the user's own genome compiled


class Order(Struct, frozen=True):
    """All a machine needs to run one trial; plain data, so that it can travel to another machine."""

    trial: int
    genome: str
    seed: int
    task: Task
    log: str  # path of the log file; one from before is replaced
    scratch: str  # folder in which the trial makes its own, and removes it
    sandbox: Sandbox = "auto"
    limits: Curve = ()  # of the loss, beyond which it is stopped as hopeless (trainer.curve.behind)
    own: bool = False  # whether the genome is the user's own, so that what it compiles can be kept


def alike(one: Order, other: Order) -> bool:
    """Whether two orders train the same, whatever the numbers of their trials: one can go on as the other."""
    return replace(one, trial=other.trial, log=other.log, limits=other.limits) == other


class Successor(Struct, frozen=True):
    """What may follow the trial under way: if that ends with a training loss in this range, most likely."""

    order: Order
    losses: tuple[float, float] = (-math.inf, math.inf)  # nats, from the first to below the second


def coming(successors: Sequence[Successor], loss: float | None) -> int:
    """Which of several follows on a training that ended with this loss: the likeliest if that tells nothing.

    They are in order, the likeliest first.
    """
    for place, one in enumerate(successors):
        if loss is not None and one.losses[0] <= loss < one.losses[1]:
            return place
    return 0


def run_trial(order: Order, watch: Watch, warm: Warm | None = None, turn: Turn | None = None) -> Report:
    """Train and examine one genome. `watch` is called a few times a second.

    Processes are forked from `warm` if it is there, and not started from nothing, which takes seconds where
    torch is imported. Without it the calling thread must live as long as this takes: they die with it.
    With a `turn` it starts up and waits for that; without, its turn is now.
    """
    hide()
    with turn or at_once(order.limits) as given, _starting(order, warm) as start:
        return _run_trial(order, watch, given, start, warm.problem if warm else "")


def _run_trial(order: Order, watch: Watch, turn: Turn, start: Start, problem: str) -> Report:
    """`problem` is why its processes cannot be forked, if they cannot."""
    started_at = time.time() - (time.monotonic() - turn.began)
    if not _encodable(order.genome):
        return Report(Refused("the genome cannot be written as UTF-8"), Usage(started_at))
    scratch = Path(order.scratch).resolve()
    log = Path(order.log).resolve()
    log.parent.mkdir(parents=True, exist_ok=True)
    slowly = f"every process is started from nothing, which takes longer: {problem}\n"
    log.write_text(slowly if problem else "")
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{order.trial}-", dir=scratch))
    try:
        door = turn.doors[1]
        fed = feeding(order.task, order.seed, scratch, door, start) if is_fed(order.task) else nullcontext()
        with fed as feeder:
            training = Training(order.task, watch, folder / "submission", feeder, turn)
            ended, failure = _train(order, folder, log, training, feeder, turn, start)
            usage = training.usage(started_at, ended)
        if failure is None:
            turn.trained(usage)
        scratch.chmod(0o700)  # the candidate may have locked us out
        if failure is None and turn.wait():  # it may have left a submission before its turn
            failure, exam_s = _examined(order, scratch, folder / "submission", log, watch, turn, start)
            usage = replace(usage, exam_s=exam_s)
        if failure is None:
            failure = Crashed("it was ended before its turn")
        if order.own and isinstance(failure, Completed):
            caches.keep(folder, scratch / COMPILED)
    finally:
        _remove(folder)
    wall_s = time.monotonic() - turn.gpu_at if turn.gpu_at else 0.0
    return Report(failure, replace(usage, wall_s=wall_s))


def _starting(order: Order, warm: Warm | None) -> AbstractContextManager[Start]:
    if warm is None:
        return nullcontext(cold)
    packages = imported(order.task.prepare, order.genome)
    return warm.start(packages, order.task.device, Path(order.scratch).resolve())


def clear_scratch(folder: Path) -> None:
    """Remove what a killed run left in its scratch folder: its files, and its processes that live there."""
    inside = folder.resolve()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.environ().get("HOME", "/")).is_relative_to(inside):
                process.kill()
    _remove(inside)


def _train(
    order: Order,
    folder: Path,
    log: Path,
    training: Training,
    feeder: Feeding | None,
    turn: Turn,
    start: Start,
) -> tuple[Exit, Outcome | None]:
    """Run train.py in `folder`; the outcome is None if there is something to examine."""
    submission = folder / "submission"
    submission.mkdir()
    _write_pair(order, folder)
    task, device = order.task, order.task.device
    command = confined(
        [sys.executable, "train.py"],
        device,
        reads=open_to_training(task),
        limit_s=(task.startup_s or 0.0) + task.budget_s + MOST_GRACE_S,
        sandbox=order.sandbox,
    )
    env = environment(
        str(folder),
        device,
        told(task, order.seed, submission)
        | (feeder.told if feeder else {})
        | {"LINEAGES_TURN": str(turn.doors[0])}
        | caches.seeded(folder, folder.parent / COMPILED),
    )
    with Log(log) as output:
        inherited = (turn.doors[0], *(feeder.inherited if feeder else ()))
        ended = run(command, folder, env, output, training, device, inherited, start, turn.has_begun)
        tail = output.tail()
        if feeder:
            feeder.check()
        if ended.excess:
            return ended, Crashed(ended.excess, tail)
        if training.stopped:
            return ended, training.stopped
        if ended.overdue:
            return ended, TimedOut(training.phase, training.limit_s)
        if ended.code != 0:
            return ended, Crashed(output.reason(ended.code), tail)
        if not _anything_in(submission):
            return ended, Crashed("left no submission", tail)
        if late_s := training.late_s():
            return ended, Refused(f"the submission came {late_s:.1f} s after the budget ended")
    return ended, None


def _examined(
    order: Order, scratch: Path, submission: Path, log: Path, watch: Watch, turn: Turn, start: Start
) -> tuple[Outcome, float]:
    """The outcome of the exam, held again if it failed and a trial was beside it; and its seconds."""
    began = time.monotonic()
    try:
        outcome, exam_s = examine(order, scratch, submission, log, watch, start=start)
        if isinstance(outcome, Completed) or not turn.alone():
            return outcome, exam_s
    except ExamFailed:
        if not turn.alone():
            raise
    outcome, _ = examine(order, scratch, submission, log, watch, start=start)
    return outcome, time.monotonic() - began


def examine(
    order: Order,
    scratch: Path,
    submission: Path,
    log: Path,
    watch: Watch,
    limit_s: float = EXAM_S,
    start: Start = cold,
) -> tuple[Outcome, float]:
    """Examine `submission` in a folder of its own in `scratch`: the outcome, and the seconds it took."""
    task = order.task
    folder = Path(tempfile.mkdtemp(prefix="exam-", dir=scratch))  # of a name the candidate could not foresee
    try:
        _write_pair(order, folder)
        with Log(log) as output:
            reply = ask(
                [
                    "examine", str(folder), str(submission), task.metric, task.device, task.fingerprint,
                    order.sandbox,
                ],
                folder,
                task.device,
                told(task, order.seed, folder / "submission"),
                output,
                limit_s,
                lambda elapsed_s: watch(Progress("exam", elapsed_s, limit_s, fraction=1.0)),
                start,
            )  # fmt: skip
    finally:
        _remove(folder)
    if reply.exit.overdue and not reply.exit.excess:
        return TimedOut("exam", limit_s), reply.exit.wall_s
    if reply.problem:
        return Refused(one_line(reply.problem)), reply.exit.wall_s
    metrics = msgspec.json.decode(reply.result, type=dict[str, float])
    return Completed(metrics[task.metric], metrics), reply.exit.wall_s


def _write_pair(order: Order, folder: Path) -> None:
    (folder / "train.py").write_text(order.genome, encoding="utf-8")
    (folder / "prepare.py").write_text(order.task.prepare, encoding="utf-8")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _anything_in(submission: Path) -> bool:
    try:
        return any(submission.iterdir())
    except OSError:  # the candidate removed it, replaced it or locked us out
        return False


def _remove(folder: Path) -> None:
    """Remove a folder a candidate wrote to: rm, unlike shutil, bears any depth, and then any mode."""
    for command in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        if not os.path.lexists(folder):
            return
        subprocess.run([*command, "--", str(folder)], stderr=subprocess.DEVNULL, check=False)
