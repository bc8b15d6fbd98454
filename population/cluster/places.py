"""The places of a run, one for each GPU, and the trainer at each, which is an actor.

A place whose machine is gone is missing until Ray finds another for it. In a cluster a machine may also be
there and be of no use. A trial that it cannot carry out, its disk being full, is lost. The place then has a
new trainer, which removes what the old one left and sees whether there is room, and trials go to other places
first. It is left out of the run if there is no room, or if the next trial there is lost in the same way: one
of another genome, since a genome that fills disks is not to cost a GPU.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from msgspec import Struct
from msgspec.structs import replace
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError

from population.backend import Cut, Message, Trained
from population.cluster.actors import Done, Trainer
from population.cluster.calls import Call, first_line, last_word, result
from population.cluster.machines import SLOT, node
from population.search import MachineFailed
from trainer.abroad import Parcel
from trainer.errors import BadInput
from trainer.trial import Order, Successor, alike

_LEAVING_S = 3.0  # in which trainers remove what they have on their machines


class Sent(Struct, frozen=True):
    """What trainers of a cluster are told: the task, and the node that has the run's files."""

    parcel: Parcel
    home: str


class Places:
    """Trainers by the numbers of their places, from 0."""

    def __init__(self, device: str, count: int, sent: Sent | None) -> None:
        """`sent` is there if trainers may be on other machines than this.

        Raises BadInput where one of these cannot be used, MachineFailed if it is lost meanwhile.
        """
        self._device, self._count = device, count
        self._sent = (ray.put(sent.parcel), sent.home) if sent else None
        self._trainers: dict[int, Any] = {}
        self._names: dict[int, str] = {}  # of the machines of a cluster
        self._training: dict[Call, tuple[int, Order]] = {}
        self._settling: dict[Call, int] = {}  # places that are not ready
        self._failed: dict[int, str] = {}  # places that lost their last trial, and its genome
        self._ahead: dict[int, list[Order]] = {}  # by place, what starts up there
        self.man()
        try:
            for call, place in self._settling.items():
                self._names[place] = result(call)
        except (ActorDiedError, ActorUnavailableError) as error:
            raise MachineFailed(f"a machine of the cluster was lost: {first_line(error)}") from error
        self._settling.clear()

    def man(self) -> None:
        """Have a new trainer at every place."""
        for place in range(self._count):
            self._man(place)

    @property
    def training(self) -> list[Call]:
        """One for each trial under way."""
        return [*self._training]

    @property
    def settling(self) -> list[Call]:
        """One for each place that is not ready."""
        return [*self._settling]

    @property
    def running(self) -> Mapping[int, tuple[int, Any]]:
        """Trials under way, with their places and trainers."""
        return {order.trial: (place, self._trainers[place]) for place, order in self._training.values()}

    def slots(self) -> int:
        return len(self._trainers) - len(self._settling)

    def train(self, order: Order) -> None:
        busy = {place for place, _ in self._training.values()} | {*self._settling.values()}
        free = self._trainers.keys() - busy
        assert free, "one trial at a time on each GPU"
        place = min(free, key=partial(self._unfitness, order))
        self._ahead.pop(place, None)
        self._training[self._trainers[place].train.remote(order)] = place, order

    def ahead(self, after: int, successors: Sequence[Successor]) -> None:
        """Start up what may follow a trial, at its place."""
        for place, order in self._training.values():
            if order.trial == after:
                self._ahead[place] = [one.order for one in successors]
                self._trainers[place].ahead.remote(after, successors)

    def _unfitness(self, order: Order, place: int) -> tuple[bool, bool, bool, int]:
        """Of a free place for a trial: the less the better.

        Best is where it starts up already, worst where another does, or where the last trial was lost.
        """
        begun = self._ahead.get(place, [])
        here = any(alike(order, other) for other in begun)
        return not here, place in self._failed, bool(begun), place

    def trained(self, call: Call) -> Trained | Cut:
        """What came of the trial whose call has ended."""
        place, order = self._training.pop(call)
        try:
            done: Done = result(call)
        except RayError as error:
            self._failed.pop(place, None)  # it may be another machine that comes
            self._man_again(place)
            return Cut(order.trial, first_line(error))
        except OSError as error:
            if self._sent is None:
                raise
            why = f"{self._names[place]}: {first_line(error)}"
            self._fail(place, order.genome, why)
            return Cut(order.trial, why)
        self._failed.pop(place, None)
        if done.log is not None:
            Path(order.log).write_bytes(done.log)
        return _at(place, done)

    def settled(self, call: Call) -> None:
        """Take in what a trainer says that was asked whether it is ready."""
        place = self._settling.pop(call)
        try:
            self._names[place] = result(call)
        except RayError:
            self._man_again(place)
        except BadInput as error:
            self._leave(place, first_line(error))

    def leave(self) -> None:
        """Have trainers drop what waits there, and keep nothing on other machines, if they answer soon."""
        calls = [trainer.leave.remote() for trainer in self._trainers.values()]
        self._trainers.clear()
        if calls:
            ray.wait(calls, num_returns=len(calls), timeout=_LEAVING_S)

    def last_words(self, why: str) -> list[Message]:
        """What trials came to when Ray died; none is under way any more."""
        said = [
            last_word(call, partial(_at, place), Cut(order.trial, why))
            for call, (place, order) in self._training.items()
        ]
        self._training.clear()
        return said

    def _man(self, place: int) -> None:
        """Have a new trainer at a place; in a cluster, as soon as there is a machine for it."""
        slot: dict[str, Any] = {"num_gpus": 1} if self._device == "cuda" else {"resources": {SLOT: 1}}
        trainer: Any = ray.remote(Trainer).options(num_cpus=0, max_concurrency=3, **slot).remote(node)
        self._trainers[place] = trainer
        self._ahead.pop(place, None)  # a new trainer has started nothing
        if self._sent is not None:
            self._settling[trainer.settle.remote(*self._sent)] = place

    def _man_again(self, place: int) -> None:
        """Out of reach is not dead, and two trainers must not share the GPU."""
        ray.kill(self._trainers[place])
        self._man(place)

    def _fail(self, place: int, genome: str, why: str) -> None:
        """A machine could not carry out a trial."""
        if self._failed.setdefault(place, genome) == genome:
            self._man_again(place)
        else:
            self._leave(place, why)

    def _leave(self, place: int, why: str) -> None:
        """Do without a place whose machine cannot be used."""
        logging.getLogger(__name__).warning("GPU %d is left out until the run is resumed: %s", place, why)
        ray.kill(self._trainers.pop(place))


def _at(place: int, done: Done) -> Trained | Cut:
    """With the number of the GPU, which its trainer does not know."""
    if isinstance(done.message, Cut):
        return done.message
    trial, report = done.message.trial, done.message.report
    return Trained(trial, replace(report, usage=replace(report.usage, gpu=place)))
