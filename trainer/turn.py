"""When a trial may use the GPU, and when its clock may start.

A trial that is likely to come next is started up while another one trains. It waits twice: where its genome
calls `prepare.turn()`, until the GPU is its own, and at its first batch, until its clock may start. Both are
doors: whoever waits reads from one end of a socket and hears when the harness closes the other.

Not guaranteed: that a genome that calls `turn()` does so before it uses the GPU. One that is seen to have
memory there is ended, and started anew when it is its turn; what it takes meanwhile, for a fraction of a
second, the training beside it lacks. In a container, where the driver does not know our processes, it is not
seen.
"""

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from trainer.curve import Curve
from trainer.outcome import Usage


class Turn:
    """The turn of one trial. `with` closes what it holds open; what came of it can still be asked."""

    def __init__(
        self,
        trained: Callable[[Usage], None] = lambda usage: None,
        alone: Callable[[], bool] = lambda: False,
    ) -> None:
        """`trained` is called when the training is over and its exam is to begin, with what it used so far.

        `alone` is called when that fails: it says whether another trial was beside it, which is gone then.
        """
        self.began = time.monotonic()
        self.gpu_at: float | None = None  # time.monotonic() at which it was given the GPU
        self.clock_at: float | None = None  # and at which its clock might have started
        self.limits: Curve = ()  # of the loss, beyond which it is stopped (trainer.curve.behind)
        self.dropped = threading.Event()  # it will not have its turn
        self.trained, self.alone = trained, alone
        self._come = threading.Event()
        self._lock = threading.Lock()
        self._gpu, self._clock = socket.socketpair(), socket.socketpair()

    @property
    def doors(self) -> tuple[int, int]:
        """Descriptors to wait at, for the GPU and for the clock: the end of what is read there says go."""
        return self._gpu[0].fileno(), self._clock[0].fileno()

    def has_begun(self) -> bool:
        """Whether it has come, and no other trial trains."""
        return self.clock_at is not None

    def give_gpu(self) -> None:
        """Let it start up on the GPU, beside another's exam. Its clock does not start yet."""
        with self._lock:
            if self.gpu_at is None:
                self.gpu_at = time.monotonic()
                self._gpu[1].close()

    def start(self, limits: Curve = ()) -> None:
        """Give it the GPU, if that is not done, and let its clock start."""
        self.limits = limits
        self.give_gpu()
        with self._lock:
            if self.clock_at is None:
                self.clock_at = time.monotonic()
                self._clock[1].close()
                self._come.set()

    def drop(self) -> None:
        """End it as soon as may be, wherever it stands."""
        self.dropped.set()
        self._come.set()

    def wait(self) -> bool:
        """Wait until it has come; False if it will not."""
        self._come.wait()
        return not self.dropped.is_set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in (*self._gpu, *self._clock):
            end.close()


def at_once(limits: Curve = ()) -> Turn:
    """The turn of a trial that has nobody to wait for."""
    turn = Turn()
    turn.start(limits)
    return turn
