"""Where lines that were looked for and not found come closest to a file."""

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Final

from population.hearing.quoting import cut

_SHOWN: Final = 90  # characters of a line
_COMPARED: Final = 300  # lines that are looked for
_REPEATS: Final = 50  # places of a line that stands in the file again and again
_LOOKED_AT: Final = 5_000  # lines of the file that are compared letter by letter


def nearest(file: Sequence[str], goal: Sequence[str]) -> str:
    """What differs where the file is most like the goal, to end a sentence with.

    Lines come without the spaces around them.
    """
    lines_at: dict[str, list[int]] = {}
    for at, line in enumerate(file):
        if line:
            lines_at.setdefault(line, []).append(at)
    offset = _offset(lines_at, goal)
    if offset is None:
        return _alike(lines_at, goal[0])
    for number, line in enumerate(goal):
        at = number + offset
        actual = file[at] if 0 <= at < len(file) else None
        if actual != line:
            return f": it says {_show(line)} where the file {_has(at, actual)}"
    return ": its lines are, but indented in another way; copy them as they are"


def _offset(lines_at: dict[str, list[int]], goal: Sequence[str]) -> int | None:
    """How far down the file most lines of the goal are found, if any is."""
    offsets = Counter(
        at - number
        for number, line in enumerate(goal[:_COMPARED])
        for at in lines_at.get(line, ())[:_REPEATS]
    )
    return min(offsets, key=lambda each: (-offsets[each], each)) if offsets else None


def _alike(lines_at: dict[str, list[int]], line: str) -> str:
    beginnings = {each[:200]: places[0] for each, places in list(lines_at.items())[:_LOOKED_AT]}
    near = difflib.get_close_matches(line[:200], beginnings, 1, 0.5)
    if not near:
        return f", nor anything like {_show(line)}; copy lines of the file exactly"
    return f": nearest to {_show(line)} is line {beginnings[near[0]] + 1}, {_show(near[0])}"


def _has(at: int, actual: str | None) -> str:
    if actual is None:
        return "has no line at all"
    return f"has {_show(actual)} (line {at + 1})"


def _show(line: str) -> str:
    return f"`{cut(line, _SHOWN)}`" if line else "a blank line"
