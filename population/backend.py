"""What the loop asks of machines, and the backend that needs none.

A backend runs minds and trials and brings back messages, one at a time. `Inline` does everything in this
process and in the order it was asked, so that the same seed makes the same journal; `population.cluster`
does it with actors.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from population.drafting import Answer
from population.lineage import Mind
from population.proposers import Request
from trainer.examiner import ExamFailed
from trainer.outcome import Progress, Report
from trainer.trial import Order

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
    """A machine or actor was lost and has been replaced; what it was doing was not done.

    `lineage` is None where it was the trainer.
    """

    lineage: str | None
    reason: str


Message: TypeAlias = Answered | Trained | Gone


class Backend(Protocol):
    def enrol(self, lineage: str, mind: Mind) -> None:
        """Give a lineage its mind; before it is first asked to think."""

    def think(self, request: Request) -> None:
        """Ask the mind of `request.lineage` for a candidate."""

    def train(self, order: Order) -> None:
        """Give the GPU to one trial; never called while another is under way."""

    def wait(self, timeout_s: float) -> Message | None:
        """The next message, or None when none came within `timeout_s`."""

    def progress(self) -> Progress | None:
        """Where the running trial stands, or None."""

    def close(self) -> None:
        """End everything at once, a running trial too. Can be called twice."""


def attempt(train: Train, order: Order, watch: Callable[[Progress], None]) -> Trained | Gone:
    """Run a trial; an exam that the machine failed, and not the candidate, counts as a lost trainer."""
    try:
        return Trained(order.trial, train(order, watch))
    except ExamFailed as error:
        return Gone(None, str(error))


class Inline:
    """Minds and trials in this process, one after the other. `train` may be any function of an order."""

    def __init__(self, train: Train) -> None:
        self._minds: dict[str, Mind] = {}
        self._train = train
        self._requests: deque[Request] = deque()
        self._order: Order | None = None
        self._progress: Progress | None = None

    def enrol(self, lineage: str, mind: Mind) -> None:
        self._minds[lineage] = mind

    def think(self, request: Request) -> None:
        self._requests.append(request)

    def train(self, order: Order) -> None:
        assert self._order is None, "one trial at a time"
        self._order = order

    def wait(self, timeout_s: float) -> Message | None:
        if self._requests:
            request = self._requests.popleft()
            return Answered(request.lineage, self._minds[request.lineage].think(request))
        if self._order is None:
            return None
        order, self._order = self._order, None
        return attempt(self._train, order, self._watch)

    def progress(self) -> Progress | None:
        return self._progress

    def close(self) -> None:
        self._requests.clear()
        self._order = None

    def _watch(self, progress: Progress) -> None:
        self._progress = progress
