"""What a model said, read as a proposal: SEARCH/REPLACE edits with an idea, or values for knobs.

A reply is a stranger's text. Nothing here raises, whatever it is, and no pattern looks at a character more
than a few times; what cannot be used comes back as `Unusable` with the reason in one line, to be shown to its
author. Much is forgiven where the meaning is clear (fences, counts of signs, ends of lines, prose around, a
missing idea), nothing where it is not: an edit that is found twice is not made.
"""

import json
import re
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from population.genome import knobs, rewrite
from population.hearing.edits import Edit, Problem, apply
from population.hearing.foreseen import foreseen, number
from population.hearing.layout import Broken, Fenced, Part, Prose, parts
from population.hearing.quoting import line
from population.hearing.schemas import schema
from population.hearing.settings import settable, setting
from population.hearing.wholes import whole
from population.proposals import Proposal, Unusable

__all__ = ["Form", "number", "read", "schema", "settable", "without_reasoning"]

Form: TypeAlias = Literal["edits", "knobs"]

_LONGEST: Final = 2_000_000  # characters of a reply that are read
_KEPT: Final = 100_000  # characters of it that are kept, to be shown again
_IDEA: Final = 200  # characters of an idea
_OBJECTS: Final = 50  # places at which the JSON of an answer is looked for


class _Answer(Struct, frozen=True):
    genome: str
    idea: str
    expected: float | None


def read(said: str, genome: str, form: Form) -> Proposal | Unusable:
    """The proposal a reply comes to, as a change of `genome`; its thought is left to whoever asked."""
    said = said[: _LONGEST + 1].encode("utf-8", "replace").decode()  # half characters cannot be written down
    kept = said[:_KEPT]
    if len(said) > _LONGEST:
        return Unusable("the answer is far too long; give the form asked for and no more", kept)
    text, finished = without_reasoning(said.replace("\r\n", "\n").replace("\0", ""))
    if not text.strip():
        reason = "the answer is empty" if finished else "the answer ended in the middle of its reasoning"
        return Unusable(f"{reason}; give the form asked for", kept)
    try:
        answer = _edited(text, genome) if form == "edits" else _set(text, genome)
    except SyntaxError as error:
        answer = Problem(f"the present file is no program: {error.msg}")
    if isinstance(answer, Problem):
        return Unusable(line(answer.reason, 600), kept)
    return Proposal(answer.genome, answer.idea, expected=answer.expected, said=kept)


_REASONING: Final = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)


def without_reasoning(text: str) -> tuple[str, bool]:
    """The text without what stands between <think> and </think>, and whether all reasoning was ended.

    A closing tag that nothing opened ends what began with the reply, as some chat templates have it.
    """
    kept: list[str] = []
    inside, begin = False, 0
    for tag in _REASONING.finditer(text):
        if tag[1]:
            kept = kept if inside else []
        elif not inside:
            kept.append(text[begin : tag.start()])
        inside, begin = not tag[1], tag.end()
    return "".join(kept) + ("" if inside else text[begin:]), not inside


# --- edits -------------------------------------------------------------------------------------------------


def _edited(text: str, genome: str) -> _Answer | Problem:
    idea, expected, rest = _words(parts(text))
    edits: list[Edit] = []
    for part in rest:
        if isinstance(part, Broken):
            return Problem(part.reason)
        if isinstance(part, Edit) and part not in edits[-_OBJECTS:]:  # said twice is said once
            edits.append(part)
    files = [part for part in rest if isinstance(part, Fenced)]
    edited = apply(genome, edits) if edits else whole(files, genome)
    if isinstance(edited, Problem):
        return edited
    return _Answer(edited, idea or _summary(genome, edited), expected)


_LABEL: Final = re.compile(r"[\s>*#_`\-]*(idea|expected)[\s*_`]*[:：](.*)", re.IGNORECASE)


def _words(found: Sequence[Part]) -> tuple[str, float | None, list[Part]]:
    """The idea, what is expected of it, and the parts up to where a second idea follows the first's edits."""
    idea, expected, rest = "", None, list[Part]()
    open_label = False  # an `IDEA:` with nothing behind it on its line
    for part in found:
        if not isinstance(part, Prose):
            rest.append(part)
            continue
        label = _LABEL.match(part.line[:4_000])
        if label is None:
            if open_label and part.line.strip():
                idea, open_label = _idea(part.line), False
        elif label[1].lower() == "expected":
            expected = number(label[2]) if expected is None else expected
        elif idea and rest:
            break
        else:
            idea, expected = _idea(label[2]), expected if rest else None
            open_label = not idea
    return idea, expected, rest


def _idea(text: str) -> str:
    return line(text.strip(" \t*_`\"'<>"), _IDEA)


def _summary(before: str, after: str) -> str:
    """What a change without a word says for itself: knobs that moved, else the first line that differs."""
    try:
        old, new = knobs(before), knobs(after)
        moved = [
            f"{name} {old[name]!r} -> {value!r}"
            for name, value in new.items()
            if old.get(name) != value and name in old
        ]
    except SyntaxError:
        moved = []
    if moved:
        return line(f"set {', '.join(moved)}", _IDEA)
    lines = zip(before.split("\n"), after.split("\n"), strict=False)
    first = next(
        (other for one, other in lines if one.strip() != other.strip()), after.rstrip().rpartition("\n")[2]
    )
    return line(f"(no idea given) {first.strip() or 'removes lines'}", _IDEA)


# --- knobs -------------------------------------------------------------------------------------------------


def _set(text: str, genome: str) -> _Answer | Problem:
    answer = _object(text)
    if answer is None:
        return Problem('there is no JSON object with "idea", "expected" and "changes" in the answer')
    moved = setting(genome, answer["changes"])
    if isinstance(moved, Problem):
        return moved
    said, expected = answer.get("idea"), answer.get("expected")
    idea = _idea(said) if isinstance(said, str) else ""
    new = rewrite(genome, moved)
    return _Answer(new, idea or _summary(genome, new), foreseen(expected))


def _object(text: str) -> dict[str, object] | None:
    """The first JSON object in the text that has changes."""
    decoder, at = json.JSONDecoder(), text.find("{")
    for _ in range(_OBJECTS):
        if at < 0:
            return None
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):  # too deep, or a number with thousands of digits
            end = at + 1
        else:
            if isinstance(found, dict) and "changes" in found:
                return found
        at = text.find("{", end)
    return None
