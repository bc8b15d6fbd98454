"""SEARCH/REPLACE edits: each says which text to find and what to put in its place.

All edits of an answer are found in the file as it is, so their order does not matter, and each must be found
exactly once. It is looked for in three ways, and the first that finds anything decides: as whole lines; as
part of a line or of lines, beginning and ending where words do (`LR = 0.0` is not found in `LR = 0.04`);
as whole lines whose trailing spaces and common indentation may differ, in which case the replacement is
indented as the file is. What cannot be applied is a `Problem` that says how to mend it.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from population.hearing.nearest import nearest


class Edit(Struct, frozen=True):
    """Put `replace` where `search` stands. Neither needs an end of line at its end."""

    search: str
    replace: str


class Problem(Struct, frozen=True):
    """Why edits cannot be applied; `reason` is one line that says how to mend them."""

    reason: str


class _Change(Struct, frozen=True):
    """Characters `start` to `end` of the file become `text`."""

    start: int
    end: int
    text: str


Place: TypeAlias = tuple[int, int]


def apply(text: str, edits: Sequence[Edit]) -> str | Problem:
    """The text with all edits made, or what is wrong with the first that cannot be."""
    newline = "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"
    changes: list[tuple[_Change, int]] = []
    for number, edit in enumerate(edits, 1):
        change = _change(text, _with(newline, edit))
        if isinstance(change, Problem):
            return Problem(f"block {number}: {change.reason}")
        changes.append((change, number))
    changes.sort(key=lambda each: (each[0].start, each[0].end))
    for (one, first), (other, second) in itertools.pairwise(changes):
        if other.start < one.end:
            where = _line_number(text, other.start)
            return Problem(f"blocks {first} and {second} both change line {where}; make them one block")
    if not changes:
        return Problem("there is no SEARCH/REPLACE block")
    for change, _ in reversed(changes):
        text = text[: change.start] + change.text + text[change.end :]
    return text


def _with(newline: str, edit: Edit) -> Edit:
    """The edit with the file's ends of lines, and without one at its end."""
    sides = (side.replace("\r\n", "\n").removesuffix("\n") for side in (edit.search, edit.replace))
    return Edit(*(side.replace("\n", newline) for side in sides))


def _change(text: str, edit: Edit) -> _Change | Problem:
    if not edit.search.strip():
        return Problem("its SEARCH part is empty; put there the lines of the file that are to be replaced")
    if edit.search == edit.replace:
        return Problem("SEARCH and REPLACE are the same, so it changes nothing")
    for find, put in ((_whole_lines, _as_lines), (_parts, _as_part)):
        places = find(text, edit.search)
        if len(places) > 1:
            return _ambiguous(text, [start for start, _ in places])
        if places:
            return put(text, *places[0], edit)
    return _loosely(text, edit)


def _as_lines(text: str, start: int, end: int, edit: Edit) -> _Change:
    """Lines that nothing replaces take their end of line with them."""
    return _Change(start, end if edit.replace else _past_newline(text, end), edit.replace)


def _as_part(text: str, start: int, end: int, edit: Edit) -> _Change:
    """What replaces the one line after an indentation is indented as that line is."""
    before = text[text.rfind("\n", 0, start) + 1 : start]
    if "\n" in edit.search or not before or not before.isspace():
        return _Change(start, end, edit.replace)
    first, *rest = edit.replace.split("\n")
    return _Change(
        start, end, "\n".join([first, *(before + line if line.strip() else line for line in rest)])
    )


def _whole_lines(text: str, search: str) -> list[Place]:
    """Where the search stands with nothing else on its lines."""
    found = []
    for start, end in _all(text, search):
        begins = start == 0 or text[start - 1] == "\n"
        if begins and (end == len(text) or text[end] == "\n" or text.startswith("\r\n", end)):
            found.append((start, end))
    return found


def _parts(text: str, search: str) -> list[Place]:
    """Where the search stands without cutting a word or a number."""
    return [
        (start, end)
        for start, end in _all(text, search)
        if not _joined(text[start - 1 : start], text[start])
        and not _joined(text[end - 1], text[end : end + 1])
    ]


def _all(text: str, search: str) -> Iterator[Place]:
    start = text.find(search)
    while start >= 0:
        yield start, start + len(search)
        start = text.find(search, start + 1)


def _joined(before: str, after: str) -> bool:
    """Whether two neighbours are of one word or number."""

    def wordy(sign: str, other: str) -> bool:
        return sign.isalnum() or sign == "_" or (sign == "." and other.isdigit())

    return wordy(before, after) and wordy(after, before)


def _past_newline(text: str, end: int) -> int:
    return end + (2 if text.startswith("\r\n", end) else 1 if end < len(text) else 0)


def _loosely(text: str, edit: Edit) -> _Change | Problem:
    """The edit with trailing spaces, outer blank lines and a common difference of indentation forgiven."""
    wanted, replacement = _trimmed(edit.search.split("\n")), _trimmed(edit.replace.split("\n"))
    there = text.split("\n")
    bodies = [line.strip() for line in there]
    goal = [line.strip() for line in wanted]
    found: list[tuple[int, list[str]]] = []
    for at, body in enumerate(bodies[: len(bodies) - len(goal) + 1]):
        if body == goal[0] and bodies[at : at + len(goal)] == goal:
            indented = _reindented(wanted, there[at : at + len(goal)], replacement)
            if indented is not None:
                found.append((at, indented))
    starts = _starts(there)
    if len(found) > 1:
        return _ambiguous(text, [starts[at] for at, _ in found])
    if not found:
        return Problem(f"its SEARCH text is not in the file (0 matches){nearest(bodies, goal)}")
    at, indented = found[0]
    start, end = starts[at], starts[at + len(goal)] - 1
    carriage = "\r" if end > start and text[end - 1] == "\r" else ""
    new = (carriage + "\n").join(line.rstrip("\r") for line in indented)
    if not new:
        return _Change(start, min(end + 1, len(text)), "")
    if new + carriage == text[start:end]:
        return Problem("it changes nothing but spaces")
    return _Change(start, end, new + carriage)


def _trimmed(lines: list[str]) -> list[str]:
    """Without blank lines at either end; one that is all blank becomes none."""
    solid = [i for i, line in enumerate(lines) if line.strip()]
    return lines[solid[0] : solid[-1] + 1] if solid else []


def _reindented(wanted: list[str], there: list[str], replacement: list[str]) -> list[str] | None:
    """The replacement moved as far as the file is from the search; None if lines differ in how far."""
    asked, has = _indent(wanted[0]), _indent(there[0])
    if has.endswith(asked):
        more, less = has[: len(has) - len(asked)], ""
    elif asked.endswith(has):
        more, less = "", asked[: len(asked) - len(has)]
    else:
        more, less = has, asked
    pairs = [(_indent(one), _indent(other)) for one, other in zip(wanted, there, strict=True) if one.strip()]
    if any(not one.startswith(less) or more + one.removeprefix(less) != other for one, other in pairs):
        return None
    if any(line.strip() and not line.startswith(less) for line in replacement):
        return None
    return [more + line.removeprefix(less) if line.strip() else "" for line in replacement]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _starts(lines: list[str]) -> list[int]:
    """Where each line begins in the text, and where one after the last would."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _ambiguous(text: str, starts: list[int]) -> Problem:
    numbers = ", ".join(str(_line_number(text, start)) for start in starts[:5])
    more = ", ..." if len(starts) > 5 else ""
    return Problem(
        f"its SEARCH text stands {len(starts)} times in the file (lines {numbers}{more}); "
        "add neighbouring lines until it stands there once"
    )


def _line_number(text: str, start: int) -> int:
    return text.count("\n", 0, start) + 1
