"""The minds there are, by the names a person gives on the command line."""

from collections.abc import Callable, Sequence

from population.lineage import Mind
from population.proposers import Proposer
from population.proposers.mutate import Mutate
from trainer.errors import BadInput

PROPOSERS: dict[str, Callable[[], Proposer]] = {
    "mutate/tpe": lambda: Mutate("tpe"),
    "mutate/cma": lambda: Mutate("cma"),
}
# What `--proposer NAME` deals to the lineages; plain `mutate` stands for one of each sampler in turn.
DEALS = {"mutate": tuple(PROPOSERS)} | {name: (name,) for name in PROPOSERS}


def dealt(names: Sequence[str]) -> tuple[str, ...]:
    """Full names of the proposers asked for, in order; BadInput for one that is unknown."""
    for name in names:
        if name not in DEALS:
            raise BadInput(f"--proposer {name!r}: choose from {', '.join(DEALS)}")
    return tuple(full for name in names for full in DEALS[name])


def mind(name: str) -> Mind:
    """The mind of a lineage whose proposer bears this full name."""
    if name not in PROPOSERS:
        raise BadInput(f"unknown proposer {name!r} in the run's settings; known are {', '.join(PROPOSERS)}")
    return Mind(PROPOSERS[name]())
