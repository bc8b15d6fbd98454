"""What has started up ahead of its turn, as the loop knows it: no promise, since machines may have failed."""

from collections.abc import Container, Sequence

from population.deciding.rules import Begun


class Ahead:
    """What may follow each trial, by its number: what starts up where that runs, the likeliest first."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[Begun, ...]] = {}

    def begin(self, after: int, begun: Sequence[Begun]) -> None:
        """This starts up, and nothing else, to follow the trial `after`."""
        self._begun[after] = tuple(begun)

    def has(self, after: int) -> bool:
        return bool(self._begun.get(after))

    def waiting(self, running: Container[int]) -> tuple[Begun, ...]:
        """What may go on at once, since what it follows does not run any more; else all there is."""
        free = [begun for after, begun in self._begun.items() if after not in running]
        return tuple(one for begun in free or self._begun.values() for one in begun)

    def take(self, begun: Begun, running: Container[int]) -> None:
        """A trial has its turn, and all that might have had the same one is dropped."""
        free = [after for after in self._begun if after not in running]
        for after in sorted(free, key=lambda after: begun not in self._begun[after])[:1]:
            del self._begun[after]

    def lose(self, after: int) -> None:
        """The machine is gone on which this trial ran."""
        self._begun.pop(after, None)
