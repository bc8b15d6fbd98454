"""Where the genomes of a run are kept: what the loop asks of git, and a shelf in memory that needs none.

`population.branches` keeps them as commits. The shelf is for simulations, which read thousands of genomes a
second and leave nothing behind.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from population.records import Event
from population.state import Population


class Genomes(Protocol):
    def text(self, commit: str) -> str:
        """The genome at `commit`."""

    def commit(self, genome: str, parents: Sequence[str], message: str, at: float) -> str:
        """Keep `genome` as made from `parents`, dated `at` (unix seconds), and name it."""

    def follow(self, event: Event, population: Population) -> None:
        """Learn what is to be shown of `event`, which is recorded; `population` took it in last."""

    def settle(self) -> None:
        """Show it."""


class Shelf:
    """Genomes in memory, named as git would: by their text and all that they were made from."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def text(self, commit: str) -> str:
        return self._texts[commit]

    def commit(self, genome: str, parents: Sequence[str], message: str, at: float) -> str:
        name = hashlib.sha1("\0".join([genome, message, *parents]).encode()).hexdigest()
        self._texts[name] = genome
        return name

    def follow(self, event: Event, population: Population) -> None:
        pass

    def settle(self) -> None:
        pass
