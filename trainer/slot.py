"""One GPU's slot: one trial has it, and what may come next starts up meanwhile.

Only the clock of one runs at a time, and no clock runs beside an exam. When a training is over and its exam
begins, the next trial may start up on the GPU as well, if both seem to fit: the one that is to come, judging
by the loss that the training ended with. What fails while the GPU was shared is done again alone: the failure
may have been the other one's.
"""

import os
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from msgspec.structs import replace

from trainer.curve import final
from trainer.feed.feeding import can_wait
from trainer.outcome import Completed, Progress, Report, Usage
from trainer.training import Watch
from trainer.trial import Order, Successor, alike, coming
from trainer.turn import Turn

AHEAD: Final = 3  # trials at most that start up for one turn, as the one before may end in several ways
_THREADS: Final = 32  # more than there can be trials: one that hangs must not keep others from beginning
BOTH: Final = 1.4  # of what a training took of the card, room for its exam and for the next trial's start-up


class Run(Protocol):
    """What runs a trial: `trainer.trial.run_trial`, with a fork server."""

    def __call__(self, order: Order, watch: Watch, *, turn: Turn) -> Report: ...


class Begun:
    """A trial that has begun, in a thread of its own, and waits for the end of the trial `after`."""

    def __init__(self, run: Run, successor: Successor, after: int, threads: Executor, slot: "Slot") -> None:
        self.successor, self.after = successor, after  # as it was told last
        self.order = order = successor.order
        self.watch: Watch = _nobody
        self.turn = Turn(lambda usage: slot.trained(self, usage), slot.alone)
        # Of another name than its log has, which may come to be another trial's.
        self._log = Path(order.scratch) / f"{order.trial}-{secrets.token_hex(4)}.log"
        told = replace(order, log=str(self._log))
        self._report = threads.submit(run, told, lambda progress: self.watch(progress), turn=self.turn)

    def start(self, order: Order, watch: Watch) -> None:
        """Let it have its turn, as this order says; what it prints is in the order's log from now on.

        Raises OSError where that cannot be written; it is gone then.
        """
        self.watch = watch
        try:
            self._show(Path(order.log))
        except OSError:
            self.turn.drop()
            self.gone()
            raise
        self.turn.start(order.limits)

    def _show(self, log: Path) -> None:
        for path in (self._log, log):
            path.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        self._log.touch()
        os.link(self._log, log)

    def report(self) -> Report:
        """What came of it, once it has ended; raises what running it raised."""
        try:
            return self._report.result()
        finally:
            self._log.unlink(missing_ok=True)

    def gone(self) -> None:
        """Wait until it is gone; it was dropped."""
        self._report.exception()
        self._log.unlink(missing_ok=True)

    @property
    def waits(self) -> bool:
        """Whether it can still have its turn: it was not dropped and has not ended."""
        return not self._report.done() and not self.turn.dropped.is_set()


class Slot:
    """One GPU, of `card_mb`; None if that is unknown."""

    def __init__(self, run: Run, card_mb: float | None = None) -> None:
        self._run, self._card_mb = run, card_mb
        self._threads = ThreadPoolExecutor(max_workers=_THREADS)
        self._lock = threading.RLock()
        self._now: Begun | None = None
        self._next: list[Begun] = []  # of those for one turn, the likeliest first
        self._shares = False  # whether the trial that has the GPU is in its exam, and leaves room beside it
        self._loss: float | None = None  # that its training ended with

    def ahead(self, after: int, successors: Sequence[Successor]) -> None:
        """Start up what may follow the trial `after`, the likeliest first, and drop what else was to do so.

        It may be told before that trial is. Nothing is done for what cannot wait.
        """
        with self._lock:
            if self._now is not None and self._now.order.trial > after:
                return  # it came too late
            able = [one for one in successors if can_wait(one.order.task, one.order.genome)][:AHEAD]
            wanted = [*dict.fromkeys(self._begin(one, after) for one in able)]
            self._drop([trial for trial in self._next if trial.after == after and trial not in wanted])
            self._next = [trial for trial in self._next if trial not in wanted] + wanted
            self._share()

    def train(self, order: Order, watch: Watch) -> Report:
        """Run a trial to the end of its exam; one that was started ahead goes on."""
        while True:
            try:
                with self._lock:
                    trial = self._taken(order)
                    trial.turn.give_gpu()
                    self._drop([other for other in self._next if other.turn.gpu_at is not None])
                    trial.start(order, watch)
                    self._now = trial
                    self._drop([rival for rival in self._next if rival.after < order.trial])
                report = trial.report()
            finally:
                self._now, self._shares, self._loss = None, False, None
            if not trial.turn.dropped.is_set() and not _starved(trial.turn, report):
                return report

    def close(self) -> None:
        """Drop what was started ahead."""
        with self._lock:
            self._drop(self._next)

    def trained(self, trial: Begun, usage: Usage) -> None:
        """A trial begins its exam."""
        if trial is not self._now:
            return  # it is being dropped, by somebody who waits for it and has the lock
        with self._lock:
            self._loss = final(usage.curve)
            fits = self._card_mb is not None and 0 < BOTH * usage.peak_memory_mb <= self._card_mb
            self._shares = fits or (self._card_mb is None and trial.order.task.device == "cpu")
            self._share()

    def alone(self) -> bool:
        """Let the trial that has the GPU be alone on it; False if it was all along."""
        with self._lock:
            shared = self._shares and bool(self._next)
            self._shares = False
            self.close()
            return shared

    def _share(self) -> None:
        """Let the one that is to come go on to the GPU, if there is room."""
        if self._shares and self._next and not any(trial.turn.gpu_at for trial in self._next):
            place = coming([trial.successor for trial in self._next], self._loss)
            self._next[place].turn.give_gpu()

    def _taken(self, order: Order) -> Begun:
        """What was started ahead for this, or else anew: also what ended while it waited, perhaps for want of
        room beside others.
        """
        found = self._begun(order)
        if found is None or not found.waits:
            return Begun(self._run, Successor(order), order.trial - 1, self._threads, self)
        self._next.remove(found)
        return found

    def _begun(self, order: Order) -> Begun | None:
        return next((trial for trial in self._next if alike(trial.order, order)), None)

    def _begin(self, successor: Successor, after: int) -> Begun:
        """Have it begun, if it has not."""
        if (found := self._begun(successor.order)) is None:
            found = Begun(self._run, successor, after, self._threads, self)
            self._next.append(found)
        found.successor, found.after = successor, after
        return found

    def _drop(self, trials: Sequence[Begun]) -> None:
        """End some of those that were started ahead; they are gone when this returns."""
        for trial in trials:
            trial.turn.drop()
        for trial in trials:
            trial.gone()
        self._next = [trial for trial in self._next if trial not in trials]


def _starved(turn: Turn, report: Report) -> bool:
    """Whether a trial failed to start up, on a GPU that it shared for a while."""
    shared = turn.gpu_at is not None and turn.clock_at is not None and turn.gpu_at < turn.clock_at - 0.1
    return shared and not isinstance(report.outcome, Completed) and not report.usage.training_s


def _nobody(progress: Progress) -> None:
    """Nobody watches a trial before its turn."""
