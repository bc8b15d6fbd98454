"""What decisions go by, besides the population: what the run was told, and what the journal does not tell."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

PolicyName: TypeAlias = Literal["promise", "greedy", "round-robin", "best-of-n"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)

Begun: TypeAlias = tuple[int, str]  # a candidate that waits, and the commit that its change is tried on


class Rules(Struct, frozen=True):
    """What a run was told. Without a limit it goes on until it is stopped."""

    policy: PolicyName = "promise"
    seed: int = 0
    trials: int | None = None
    hours: float | None = None
    patience_s: float = 1.0  # how long the GPU waits for the most promising lineage's idea
    lineages: int = 4
    gpus: int = 1  # as many trials can be under way
    speculates: bool = False  # ideas are had before it is known what the last one came to
    pairs: tuple[tuple[str, str], ...] = ()  # briefs and proposers that a new lineage may get
    max_cost: float | None = None  # dollars for minds


class Facts(Struct, frozen=True):
    """What the journal does not tell: time spent, who thinks for how long, whether to stop, what began."""

    elapsed_s: float = 0.0
    thinking: Mapping[str, float] = {}  # seconds since the lineage was asked
    stopping: bool = False
    slots: int | None = None  # GPUs that can be used at present, if not all
    ahead: tuple[Begun, ...] = ()  # what has started up in case it is next, the likeliest first
