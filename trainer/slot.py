"""One GPU's slot: one trial has it, and the one that is likely to come next starts up meanwhile.

Only the clock of one runs at a time, and no clock runs beside an exam. When a training is over and its exam
begins, the next trial may start up on the GPU as well, if both fit.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, Protocol

from msgspec.structs import replace

from trainer.feeding import is_fed
from trainer.outcome import Progress, Report
from trainer.trial import Order
from trainer.turn import Turn

Watch = Callable[[Progress], None]
BOTH: Final = 1.4  # of what a training took of the card, room for its exam and for the next trial's start-up


class Run(Protocol):
    """What runs a trial: `trainer.trial.run_trial`, with a fork server."""

    def __call__(self, order: Order, watch: Watch, *, turn: Turn) -> Report: ...


class Begun:
    """A trial that has begun, in a thread of its own, and waits for its turn."""

    def __init__(
        self, run: Run, order: Order, threads: Executor, trained: Callable[["Begun", float], None]
    ) -> None:
        self.order = order
        self.watch: Watch = _nobody
        self.turn = Turn(lambda peak_memory_mb: trained(self, peak_memory_mb))
        self._report = threads.submit(run, order, lambda progress: self.watch(progress), turn=self.turn)

    def report(self) -> Report:
        """What came of it, once it has ended; raises what running it raised."""
        return self._report.result()

    def drop(self) -> None:
        """End it; it is gone when this returns."""
        self.turn.drop()
        self._report.exception()

    @property
    def dropped(self) -> bool:
        return self.turn.dropped.is_set()

    def is_of(self, order: Order) -> bool:
        return replace(order, limits=()) == replace(self.order, limits=())


class Slot:
    """One GPU, of `card_mb`; None if that is no matter."""

    def __init__(self, run: Run, card_mb: float | None = None) -> None:
        self._run, self._card_mb = run, card_mb
        self._threads = ThreadPoolExecutor(max_workers=2)
        self._lock = threading.RLock()
        self._now: Begun | None = None
        self._next: Begun | None = None
        self._shares = False  # whether the trial that has the GPU is in its exam, and leaves room beside it

    def ahead(self, order: Order) -> None:
        """Start up what is likely to be the next trial; what was started before for that is dropped.

        A task whose data is not fed cannot be kept from training at once: nothing is done for it.
        """
        with self._lock:
            if not is_fed(order.task) or (self._next is not None and self._next.is_of(order)):
                return
            self.close()
            self._next = self._begin(order)
            if self._shares:
                self._next.turn.give_gpu()

    def train(self, order: Order, watch: Watch) -> Report:
        """Run a trial to the end of its exam; one that was started ahead goes on."""
        while True:
            with self._lock:
                trial = self._now = self._taken(order)
                trial.watch = watch
                trial.turn.start(order.limits)
            try:
                report = trial.report()
            finally:
                self._now, self._shares = None, False
            if not trial.dropped:
                return report

    def close(self) -> None:
        """Drop what was started ahead."""
        with self._lock:
            found, self._next = self._next, None
            if found is not None:
                found.drop()

    def _taken(self, order: Order) -> Begun:
        found = self._next
        if found is not None and found.is_of(order) and not found.dropped:
            self._next = None
            return found
        self.close()
        return self._begin(order)

    def _begin(self, order: Order) -> Begun:
        return Begun(self._run, order, self._threads, self._trained)

    def _trained(self, trial: Begun, peak_memory_mb: float) -> None:
        """The trial that has the GPU begins its exam."""
        if trial is not self._now:
            return  # it is being dropped, by somebody who waits for it and has the lock
        with self._lock:
            self._shares = self._card_mb is None or BOTH * peak_memory_mb <= self._card_mb
            if self._shares and self._next is not None:
                self._next.turn.give_gpu()


def _nobody(progress: Progress) -> None:
    """Nobody watches a trial before its turn."""
