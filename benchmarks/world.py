"""What a policy can be tried on: a world, and how one is read from a file.

A world is a landscape of genomes whose true scores are known, so that what a search reports can be compared
with what it found. `python benchmarks/arena.py --world FILE` takes one from a file that defines

    def world(seed: int) -> World: ...

The seed draws one world of its kind (a pool of ideas, say); searches that are compared meet the same worlds.
Lower scores are better.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from population.proposals import Proposer
from population.records import Outcome
from trainer.curve import Curve
from trainer.errors import BadInput


class World(Protocol):
    """One landscape. Everything about it follows from the seed it was made with."""

    @property
    def genome(self) -> str:
        """The text of the genome that every search starts from: Python that parses. It is never executed."""

    @property
    def briefs(self) -> tuple[str, ...]:
        """What lineages may be told to look for, dealt to them in turn."""

    @property
    def sigma(self) -> float:
        """Standard deviation of the score of one trial."""

    def proposer(self, brief: str) -> Proposer:
        """The mind of a lineage that follows `brief`. All its randomness comes from its requests."""

    def train(self, genome: str, seed: int) -> Outcome:
        """One trial: a noisy score or a failure. The same genome and seed bring the same outcome."""

    def truth(self, genome: str) -> float:
        """The score of `genome` without noise; infinite if every trial of it fails."""


@runtime_checkable
class Raced(World, Protocol):
    """A landscape whose trainings can be watched, so that they race (see population/racing.py)."""

    def curve(self, genome: str, seed: int) -> Curve:
        """The losses of a trial that goes to its end and has a score."""


MakeWorld: TypeAlias = Callable[[int], World]


def read_world(file: Path) -> MakeWorld:
    """The `world` function that `file` defines; BadInput if there is none."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise BadInput(f"--world {file}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    make = getattr(module, "world", None)
    if not callable(make):
        raise BadInput(f"--world {file}: it defines no function `world(seed)`")
    return make  # type: ignore[no-any-return]
