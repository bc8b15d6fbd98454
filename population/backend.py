"""What the loop asks of machines, and the backend that needs none.

A backend runs minds and trials and brings back messages, one at a time. `Inline` does everything in this
process and in the order it was asked, so that the same seed makes the same journal; `population.cluster`
does it with actors.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from msgspec import Struct

from population.lineage import Mind
from population.making.drafting import Answer
from population.proposals import Request
from trainer.examining.examiner import ExamFailed
from trainer.outcome import Progress, Report
from trainer.trial import Order, Successor

Train: TypeAlias = Callable[[Order, Callable[[Progress], None]], Report]


class Answered(Struct, frozen=True):
    """A lineage's mind has answered."""

    lineage: str
    answer: Answer


class Trained(Struct, frozen=True):
    """A trial has come to its end."""

    trial: int
    report: Report


class Gone(Struct, frozen=True):
    """A lineage's mind was lost while it thought, and has been replaced."""

    lineage: str
    reason: str


class Cut(Struct, frozen=True):
    """A trial was cut off, since what it ran on was lost; that has been replaced, or is no longer there."""

    trial: int
    reason: str


Message: TypeAlias = Answered | Trained | Gone | Cut


class Backend(Protocol):
    overlaps: bool  # whether a trial can start up beside another one without disturbing it

    def enrol(self, lineage: str, mind: Mind) -> None:
        """Give a lineage its mind; before it is first asked to think."""

    def think(self, request: Request) -> None:
        """Ask the mind of `request.lineage` for a candidate."""

    def slots(self) -> int:
        """How many trials can be under way now: fewer than GPUs were asked for while a machine is gone."""

    def train(self, order: Order) -> None:
        """Give a GPU to a trial; never called while as many are under way as there are slots."""

    def ahead(self, after: int, successors: Sequence[Successor]) -> list[bool]:
        """Start up what may follow the trial `after`, which is under way; whether each of them can.

        Only asked where trials overlap. The likeliest is first. Nothing is decided: perhaps none is trained.
        """

    def wait(self, timeout_s: float) -> Message | None:
        """The next message, or None when none came within `timeout_s`."""

    def progress(self) -> Mapping[int, Progress]:
        """Where the running trials stand, by number, as far as they can be asked."""

    def close(self) -> None:
        """End everything at once, a running trial too. Can be called twice."""


def attempt(train: Train, order: Order, watch: Callable[[Progress], None]) -> Trained | Cut:
    """Run a trial; an exam that the machine failed, and not the candidate, cuts it off."""
    try:
        return Trained(order.trial, train(order, watch))
    except ExamFailed as error:
        return Cut(order.trial, str(error))


class Inline:
    """Minds and trials in this process, one after the other. `train` may be any function of an order."""

    overlaps = False

    def __init__(self, train: Train, gpus: int = 1) -> None:
        self._gpus = gpus
        self._minds: dict[str, Mind] = {}
        self._train = train
        self._requests: deque[Request] = deque()
        self._orders: deque[Order] = deque()
        self._progress: dict[int, Progress] = {}

    def enrol(self, lineage: str, mind: Mind) -> None:
        self._minds[lineage] = mind

    def think(self, request: Request) -> None:
        self._requests.append(request)

    def slots(self) -> int:
        return self._gpus

    def train(self, order: Order) -> None:
        assert len(self._orders) < self._gpus, "one trial at a time on each GPU"
        self._orders.append(order)

    def ahead(self, after: int, successors: Sequence[Successor]) -> list[bool]:
        return [False for _ in successors]

    def wait(self, timeout_s: float) -> Message | None:
        if self._requests:
            request = self._requests.popleft()
            return Answered(request.lineage, self._minds[request.lineage].think(request))
        if not self._orders:
            return None
        order = self._orders.popleft()
        done = attempt(self._train, order, partial(self._progress.__setitem__, order.trial))
        self._progress.clear()
        return done

    def progress(self) -> Mapping[int, Progress]:
        return self._progress

    def close(self) -> None:
        self._requests.clear()
        self._orders.clear()
