"""What the actors of a run do, each in a process of its own; they know nothing of Ray."""

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from population.backend import Cut, Trained, attempt
from population.keeping.locks import hold_device
from population.lineage import Mind
from population.making.drafting import Answer
from population.proposals import Request
from trainer.abroad import Abroad, Parcel, cache, settled, taken
from trainer.errors import BadInput
from trainer.hardware import first_card
from trainer.outcome import Progress
from trainer.scratch import own_scratch
from trainer.slot import Slot
from trainer.trial import Order, Successor, run_trial
from trainer.walls.idle import give_way
from trainer.warm.harness import Warm


class Done(Struct, frozen=True):
    """What a trainer has to say of a trial; its log too if it was written on a machine of its own."""

    message: Trained | Cut
    log: bytes | None


class Trainer:
    """One GPU's slot. `train` runs on a thread of its own."""

    def __init__(self, node: Callable[[], str] = lambda: "") -> None:
        """`node` tells the name of the one that this is on."""
        self._node = node
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        card_mb = float(card.memory_mib) if (card := first_card()) else None
        self._slot = Slot(partial(run_trial, warm=Warm()), card_mb)  # what trials import is imported once
        self._abroad: Abroad | None = None
        self._held = ExitStack()

    def settle(self, parcel: Parcel, home: str) -> str:
        """Take part in a run whose files are on the node `home`; the name of this machine.

        Raises BadInput where that cannot be.
        """
        self._held.enter_context(hold_device(parcel.task.device))
        if self._node() != home:
            try:
                scratch = self._held.enter_context(own_scratch(Path(tempfile.gettempdir())))
                self._abroad = settled(parcel, cache(), scratch)
            except OSError as error:
                raise BadInput(f"{socket.gethostname()} has no room for a trial: {error}") from error
        return socket.gethostname()

    def leave(self) -> None:
        """Have no part in a run any more: drop what waits, and what trials left on a machine of its own."""
        self._slot.close()
        self._held.close()

    def train(self, order: Order) -> Done:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("one trial at a time")
        here = self._abroad.carried(order) if self._abroad else order
        try:
            message = attempt(self._slot.train, here, self._watch)
            return Done(message, taken(Path(here.log)) if self._abroad else None)
        finally:
            self._progress = None
            self._lock.release()

    def ahead(self, after: int, successors: Sequence[Successor]) -> None:
        """Start up what may follow the trial `after`, the likeliest first."""
        if abroad := self._abroad:
            successors = [replace(one, order=abroad.carried(one.order)) for one in successors]
        self._slot.ahead(after, successors)

    def progress(self) -> Progress | None:
        return self._progress

    def _watch(self, progress: Progress) -> None:
        self._progress = progress


class Thinker:
    """A lineage's mind. On a CPU that trials compute on too, it works when none of them wants it.

    Otherwise steps, and so scores, would depend on who thinks at the time.
    """

    def __init__(self, mind: Mind, device: str, told: Mapping[str, str]) -> None:
        """`told` is the scheduler's environment, where Ray was started with another: it may hold keys."""
        os.environ.update(told)
        if device == "cpu":
            give_way()
        self._mind = mind

    def think(self, request: Request) -> Answer:
        return self._mind.think(request)
