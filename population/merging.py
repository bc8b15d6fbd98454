"""Three-way merge of genomes by what they define: constants, functions, methods, and statements in these.

Two changes of one base are brought together where they touch different things, however near these are to each
other in the text; what neither touched stays byte for byte. What both touched is a clash, which goes to the
preferred side, if there is one. Statements of one function are merged one by one, but a clash among them is a
clash of the function: half of each side's would be nobody's idea. Comments never clash: ours stay.

Not seen: changes of different statements that contradict each other when run. The trial finds out.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from population.structure.alignment import Edit, edit_of
from population.structure.outline import DOCSTRING, Body, Piece, Unit, joined, outline
from population.structure.statements import mixed, statement, words

Side: TypeAlias = Literal["ours", "theirs"]
Outline: TypeAlias = tuple[Piece, ...]


class Merged(Struct, frozen=True, tag="merged"):
    """The genome with the changes of both sides, but for the names in which one side had to give way."""

    text: str
    given: tuple[str, ...] = ()


class Conflict(Struct, frozen=True, tag="conflict"):
    """There is no genome with both: the names of what both changed (`LR`, `GPT.forward`), or why in words."""

    clashes: tuple[str, ...]


class Clash(Struct, frozen=True):
    """Something both sides changed, as either has it."""

    name: str
    ours: str
    theirs: str

    def preferred(self, side: Side | None) -> str:
        return self.theirs if side == "theirs" else self.ours


Merge: TypeAlias = Iterator[str | Clash]


def merge(base: str, ours: str, theirs: str, prefer: Side | None = None) -> Merged | Conflict:
    """The changes from `base` to `ours` and from `base` to `theirs` in one genome that parses.

    Clashes go to the side to `prefer`; without one they are a Conflict. It is one in any case if a text does
    not parse, or if one side newly uses a name that the other does away with or gives a meaning.
    """
    outlines: list[Outline] = []
    problems: list[str] = []
    for side, text in (("base", base), ("ours", ours), ("theirs", theirs)):
        try:
            outlines.append(outline(_closed(text)))
        except SyntaxError as error:
            problems.append(f"{side} does not parse: {error.msg}")
    if problems:
        return Conflict(tuple(problems))
    if ours in (base, theirs) or theirs == base:
        return Merged(theirs if ours == base else ours)
    was, left, right = (tuple(unit for piece in pieces for unit in piece.units) for pieces in outlines)
    parts = list(_scope(was, left, right, path=""))
    clashes = tuple(dict.fromkeys(part.name for part in parts if isinstance(part, Clash)))
    if clashes and prefer is None:
        return Conflict(clashes)
    text = "".join(part if isinstance(part, str) else part.preferred(prefer) for part in parts)
    if problems := _contradictions(outlines[0], outlines[1], outlines[2], text):
        return Conflict(tuple(problems))
    is_open = [text != _closed(text) for text in (base, ours, theirs)]
    if is_open[2] if is_open[1] == is_open[0] else is_open[1]:
        text = re.sub(r"(\r\n|\r|\n)\Z", "", text)
    return Merged(text, clashes)


def _closed(text: str) -> str:
    """The text with a line end at its end."""
    if not text or text[-1] in "\r\n":
        return text
    return text + ("\r\n" if "\r\n" in text else "\n")


def _scope(base: Body, ours: Body, theirs: Body, path: str) -> Merge:
    """Merge the bodies of modules or classes, where units are told apart by the names they bind."""
    if mixed(base, ours, theirs):
        yield Clash(path.rstrip(".") or "the indentation", joined(ours), joined(theirs))
        return
    a, b = edit_of(base, ours), edit_of(base, theirs)
    contested = _contested(base, a, b)
    for i in range(len(base) + 1):
        yield from _together(a.before.get(i, ()), b.before.get(i, ()), contested, path)
        if i < len(base):
            yield from _fate(base[i], a.kept.get(i), b.kept.get(i), contested, path)
        yield from _together(a.instead.get(i, ()), b.instead.get(i, ()), contested, path)


def _fate(base: Unit, ours: Unit | None, theirs: Unit | None, contested: set[str], path: str) -> Merge:
    """What becomes of one unit of the base."""
    if ours is theirs is base:
        yield base.text
        return
    left, right = (unit.text if unit else "" for unit in (ours, theirs))
    names = base.names.union(*(unit.names for unit in (ours, theirs) if unit))
    if names & contested and left != right:
        yield Clash(path + base.label, left, right)
    elif ours and theirs:
        yield from _unit(base, ours, theirs, path)
    elif (rest := ours or theirs) and rest.code != base.code:
        yield Clash(path + base.label, left, right)


def _together(ours: Body, theirs: Body, contested: set[str], path: str) -> Merge:
    """Units that both sides inserted at one place: ours first, what both have once."""
    if not ours and not theirs:
        return
    mine, added = _beyond(ours, theirs), _beyond(theirs, ours)
    if mine and added and not all(unit.plain for unit in (*ours, *theirs)):
        yield Clash(path + added[0].label, joined(ours), joined(theirs))
        return
    if not mine:
        ours, added = (), theirs
    if ours and added and ours[0].lead == added[0].lead and not ours[0].lead.isspace():
        added = (added[0].without_lead(), *added[1:])  # both were put under one heading
    if any(unit.rank == DOCSTRING for unit in ours):
        added = tuple(unit for unit in added if unit.rank != DOCSTRING)
    sides = [(unit, True) for unit in ours] + [(unit, False) for unit in added]
    for unit, is_ours in sorted(sides, key=lambda side: side[0].rank):
        if unit.names & contested:
            yield Clash(path + unit.label, unit.text if is_ours else "", "" if is_ours else unit.text)
        else:
            yield unit.text


def _beyond(units: Body, others: Body) -> Body:
    """The units that are not among the others."""
    known = Counter(unit.code for unit in others)
    beyond: list[Unit] = []
    for unit in units:
        known[unit.code] -= 1
        if known[unit.code] < 0:
            beyond.append(unit)
    return tuple(beyond)


def _contested(base: Body, a: Edit, b: Edit) -> set[str]:
    """Names that both sides touched, not by the same edit, one of them by adding or removing a definition.

    So that a second definition on one side never hides what the other made of the first.
    """
    ours, theirs = _Touched(base, a), _Touched(base, b)
    both = (ours.rebound | theirs.rebound) & ours.at.keys() & theirs.at.keys()
    return {name for name in both if ours.at[name] != theirs.at[name]}


class _Touched:
    """Names whose definitions a side changed, at which places, and those of which it added or removed one."""

    def __init__(self, base: Body, edit: Edit) -> None:
        self.at = defaultdict[str, set[tuple[str, int]]](set)
        self.rebound: set[str] = set()
        for i, unit in enumerate(base):
            now = edit.kept.get(i)
            if now is None or (now is not unit and now.code != unit.code):
                self.touch(unit.names, "", i)
                self.touch(now.names if now else (), "", i)
                self.rebound |= unit.names ^ (now.names if now else frozenset())
        for place, units in (*edit.before.items(), *edit.instead.items()):
            for unit in units:
                anywhere = unit.code.startswith(("import ", "from "))  # doing it twice does no harm
                self.touch(unit.names, unit.code, -1 if anywhere else place)
                self.rebound |= unit.names

    def touch(self, names: Collection[str], code: str, place: int) -> None:
        for name in names:
            self.at[name].add((code, place))


def _unit(base: Unit, ours: Unit, theirs: Unit, path: str) -> Merge:
    """Merge what the three have made of one unit of a scope."""
    if ours.is_class and theirs.is_class and base.is_class and base.shape == ours.shape == theirs.shape:
        name = path + base.label
        for was, left, right in zip(base.parts, ours.parts, theirs.parts, strict=True):
            if isinstance(was, str) and isinstance(left, str) and isinstance(right, str):
                part = words(was, left, right)
                yield Clash(name, left, right) if part is None else part
            elif isinstance(was, tuple) and isinstance(left, tuple) and isinstance(right, tuple):
                yield from _scope(was, left, right, name + ".")
        return
    merged = statement(base, ours, theirs)
    yield Clash(path + base.label, ours.text, theirs.text) if merged is None else merged


def _contradictions(base: Outline, ours: Outline, theirs: Outline, text: str) -> list[str]:
    """What is wrong with the merge as a whole, in words: it does not parse, or names lost their meaning."""
    try:
        merged = outline(text)
    except SyntaxError as error:
        return [f"the merge does not parse: {error.msg}"]
    found: set[str] = set()
    for names in (_top, _bound):
        was, left, right = names(base), names(ours), names(theirs)
        for name in ((was | left | right) & _read(merged)) - names(merged):
            without = [side for side, bound in ((ours, left), (theirs, right)) if name not in bound]
            if _reads(merged, name) > min((_reads(side, name) for side in without), default=0):
                found.add(f"{name.lstrip('.')} is used by one side and gone on the other")
    was, left, right = _top(base), _top(ours), _top(theirs)
    for added, other in ((left - was - right, theirs), (right - was - left, ours)):
        new = {name for name in added & _read(other) if _reads(other, name) > _reads(base, name)}
        found |= {f"{name} is new on one side and something else on the other" for name in new}
    return sorted(found)


def _top(pieces: Outline) -> set[str]:
    return set[str]().union(*(piece.top for piece in pieces))


def _bound(pieces: Outline) -> set[str]:
    return set[str]().union(*(piece.bound for piece in pieces))


def _read(pieces: Outline) -> set[str]:
    return set[str]().union(*(piece.used for piece in pieces))


def _reads(pieces: Outline, name: str) -> int:
    return sum(piece.used[name] for piece in pieces)
