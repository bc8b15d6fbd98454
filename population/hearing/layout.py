"""The parts of a reply, in their order: lines of prose, SEARCH/REPLACE blocks, fenced texts.

A block looks like this, give or take a few signs, spaces and fences around or inside:

    <<<<<<< SEARCH
    the lines to replace
    =======
    what to put there
    >>>>>>> REPLACE

Pure, and linear in the length of the reply.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from population.hearing.edits import Edit


class Prose(Struct, frozen=True):
    """One line outside blocks and fences."""

    line: str


class Fenced(Struct, frozen=True):
    """What stands between two fences; not `closed` if the reply ended before the second."""

    text: str
    closed: bool


class Broken(Struct, frozen=True):
    """A block that cannot be read, and how to mend it. What follows it is not looked at."""

    reason: str


Part: TypeAlias = Prose | Edit | Fenced | Broken

_HEAD: Final = re.compile(r"\s*<{3,}\s*SEARCH\b|\s*<{5,}\s*\w*\s*$", re.IGNORECASE)
_DIVIDER: Final = re.compile(r"\s*={4,}\s*$")
_TAIL: Final = re.compile(r"\s*>{3,}\s*REPLACE|\s*>{5,}\s*\w*\s*$", re.IGNORECASE)
_FENCE: Final = re.compile(r"\s*(`{3,}|~{3,})\s*[\w+.#-]*\s*$")
_SIGNS: Final = 80  # characters that a line of signs may have


def parts(reply: str) -> list[Part]:
    """What the reply consists of; ends of lines are LF."""
    lines = reply.split("\n")
    found: list[Part] = []
    at, plain_until, wrapped, count = 0, 0, False, 0  # `wrapped`: a fence was opened around blocks
    while at < len(lines):
        fence = _fence(lines[at])
        if _is(_HEAD, lines[at]):
            count += 1
            end = _end_of_block(lines, at + 1, wrapped)
            found.append(_block(lines[at + 1 : end], count, closed=end < len(lines)))
            if isinstance(found[-1], Broken):
                break
            wrapped = wrapped and not _fence(lines[end])
            at = end + 1
        elif fence and wrapped:
            wrapped = False
            at += 1
        elif fence and at < plain_until:
            wrapped = True
            at += 1
        elif fence:
            end = _end_of_fence(lines, at + 1, fence)
            if end < len(lines) and _is(_HEAD, lines[end]):
                plain_until = end
                continue
            found.append(Fenced("\n".join(lines[at + 1 : end]), closed=end < len(lines)))
            at = end + 1
        else:
            found.append(Prose(lines[at]))
            at += 1
    return found


def _is(pattern: re.Pattern[str], line: str) -> bool:
    return len(line) <= _SIGNS and pattern.match(line) is not None


def _fence(line: str) -> str:
    """The signs of a line that is a fence, else nothing."""
    match = _FENCE.match(line) if len(line) <= _SIGNS else None
    return match[1] if match else ""


def _end_of_fence(lines: Sequence[str], begin: int, fence: str) -> int:
    """The line that closes the fence, or the head of a block before it, or the end."""
    for at in range(begin, len(lines)):
        if lines[at].strip().startswith(fence) and not lines[at].strip().strip(fence[0]):
            return at
        if _is(_HEAD, lines[at]):
            return at
    return len(lines)


def _end_of_block(lines: Sequence[str], begin: int, wrapped: bool) -> int:
    """The line that ends the block, or the end. A fence around it ends one that lost its last line."""
    divided = False
    for at in range(begin, len(lines)):
        if _is(_TAIL, lines[at]):
            return at
        if _is(_HEAD, lines[at]):
            return len(lines)
        if wrapped and divided and _fence(lines[at]) and not _fence(lines[at - 1]) and _ends(lines, at):
            return at
        divided = divided or _is(_DIVIDER, lines[at])
    return len(lines)


def _ends(lines: Sequence[str], at: int) -> bool:
    """Whether no block ends within a few lines: a fence inside one is followed by its last line at once."""
    return not any(_is(_TAIL, line) for line in lines[at + 1 : at + 3])


def _block(lines: Sequence[str], number: int, closed: bool) -> Edit | Broken:
    if not closed:
        return Broken(
            f"block {number} has no `>>>>>>> REPLACE` line at its end; "
            "if the answer was cut off, make it shorter"
        )
    dividers = [at for at, line in enumerate(lines) if _is(_DIVIDER, line)]
    if not dividers:
        return Broken(f"block {number} has no `=======` line between SEARCH and REPLACE")
    exact = [at for at in dividers if lines[at].strip() == "======="]
    middle = (exact or dividers)[0]
    return Edit("\n".join(_bare(lines[:middle])), "\n".join(_bare(lines[middle + 1 :])))


def _bare(lines: Sequence[str]) -> Sequence[str]:
    """The lines without a pair of fences around all of them."""
    solid = [at for at, line in enumerate(lines) if line.strip()]
    if len(solid) >= 2 and _fence(lines[solid[0]]) and _fence(lines[solid[-1]]):
        return lines[solid[0] + 1 : solid[-1]]
    return lines
