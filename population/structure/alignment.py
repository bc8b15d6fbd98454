"""Which unit of a body became which: the base's units by their index, and what a side made of each."""

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from msgspec import Struct

from population.structure.outline import Body, Unit


class Hunk(Struct, frozen=True):
    """Units `start` to `end` of the base are gone, and these are in their place."""

    start: int
    end: int
    new: tuple[str, ...]


class Edit(Struct, frozen=True):
    """What a side made of the base's units, by their index."""

    kept: dict[int, Unit]
    gone: dict[int, Hunk]
    instead: dict[int, Body]  # new units in place of gone ones, by the first of these
    before: dict[int, Body]  # new units between others, by the next one


def edit_of(base: Body, side: Body) -> Edit:
    """What a side made of the base."""
    pairs = _aligned(base, side)
    found = Edit({i: side[j] for i, j in pairs}, {}, {}, {})
    for (i, j), (next_i, next_j) in pairwise([(-1, -1), *pairs, (len(base), len(side))]):
        start, new = i + 1, side[j + 1 : next_j]
        hunk = Hunk(start, next_i, tuple(unit.code for unit in new))
        found.gone.update(dict.fromkeys(range(start, next_i), hunk))
        if new:
            (found.instead if start < next_i else found.before)[start] = new
    return found


def _aligned(base: Body, side: Body) -> list[tuple[int, int]]:
    """Which unit of the base is which of the side, in rising order: where it is sure, and else not at all.

    First those with one text, then between these those whose key is the only one of its kind there, then
    those of one key, or without bodies, in stretches of as many units on either side.
    """
    pairs = _common([unit.text for unit in base], [unit.text for unit in side])
    for sure in (_unique_keys, _in_step):
        filled: list[tuple[int, int]] = []
        for (i, j), (next_i, next_j) in pairwise([(-1, -1), *pairs, (len(base), len(side))]):
            if next_i > i + 1 and next_j > j + 1:
                between = sure(base[i + 1 : next_i], side[j + 1 : next_j])
                filled += [(i + 1 + left, j + 1 + right) for left, right in between]
            filled.append((next_i, next_j))
        pairs = filled[:-1]
    return pairs


def _unique_keys(base: Body, side: Body) -> list[tuple[int, int]]:
    left, right = (Counter(unit.key for unit in body) for body in (base, side))
    sure = {key for key in left if left[key] == right[key] == 1}
    return _common(
        [unit.key if unit.key in sure else i for i, unit in enumerate(base)],
        [unit.key if unit.key in sure else -1 - i for i, unit in enumerate(side)],
    )


def _in_step(base: Body, side: Body) -> list[tuple[int, int]]:
    if len(base) != len(side):
        return []
    return [
        (i, i)
        for i, (was, now) in enumerate(zip(base, side, strict=True))
        if was.key == now.key or all(was.shape + now.shape)
    ]


def _common(left: Sequence[str | int], right: Sequence[str | int]) -> list[tuple[int, int]]:
    """Pairs of equal elements in rising order: what they begin and end with, and the longest runs between."""
    shorter = min(len(left), len(right))
    head = next((i for i in range(shorter) if left[i] != right[i]), shorter)
    tail = next((i for i in range(shorter - head) if left[-1 - i] != right[-1 - i]), shorter - head)
    middle = SequenceMatcher(
        None, left[head : len(left) - tail], right[head : len(right) - tail], autojunk=False
    )
    return [
        *((i, i) for i in range(head)),
        *((head + m.a + k, head + m.b + k) for m in middle.get_matching_blocks() for k in range(m.size)),
        *((len(left) - i, len(right) - i) for i in range(tail, 0, -1)),
    ]
