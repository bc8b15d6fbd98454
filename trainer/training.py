"""A training under way: which phase it is in, how long that may last, whether its submission came in time.

The budget ends inside the process; the last step, the submission and the exit come after it. There are two
limits to that. Past the grace the process is killed. A fed training, whose clock is the harness's own, must
have left its submission well before: what is there then is what counts.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from trainer.curve import Curving, behind
from trainer.examining.submission import changed_at, digest
from trainer.feed.feeding import Feeding
from trainer.hardware import gpu_utilisation
from trainer.outcome import Progress, Stopped, Usage
from trainer.running.telemetry import Clock, Step, parse
from trainer.running.watch import Exit
from trainer.task import Task
from trainer.turn import Turn

GRACE_FRACTION = 0.5
LEAST_GRACE_S = 5.0
MOST_GRACE_S = 30.0
# The last step has to end and the weights have to be written, in some 0.5 s, and a busy machine must not cost
# an honest genome its score. A candidate can go on training for as long on batches that it kept: a hundredth
# of a long budget, but a fifth of the ten seconds on CPU, whose scores are to try things out.
LATE_S = 2.0
LATE_FRACTION = 0.01

DROPPED_S = 0.05  # after which it is seen that a trial will not have its turn

Watch = Callable[[Progress], None]


class Training:
    """Oversees a training process (`trainer.running.watch.Overseer`)."""

    def __init__(
        self, task: Task, watch: Watch, submission: Path, feeder: Feeding | None, turn: Turn
    ) -> None:
        self.stopped: Stopped | None = None
        self._task, self._turn = task, turn
        self._watch = watch
        self._submission, self._feeder = submission, feeder
        self._in_time: bytes | None = None  # the submission when the time for it was over
        self._began = time.monotonic()
        self._clock = None if task.startup_s is not None else self._began
        self._step, self._curve = Step(), Curving()
        self._busy: list[float] = []  # what the card said of itself

    @property
    def phase(self) -> str:
        return "startup" if self._clock is None else "training"

    @property
    def limit_s(self) -> float:
        """Of the present phase."""
        if self._clock is None and self._task.startup_s is not None:
            return self._task.startup_s
        budget_s = self._task.budget_s
        return budget_s + min(max(budget_s * GRACE_FRACTION, LEAST_GRACE_S), MOST_GRACE_S)

    def hear(self, line: bytes) -> None:
        match parse(line):
            case Clock() if self._clock is None and self._feeder is None:
                self._clock = time.monotonic()
            case Step() as step:
                self._step = step
                if step.loss is not None and self._clock is not None:
                    self._curve.tell(self._fraction(), step.loss)

    def left_s(self) -> float:
        if self.stopped or self._turn.dropped.is_set():
            return 0.0
        if self._turn.clock_at is None:
            return DROPPED_S
        if self._feeder is not None:
            self._clock = self._feeder.clock()
            if self._in_time is None and self._beyond_s() > 0:
                self._in_time = digest(self._submission)
        return self.limit_s - self._elapsed_s()

    def late_s(self) -> float | None:
        """How long after the budget the submission was last changed, if that was too late.

        Its files say so. Where they cannot, as a mapping leaves no trace in their times and clocks jump, the
        digest does that was taken at the first look after the time for it was over.
        """
        if self._feeder is None:
            return None
        self._clock = self._feeder.clock()
        ago_s = time.time() - changed_at(self._submission)
        after_s = max(0.0, self._beyond_s() - ago_s) if ago_s >= 0 else 0.0
        changed = self._in_time is not None and self._in_time != digest(self._submission)
        return self._allowed_s + after_s if changed or after_s > 0 else None

    @property
    def _allowed_s(self) -> float:
        return max(LATE_S, LATE_FRACTION * self._task.budget_s)

    def _beyond_s(self) -> float:
        """Seconds since a submission had to be there; negative before that and without a clock."""
        return -1.0 if self._clock is None else self._elapsed_s() - self._task.budget_s - self._allowed_s

    def pulse(self, memory_mb: float, processor_s: float) -> None:
        on_gpu = self._task.device == "cuda" and memory_mb > 0
        if self._turn.gpu_at is None and (on_gpu or processor_s > (self._task.startup_s or math.inf)):
            self._turn.drop()  # it does not wait for its turn
        if self._turn.clock_at is None:
            return
        fraction, step = self._fraction(), self._step
        self._watch(Progress(self.phase, self._elapsed_s(), self.limit_s, fraction, step.loss, step.steps))
        if self._task.device == "cuda" and 0 < fraction < 1 and (busy := gpu_utilisation()) is not None:
            self._busy.append(busy)
        if fraction < 1 and (found := behind(self._curve.until(fraction), self._turn.limits)):
            reason = f"the loss is {found[0]:.3f}, and from above {found[1]:.3f} there is nothing to gain"
            self.stopped = Stopped(fraction, reason)

    def usage(self, started_at: float, ended: Exit) -> Usage:
        """What it used; its turn began at `started_at`. Must be asked while the feeder is still there."""
        if self._feeder is not None:
            self._clock = self._feeder.clock()
        end = ended.at
        turn = end if self._turn.gpu_at is None else min(self._turn.gpu_at, end)
        clock = end if self._clock is None else max(self._clock, turn)
        return Usage(
            started_at + turn - self._turn.began,
            ahead_s=turn - self._turn.began,
            startup_s=clock - turn,
            training_s=max(0.0, end - clock),
            peak_memory_mb=ended.peak_memory_mb,
            steps=self._step.steps,
            trained_tokens=self._step.tokens,
            curve=self._curve.until(1.0),
            utilisation=fmean(self._busy) if self._busy else None,
        )

    def _fraction(self) -> float:
        """Of the budget that is spent; 0 without a clock."""
        return 0.0 if self._clock is None else min(1.0, self._elapsed_s() / self._task.budget_s)

    def _elapsed_s(self) -> float:
        return time.monotonic() - (self._clock or self._turn.clock_at or self._began)
