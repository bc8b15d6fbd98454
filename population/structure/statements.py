"""Three-way merge of statements: piece by piece, and for those that have bodies, statement by statement.

Order matters here, so everything that is not plainly apart is a clash: None.
"""

import re
from collections.abc import Iterator
from typing import Final

from population.structure.alignment import Edit, edit_of
from population.structure.normal import normal_hash
from population.structure.outline import Body, Part, Unit, joined


def statement(base: Unit, ours: Unit, theirs: Unit) -> str | None:
    """Merge a statement and all in it; None for a clash."""
    if (one := _undisputed(base.text, ours.text, theirs.text)) is not None:
        return one
    if base.shape == ours.shape == theirs.shape:
        parts = list(map(_part, base.parts, ours.parts, theirs.parts))
        text = "".join(part for part in parts if part is not None)
        if None not in parts:
            return text
    return ours.text if _equal(ours.text, theirs.text) else None


def _part(base: Part, ours: Part, theirs: Part) -> str | None:
    if isinstance(base, str) and isinstance(ours, str) and isinstance(theirs, str):
        return words(base, ours, theirs)
    assert isinstance(base, tuple) and isinstance(ours, tuple) and isinstance(theirs, tuple), "one shape"
    return _block(base, ours, theirs)


def words(base: str, ours: str, theirs: str) -> str | None:
    """Merge a piece of text without statements in it. Comments are not worth a clash: ours stay."""
    if (one := _undisputed(base, ours, theirs)) is not None:
        return one
    if all(map(_is_comment, (base, ours, theirs))) or _equal(ours, theirs):
        return ours
    return _imports(base, ours, theirs)


def _undisputed(base: str, ours: str, theirs: str) -> str | None:
    if ours in (base, theirs):
        return theirs
    return ours if theirs == base else None


_IMPORT: Final = re.compile(r"((?:from [\w.]+ )?import )(\w[\w., ]*)")


def _imports(base: str, ours: str, theirs: str) -> str | None:
    """Merge imports of one form by the names they import; None for anything else."""
    found = [_IMPORT.fullmatch(text) for text in (base, ours, theirs)]
    heads = {match[1] for match in found if match}
    if None in found or len(heads) > 1:
        return None
    was, left, right = ([name.strip() for name in match[2].split(",")] for match in found if match)
    names = [name for name in left if name in right or name not in was]
    added = [name for name in right if name not in left and name not in was]
    merged = sorted(names + added) if left == sorted(left) else names + added
    unique = len({name.split()[-1] for name in merged}) == len(merged)
    return heads.pop() + ", ".join(merged) if merged and unique else None


def _equal(ours: str, theirs: str) -> bool:
    """Whether two statements say the same, however it is written."""
    try:
        return normal_hash(_dedented(ours)) == normal_hash(_dedented(theirs))
    except SyntaxError:
        return False


def _dedented(text: str) -> str:
    return f"if 1:\n{text}" if re.match(r"(?:[ \t]*(?:#.*)?\r?\n)*[ \t]", text) else text


def _block(base: Body, ours: Body, theirs: Body) -> str | None:
    """Merge bodies in which order matters; None where changes overlap or fall on one place."""
    if mixed(base, ours, theirs):
        return None
    a, b = edit_of(base, ours), edit_of(base, theirs)
    if _repeats(a, b) or _cut(a, b) or _cut(b, a):
        return None
    text: list[str | None] = []
    for i in range(len(base) + 1):
        text.append(_in_order(a.before.get(i, ()), b.before.get(i, ())))
        if i in a.kept and i in b.kept:
            text.append(statement(base[i], a.kept[i], b.kept[i]))
        elif i in a.gone and i in b.gone:
            same = a.gone[i] == b.gone[i] or not (a.gone[i].new or b.gone[i].new)
            text.append(joined(a.instead.get(i, ())) if same else None)
        elif i < len(base):
            rest, other = (a.kept[i], b) if i in a.kept else (b.kept[i], a)
            text.append(joined(other.instead.get(i, ())) if rest.code == base[i].code else None)
    return None if None in text else "".join(part for part in text if part is not None)


def _repeats(a: Edit, b: Edit) -> bool:
    """Whether both sides put in one statement at two places: together they would run it twice."""
    ours, theirs = (
        {(unit.code, *place) for place, units in _places(edit) for unit in units if unit.code}
        for edit in (a, b)
    )
    return not {code for code, *_ in ours - theirs}.isdisjoint(code for code, *_ in theirs - ours)


def _places(edit: Edit) -> Iterator[tuple[tuple[int, bool], Body]]:
    yield from (((i, False), units) for i, units in edit.before.items())
    yield from (((i, True), units) for i, units in edit.instead.items())


def _cut(a: Edit, b: Edit) -> bool:
    """Whether `b` puts something into the middle of what `a` took out."""
    return any(i in a.gone and a.gone[i].start < i for i in b.before)


def _in_order(ours: Body, theirs: Body) -> str | None:
    """What both put in one place: if either order comes to the same, ours first."""
    if not ours or not theirs or [unit.code for unit in ours] == [unit.code for unit in theirs]:
        return joined(ours or theirs)
    if all(_independent(left, right) for left in ours for right in theirs):
        return joined((*ours, *theirs))
    return None


def _independent(a: Unit, b: Unit) -> bool:
    """Whether both only bind names and neither mentions what the other binds."""
    return a.plain and b.plain and not (_last_names(a) & _mentioned(b) or _last_names(b) & _mentioned(a))


def _last_names(unit: Unit) -> set[str]:
    return {name.rpartition(".")[2] for name in unit.binds}


def _mentioned(unit: Unit) -> set[str]:
    return set(re.findall(r"\w+", unit.code))


def mixed(*bodies: Body) -> bool:
    """Whether the bodies are indented differently."""
    return len({body[0].indent for body in bodies if body and body[0].parts[1:]}) > 1


def _is_comment(text: str) -> bool:
    return all(line.strip()[:1] in ("", "#") for line in re.split(r"[\r\n]", text))
