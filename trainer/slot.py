"""One GPU's slot: one trial has it, and what may come next starts up meanwhile.

Only the clock of one runs at a time, and no clock runs beside an exam. When a training is over and its exam
begins, the next trial may start up on the GPU as well, if both seem to fit. What fails while the GPU was
shared is done again alone: the failure may have been the other one's.
"""

import os
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from msgspec.structs import replace

from trainer.feed.feeding import is_fed, waits
from trainer.outcome import Completed, Progress, Report
from trainer.training import Watch
from trainer.trial import Order
from trainer.turn import Turn

AHEAD: Final = 3  # trials at most that start up for one turn, as the one before may end in several ways
BOTH: Final = 1.4  # of what a training took of the card, room for its exam and for the next trial's start-up


class Run(Protocol):
    """What runs a trial: `trainer.trial.run_trial`, with a fork server."""

    def __call__(self, order: Order, watch: Watch, *, turn: Turn) -> Report: ...


class Begun:
    """A trial that has begun, in a thread of its own, and waits for its turn."""

    def __init__(self, run: Run, order: Order, threads: Executor, slot: "Slot") -> None:
        self.order = order
        self.watch: Watch = _nobody
        self.turn = Turn(lambda peak_memory_mb: slot.trained(self, peak_memory_mb), slot.alone)
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
    def spoiled(self) -> bool:
        """Whether it is of no use any more: it was dropped, or the machine failed under it."""
        failed = self._report.done() and self._report.exception() is not None
        return failed or self.turn.dropped.is_set()

    def is_of(self, order: Order) -> bool:
        return replace(order, limits=()) == replace(self.order, limits=())


class Slot:
    """One GPU, of `card_mb`; None if that is unknown."""

    def __init__(self, run: Run, card_mb: float | None = None) -> None:
        self._run, self._card_mb = run, card_mb
        self._threads = ThreadPoolExecutor(max_workers=1 + AHEAD)
        self._lock = threading.RLock()
        self._now: Begun | None = None
        self._next: list[Begun] = []  # the likeliest first
        self._shares = False  # whether the trial that has the GPU is in its exam, and leaves room beside it

    def ahead(self, orders: Sequence[Order]) -> None:
        """Start up what may be the next trial, the likeliest first, and drop what else was started for that.

        A task whose data is not fed cannot be kept from training at once, nor a genome that does not call
        `prepare.turn()` from using the GPU: nothing is done for them.
        """
        with self._lock:
            if any(self._now is not None and self._now.order.trial >= order.trial for order in orders):
                return  # it came too late
            wanted = [order for order in orders if is_fed(order.task) and waits(order.genome)][:AHEAD]
            self._drop([trial for trial in self._next if not any(map(trial.is_of, wanted))])
            self._next = [self._begun(order) or self._begin(order) for order in wanted]
            self._share()

    def train(self, order: Order, watch: Watch) -> Report:
        """Run a trial to the end of its exam; one that was started ahead goes on."""
        while True:
            try:
                with self._lock:
                    trial = self._taken(order)
                    rivals = [other for other in self._next if other.order.trial <= order.trial]
                    trial.turn.give_gpu()
                    self._drop([rival for rival in rivals if rival.turn.gpu_at is not None])
                    trial.start(order, watch)
                    self._now = trial
                    self._drop(rivals)
                report = trial.report()
            finally:
                self._now, self._shares = None, False
            if not trial.spoiled and not _starved(trial.turn, report):
                return report

    def close(self) -> None:
        """Drop what was started ahead."""
        with self._lock:
            self._drop(self._next)

    def trained(self, trial: Begun, peak_memory_mb: float) -> None:
        """A trial begins its exam."""
        if trial is not self._now:
            return  # it is being dropped, by somebody who waits for it and has the lock
        with self._lock:
            fits = self._card_mb is not None and 0 < BOTH * peak_memory_mb <= self._card_mb
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
        """Let the likeliest go on to the GPU, if there is room."""
        if self._shares and self._next:
            self._next[0].turn.give_gpu()

    def _taken(self, order: Order) -> Begun:
        """What was started ahead for this, or else anew. What may come after it has been asked for first."""
        found = self._begun(order)
        if found is None or found.spoiled:
            return self._begin(order)
        self._next.remove(found)
        return found

    def _begun(self, order: Order) -> Begun | None:
        return next((trial for trial in self._next if trial.is_of(order)), None)

    def _begin(self, order: Order) -> Begun:
        return Begun(self._run, order, self._threads, self)

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
