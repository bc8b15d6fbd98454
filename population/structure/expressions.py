"""Evaluates constant expressions without running them.

Genomes and their comments come from strangers, so nothing here executes their text: a small evaluator walks
the syntax tree and knows literals, tuples, arithmetic, comparisons and a few pure functions. Its work is
bounded, whatever the text: numbers by their bits, strings by their length, tuples by all they hold, trees by
their depth. It raises `Unknown` for what it cannot or will not evaluate and `Undefined` for what fails
when it is run.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from population.records import Knob
from trainer.syntax import parse

Value: TypeAlias = Knob | tuple["Value", ...] | None
Environment: TypeAlias = Mapping[str, Value]

_MAX_BITS: Final = 256
_MAX_LENGTH: Final = 10_000
_MAX_ITEMS: Final = 1_000  # of a tuple and of the tuples in it
_MAX_DEPTH: Final = 60
_MAX_DIGITS: Final = 100  # that `round` may look at, before or behind the point


class Unknown(ValueError):
    """The expression is not one of constants alone, or is too large to be one."""


class Undefined(Unknown):
    """The expression is known and fails when run, as 1 // 0 does."""


def literal(text: str) -> Value:
    """The value of an expression without names. Raises Unknown, also for text that is no expression."""
    try:
        body = parse(text).body
    except SyntaxError as error:
        raise Unknown(str(error)) from error
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        raise Unknown("not one expression")
    return evaluate(body[0].value, {})


def evaluate(node: ast.expr, names: Environment, depth: int = 0) -> Value:
    """The value of an expression of constants and `names`. Raises Unknown or Undefined."""
    if depth > _MAX_DEPTH:
        raise Unknown("nested too deeply")

    def value(child: ast.expr) -> Value:
        return evaluate(child, names, depth + 1)

    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as found):
            return _bounded(found)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Tuple(elts=elements):
            return _bounded(tuple(value(element) for element in elements))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not value(operand)
        case ast.UnaryOp(op=op, operand=operand):
            return _arithmetic(_UNARY, op, _number(value(operand)))
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, value(left), value(right))
        case ast.BoolOp(op=op, values=parts):
            return _boolean(isinstance(op, ast.And), map(value, parts))
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _comparison(value(left), ops, map(value, others))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return value(body) if value(test) else value(orelse)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _call(name, [value(argument) for argument in arguments])
    raise Unknown(f"{type(node).__name__} is not a constant expression")


_UNARY: Final[dict[type[ast.AST], Callable[..., Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: lambda number: -number - 1,
}
_BINARY: Final[dict[type[ast.AST], Callable[..., Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: Final[dict[type[ast.AST], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs, "float": float, "int": int, "len": len, "max": max, "min": min, "round": round,
}  # fmt: skip


def _binary(op: ast.operator, left: Value, right: Value) -> Value:
    if isinstance(op, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return _bounded(left + right)
    base, exponent = _number(left), _number(right)
    if (
        isinstance(op, ast.Pow)
        and isinstance(base, int)
        and base.bit_length() * abs(exponent) > 2 * _MAX_BITS
    ):
        raise Unknown("a power too large")
    return _arithmetic(_BINARY, op, base, exponent)


def _arithmetic(table: Mapping[type[ast.AST], Callable[..., Any]], op: ast.AST, *numbers: float) -> Value:
    if type(op) not in table:
        raise Unknown(f"{type(op).__name__} is not arithmetic")
    try:
        return _bounded(table[type(op)](*numbers))
    except (ZeroDivisionError, OverflowError) as error:
        raise Undefined(str(error)) from error


def _boolean(every: bool, parts: Iterator[Value]) -> Value:
    """`and` (every) or `or` of parts that are evaluated only as far as the answer needs."""
    result: Value = every
    for result in parts:
        if bool(result) != every:
            break
    return result


def _comparison(left: Value, ops: list[ast.cmpop], others: Iterator[Value]) -> bool:
    for op, right in zip(ops, others, strict=True):
        try:
            if not _COMPARE[type(op)](left, right):
                return False
        except TypeError as error:
            raise Undefined(str(error)) from error
        left = right
    return True


def _call(name: str, arguments: list[Value]) -> Value:
    if name == "round" and any(isinstance(n, int) and abs(n) > _MAX_DIGITS for n in arguments[1:]):
        raise Unknown("rounded to too many digits")
    try:
        result = _FUNCTIONS[name](*arguments)
    except (TypeError, ValueError, OverflowError) as error:
        raise Undefined(str(error)) from error
    return _bounded(result)


def _number(value: Value) -> float:
    if not isinstance(value, int | float):
        raise Unknown("arithmetic on something else than numbers")
    return value


def _bounded(value: Any) -> Value:
    """The value itself, if it is of a kind and size that constants have."""
    match value:
        case bool() | None:
            return value
        case tuple() if _is_small(value):
            return value
        case int() if value.bit_length() <= _MAX_BITS:
            return value
        case float() if math.isfinite(value):
            return value
        case str() if len(value) <= _MAX_LENGTH and not _SURROGATE.search(value):
            return value
    raise Unknown("too large, not finite, or of an unknown kind")


_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # half a character, which no record in UTF-8 can hold


def _is_small(value: tuple[Value, ...]) -> bool:
    """Whether a tuple is shallow and holds few items, those of a tuple in it counted wherever it stands."""
    tuples, items = [value], 0
    for _ in range(_MAX_DEPTH):
        items += sum(map(len, tuples))
        if items > _MAX_ITEMS:
            return False
        tuples = [item for inner in tuples for item in inner if isinstance(item, tuple)]
        if not tuples:
            return True
    return False
