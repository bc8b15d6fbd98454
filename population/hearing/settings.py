"""Values for knobs, as a model gives them in JSON: which may be set, and to what."""

import ast
import math
from collections.abc import Iterable, Mapping
from typing import Final

from population.genome import Choices, Constant, Fixed, Interval, constants, holds, names_seed
from population.hearing.edits import Problem
from population.hearing.quoting import cut, line
from population.records import Knob
from trainer.syntax import parse

_LARGEST: Final = 2**63 - 1  # what a record can hold
_LONGEST: Final = 200  # characters of a word


def settable(genome: str) -> dict[str, Constant]:
    """The constants a model may set, in their order. Raises SyntaxError."""
    return {
        name: constant
        for name, constant in constants(genome).items()
        if constant.knob is not None
        and not isinstance(constant.range, Fixed)
        and not names_seed(name)
        and not (isinstance(constant.range, Choices) and len(set(constant.range.values)) < 2)
    }


def described(constant: Constant) -> str:
    """What a knob is and may be, in a line: `DEPTH = 9 (1 to 16)`."""
    present = f"{constant.name} = {line(repr(constant.knob), 60)}"
    match constant.range:
        case Interval(low, high, scale, step):
            how = f", step {step:g}" if step else "" if scale == "linear" else f", {scale}"
            return f"{present} ({low:g} to {high:g}{how})"
        case Choices(values):
            return line(f"{present} (one of {', '.join(map(repr, values))})", 300)
    return f"{present} ({_kind(constant.knob)})"


def setting(genome: str, changes: object) -> dict[str, Knob] | Problem:
    """The knobs that `changes` (an object, or a list of them) moves, or what is wrong with it.

    A value may stand under its knob's name or beside it: {"DEPTH": 8} or {"name": "DEPTH", "value": 8}.
    Raises SyntaxError for a genome that is no program.
    """
    known, able = constants(genome), settable(genome)
    new: dict[str, Knob] = {}
    pairs = _pairs(changes)
    if pairs is None:
        return Problem('"changes" must be a list of objects with one knob each, such as [{"NAME": 1}]')
    for name, value in pairs:
        if name not in able:
            return Problem(_not_settable(name, known, able))
        knob = _fitting(able[name], value)
        if isinstance(knob, Problem):
            return knob
        if name in new and new[name] != knob:
            return Problem(f"{name} is given two values, {new[name]!r} and {knob!r}")
        new[name] = knob
    moved = {name: value for name, value in new.items() if value != known[name].knob}
    if not moved:
        same = ", ".join(f"{name} is {value!r} already" for name, value in list(new.items())[:3])
        return Problem(f"it changes nothing: {same or 'no knob is set'}")
    return moved if holds(genome, moved) else Problem(_violated(genome, moved))


def _pairs(changes: object) -> list[tuple[str, object]] | None:
    """Names with values; None if that is not what it is."""
    match changes:
        case dict():
            if isinstance(name := changes.get("name"), str) and "value" in changes:
                return [(name, changes["value"])]
            return list(changes.items())
        case list():
            inner = [_pairs(change) if isinstance(change, dict) else None for change in changes]
            return None if None in inner else [pair for pairs in inner for pair in pairs or ()]
    return None


def _not_settable(name: str, known: Mapping[str, Constant], able: Iterable[str]) -> str:
    shown = line(name, 60)
    if name not in known:
        return f"there is no knob {shown}; knobs are {cut(', '.join(able), 400)}"
    constant = known[name]
    if isinstance(constant.range, Fixed):
        return f"{shown} is fixed"
    if constant.derived:
        return f"{shown} follows from other constants; set those"
    return f"{shown} belongs to the harness" if names_seed(name) else f"{shown} cannot be set"


def _fitting(constant: Constant, value: object) -> Knob | Problem:
    """The value in the kind the knob has, if it is one that the knob may have."""
    if isinstance(constant.range, Choices):
        chosen = next((one for one in constant.range.values if _same(one, value)), None)
        return Problem(f"{described(constant)} cannot be {_show(value)}") if chosen is None else chosen
    knob = _like(constant.knob, value)
    if knob is None:
        return Problem(f"{constant.name} must be {_kind(constant.knob)}, not {_show(value)}")
    interval = constant.range
    if isinstance(interval, Interval) and not isinstance(knob, str) and not inside(knob, interval):
        return Problem(f"{described(constant)} cannot be {_show(knob)}")
    return knob


def _same(one: Knob, value: object) -> bool:
    """Whether two values are equal and of a kind, if that is number for both."""
    words = bool | str
    return one == value and (
        type(one) is type(value) or not isinstance(one, words) | isinstance(value, words)
    )


def _like(old: Knob | None, value: object) -> Knob | None:
    """A value of the same kind as the old one; a whole number is both kinds of number."""
    match old, value:
        case (bool(), bool()):
            return value
        case (bool(), _) | (_, bool()):
            return None
        case (float(), int() | float()) if abs(value) <= _LARGEST or isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        case (int(), int()) if abs(value) <= _LARGEST:
            return value
        case (int(), float()) if value.is_integer() and abs(value) <= 2**53:
            return int(value)
        case (str(), str()) if len(value) <= _LONGEST and value.isprintable():
            return value
    return None


def inside(knob: float, interval: Interval) -> bool:
    """Whether a number is one that the interval has."""
    if not interval.low <= knob <= interval.high:
        return False
    if interval.scale == "power of two":
        return math.frexp(knob)[0] == 0.5
    if interval.step is not None:
        steps = (knob - interval.low) / interval.step
        return abs(steps - round(steps)) < 1e-6
    return True


def _violated(genome: str, moved: Mapping[str, Knob]) -> str:
    """The first assertion that does not hold."""
    tree = parse(genome)
    others = [statement for statement in tree.body if not isinstance(statement, ast.Assert)]
    values = ", ".join(f"{name} = {_show(value)}" for name, value in moved.items())
    for statement in tree.body:
        if isinstance(statement, ast.Assert):
            body = sorted([*others, statement], key=lambda each: each.lineno)
            if not holds(ast.Module(body, type_ignores=[]), moved):
                source = ast.get_source_segment(genome, statement) or ""
                return f"with {cut(values, 200)} this does not hold: {line(source, 200)}"
    return f"with {cut(values, 200)} an assertion of the file fails"


def _kind(old: Knob | None) -> str:
    match old:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
    return "a short text"


def _show(value: object) -> str:
    """A value in few characters, however large or deep it is."""
    match value:
        case int() if not -_LARGEST <= value <= _LARGEST:
            return "a number that large"
        case bool() | int() | float() | None:
            return repr(value)
        case str():
            return repr(line(value, 60))
    return f"a {type(value).__name__}"
