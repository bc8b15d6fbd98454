"""Runs laid side by side: the groups that can be compared, each with what is worked out about it."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from results.comparing.finds import Find, Text, finds, same_start, tried_by_several
from results.comparing.grouping import Group, groups
from results.comparing.sides import Side
from results.ranking import Ranking, rankings_across


class Laid(Struct, frozen=True):
    """A group of comparable runs, and what they say together."""

    group: Group
    rankings: tuple[Ranking, ...]
    finds: tuple[Find, ...]
    same_start: bool  # all began with the same genome, as far as is known
    repeated: int  # genomes that several of them tried


def lay(sides: Sequence[Side], texts: Mapping[str, Text]) -> tuple[Laid, ...]:
    """The groups, the largest first. `texts` give the genomes of runs, by their names."""
    return tuple(_laid(group, texts) for group in groups(sides))


def _laid(group: Group, texts: Mapping[str, Text]) -> Laid:
    populations = [side.population for side in group.sides if side.population is not None]
    return Laid(
        group=group,
        rankings=rankings_across(populations) if populations else (),
        finds=finds(group.sides, texts),
        same_start=same_start(group.sides),
        repeated=tried_by_several(group.sides),
    )
