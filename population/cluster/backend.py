"""The backend that works with actors: asks them, and makes messages of what their calls come to.

Ray that was started here is started again when it dies; a cluster that is lost ends the run.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import compress

import ray

from population.backend import Message
from population.cluster.machines import Machines
from population.cluster.places import Places, Sent
from population.cluster.standing import Standing
from population.cluster.thinkers import Thinkers
from population.lineage import Mind
from population.proposals import Request
from population.search import MachineFailed
from trainer.abroad import packed
from trainer.feed.feeding import can_wait
from trainer.outcome import Progress
from trainer.task import Task
from trainer.trial import Order, Successor

ALONE_S = 600.0  # without a single slot the run is given up
_DIED = "Ray's own process died"


class Cluster:
    """A `population.backend.Backend` of actors."""

    def __init__(
        self,
        device: str = "cpu",
        gpus: int = 1,
        address: str | None = None,
        task: Task | None = None,
        walled: bool = True,
    ) -> None:
        """`device` is where trials compute, on so many at once; the cluster at `address` is sent the `task`.

        Its machines must be able to confine a trial if that has to be `walled`.

        Raises BadInput for a cluster that cannot be joined, or does not have what is asked for, and
        MachineFailed if Ray does not start.
        """
        self.overlaps = device != "cpu"
        parcel = None
        if address is not None:
            assert task is not None, "other machines have to be told of the task"
            parcel = packed(task, walled)
        self._machines = Machines(device, gpus, address)
        home = self._machines.home
        with ExitStack() as failed:
            failed.callback(self._machines.close)
            self._places = Places(device, gpus, Sent(parcel, home) if parcel and home else None)
            failed.pop_all()
        self._thinkers, self._standing = Thinkers(device, home), Standing()
        self._unheard: deque[Message] = deque()
        self._manned_at = time.monotonic()  # when there was a slot

    def enrol(self, lineage: str, mind: Mind) -> None:
        self._thinkers.enrol(lineage, mind)

    def think(self, request: Request) -> None:
        self._thinkers.think(request)

    def slots(self) -> int:
        return self._places.slots()

    def train(self, order: Order) -> None:
        self._places.train(order)

    def ahead(self, after: int, successors: Sequence[Successor]) -> list[bool]:
        can = [can_wait(one.order.task, one.order.genome) for one in successors]
        self._places.ahead(after, [*compress(successors, can)])
        return can

    def wait(self, timeout_s: float) -> Message | None:
        self._look_after()
        if self._unheard:
            return self._unheard.popleft()
        training, settling = self._places.training, self._places.settling
        calls = [*training, *self._thinkers.calls, *settling]
        if not calls:
            threading.Event().wait(timeout_s)
            return None
        done, _ = ray.wait(calls, num_returns=1, timeout=timeout_s)
        if not done:
            return None
        if done[0] in settling:
            self._places.settled(done[0])
            return None
        return self._places.trained(done[0]) if done[0] in training else self._thinkers.thought(done[0])

    def progress(self) -> Mapping[int, Progress]:
        return self._standing.of(self._places.running)

    def close(self) -> None:
        if self._machines.live():
            self._places.leave()
        self._machines.close()

    def _look_after(self) -> None:
        if not self._machines.live():
            if self._machines.home is not None:
                raise MachineFailed("Ray has ended on this machine; start it again")
            self._start_again()
        now = time.monotonic()
        if self.slots():
            self._manned_at = now
        elif now - self._manned_at > ALONE_S:
            raise MachineFailed(f"the cluster has had no machine for a trial for {ALONE_S / 60:g} minutes")

    def _start_again(self) -> None:
        """Ray tells nobody that its own daemon died, and every call would be waited for without end."""
        self._unheard += [*self._places.last_words(_DIED), *self._thinkers.last_words(_DIED)]
        self._standing.forget()
        self._machines.close()
        self._machines.start()
        self._places.man()
        self._thinkers.build_again()
