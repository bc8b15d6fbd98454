"""A genome as text: its constants, their ranges, edits of their values, its normal form and its size.

A constant is a top-level assignment `NAME = expression` of a capitalised name, bound once, whose value
follows from literals and earlier constants; a knob is a scalar constant that depends on no other one. A
comment after the assignment may end in the range a knob may move in, the last part after a semicolon:

    DEPTH = 8            # layers; 1 to 16
    MATRIX_LR = 0.04     # for matrices (Muon); 0.001 to 0.2, log
    BATCH = 2**17        # tokens a step; 2**14 to 2**20, power of two
    WINDOW = "SSSL"      # one of "SSSL", "L"
    HEAD_DIM = 128       # the kernel needs this; fixed
    ASPECT = 64          # width over depth; 32 to 96, step 8

Anything else in a comment is words. No genome is ever executed here.
"""

import ast
import io
import math
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from population.records import Knob
from population.structure.expressions import Undefined, Unknown, Value, evaluate, literal
from population.structure.normal import Variants, docstring, names_seed, normal_hash, only_seed_changed
from trainer.syntax import parse

__all__ = [
    "Choices", "Constant", "Fixed", "Interval", "Range", "Variants", "complexity", "constants", "holds",
    "knobs", "names_seed", "normal_hash", "only_seed_changed", "parse_range", "rewrite", "skeleton",
]  # fmt: skip


class Interval(Struct, frozen=True):
    """Numbers from `low` to `high`, both included; `step` counts from `low`."""

    low: float
    high: float
    scale: Literal["linear", "log", "power of two"] = "linear"
    step: float | None = None


class Choices(Struct, frozen=True):
    """One of a few values."""

    values: tuple[Knob, ...]


class Fixed(Struct, frozen=True):
    """Not to be changed by an optimiser."""


Range: TypeAlias = Interval | Choices | Fixed


class Constant(Struct, frozen=True):
    """A constant and where its value stands: bytes `start` to `end` of the text in UTF-8."""

    name: str
    value: Value
    start: int
    end: int
    derived: bool  # its expression names other constants
    range: Range | None

    @property
    def knob(self) -> Knob | None:
        """Its value, if it can be set: a scalar, and not derived."""
        return self.value if isinstance(self.value, bool | int | float | str) and not self.derived else None


_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_INTERVAL: Final = re.compile(r"(.+?) to (.+?)(?:,\s*(log|power of two|step (.+)))?")
_COMMENT: Final = re.compile(rb"[ \t]*#([^\r\n]*)")
_POWER_OF_TWO: Final = re.compile(rb"2(\s*)\*\*(\s*)\d+")
_MAX_WORDS: Final = 1_000  # characters a range may have, for its pattern may look at each many times


def constants(text: str, tree: ast.Module | None = None) -> dict[str, Constant]:
    """The constants by name, in order; `tree` spares parsing the text again. Raises SyntaxError."""
    tree = tree or parse(text)
    source = text.encode()
    starts = [0, *(line.end() for line in re.finditer(rb"\r\n|\r|\n", source))]
    found: dict[str, Constant] = {}
    values: dict[str, Value] = {}
    for statement, name, expression in _assignments(tree):
        try:
            values[name] = evaluate(expression, values)
        except Unknown:
            continue
        _, end = _span(statement, starts)
        comment = _COMMENT.match(source, end)
        found[name] = Constant(
            name,
            values[name],
            *_span(expression, starts),
            derived=any(isinstance(node, ast.Name) and node.id in values for node in ast.walk(expression)),
            range=parse_range(comment[1].decode()) if comment else None,
        )
    return found


def knobs(text: str, tree: ast.Module | None = None) -> dict[str, Knob]:
    """The plain values of the scalar constants that depend on no other. Raises SyntaxError."""
    return {name: knob for name, found in constants(text, tree).items() if (knob := found.knob) is not None}


def parse_range(comment: str) -> Range | None:
    """The range a comment ends in, or None if all of it is words."""
    words = comment.rpartition(";")[2].strip()
    if len(words) > _MAX_WORDS:
        return None
    try:
        if words == "fixed":
            return Fixed()
        if words.startswith("one of "):
            values = literal(f"({words.removeprefix('one of ')},)")
            return _choices(values if isinstance(values, tuple) else ())
        if parts := _INTERVAL.fullmatch(words):
            step = literal(parts[4]) if parts[4] else None
            return _interval(literal(parts[1]), literal(parts[2]), parts[3] or "", step)
    except Unknown:
        pass
    return None


def rewrite(text: str, values: Mapping[str, Knob], tree: ast.Module | None = None) -> str:
    """The genome with these constants set and every other byte as it was.

    Raises KeyError for a name that is no constant, ValueError for one that cannot be set (derived, or not
    a scalar) or a number that is not finite, SyntaxError for a text without a tree.
    """
    found = constants(text, tree)
    source = text.encode()
    for constant in sorted((found[name] for name in values), key=lambda constant: -constant.start):
        old, new = constant.knob, values[constant.name]
        if old is None:
            raise ValueError(f"{constant.name} follows from other constants or is no scalar")
        if type(old) is type(new) and old == new:
            continue
        spelling = _spell(new, old, source[constant.start : constant.end])
        source = source[: constant.start] + spelling + source[constant.end :]
    return source.decode()


def holds(genome: str | ast.Module, values: Mapping[str, Knob]) -> bool:
    """Whether the top-level assertions hold under `values`, with derived constants computed anew.

    Assertions that name anything but constants are left to the trial; one that fails to evaluate (a division
    by zero) does not hold. Raises SyntaxError.
    """
    tree = parse(genome) if isinstance(genome, str) else genome
    known: dict[str, Value] = {}
    assigned = {id(statement): (name, value) for statement, name, value in _assignments(tree)}
    for statement in tree.body:
        try:
            if id(statement) in assigned:
                name, expression = assigned[id(statement)]
                known[name] = values[name] if name in values else evaluate(expression, known)
            elif isinstance(statement, ast.Assert) and not evaluate(statement.test, known):
                return False
        except Undefined:
            return False
        except Unknown:
            continue
    return True


def skeleton(tree: ast.Module) -> ast.Module:
    """A genome's constants and assertions alone: as good as all of it to `constants` and `holds`."""
    assigned = [statement for statement, _, _ in _assignments(tree)]
    kept = set(map(id, assigned))
    body = [node for node in tree.body if isinstance(node, ast.Assert) or id(node) in kept]
    return ast.Module(body, type_ignores=[])


def complexity(text: str, tree: ast.Module | None = None) -> int:
    """Lines of code, without comments, blank lines and docstrings. Raises SyntaxError."""
    lines: set[int] = set()
    text = re.sub(r"\r\n?", "\n", text)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type not in _NO_CODE:
                lines.update(range(token.start[0], token.end[0] + 1))
    except tokenize.TokenError as error:
        raise SyntaxError(str(error)) from error
    for node in ast.walk(tree or parse(text)):
        if (words := docstring(node)) is not None:
            lines.difference_update(range(words.lineno, (words.end_lineno or 0) + 1))
    return len(lines)


_NO_CODE: Final = frozenset(
    (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
)


def _assignments(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, ast.expr]]:
    """Top-level assignments of capitalised names that the module binds nowhere else."""
    bound = Counter(_bindings(tree.body))
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if _NAME.fullmatch(name) and bound[name] == 1:
                yield statement, name, value


def _bindings(body: Iterable[ast.AST]) -> Iterator[str]:
    """Names bound by these statements, scopes of their own left out except for what they call global."""
    pending = list(body)
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                yield from _globals(node)
                continue
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0]
        pending.extend(ast.iter_child_nodes(node))


def _globals(node: ast.AST) -> Iterator[str]:
    """Names that a function or class, or one inside it, declares global."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Global):
            yield from node.names
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, None)
            pending.extend(inner if isinstance(inner, list) else ())


def _span(node: ast.stmt | ast.expr, starts: list[int]) -> tuple[int, int]:
    end_line, end = node.end_lineno or node.lineno, node.end_col_offset or 0
    return starts[node.lineno - 1] + node.col_offset, starts[end_line - 1] + end


def _choices(values: tuple[Value, ...]) -> Choices | None:
    scalars = tuple(value for value in values if isinstance(value, bool | int | float | str))
    return Choices(scalars) if scalars and len(scalars) == len(values) else None


def _interval(low: Value, high: Value, scale: str, step: Value) -> Interval | None:
    if not (isinstance(low, int | float) and isinstance(high, int | float) and low < high):
        return None
    match scale:
        case "":
            return Interval(low, high)
        case "log" | "power of two":
            return Interval(low, high, scale) if low > 0 else None
        case _:
            return Interval(low, high, step=step) if isinstance(step, int | float) and step > 0 else None


def _spell(new: Knob, old: Knob, source: bytes) -> bytes:
    """A value as source, in the manner of the source it replaces."""
    if isinstance(new, float) and not math.isfinite(new):
        raise ValueError(f"{new} is not a finite number")
    if isinstance(new, str):
        return _quote(new, source).encode()
    if isinstance(new, bool):
        return repr(new).encode()
    if isinstance(new, float) or isinstance(old, float):
        return repr(float(new)).encode()
    power = _POWER_OF_TWO.fullmatch(source)
    if isinstance(new, int) and power and new > 0 and new.bit_count() == 1:
        return b"2%b**%b%d" % (power[1], power[2], new.bit_length() - 1)
    return repr(new).encode()


def _quote(word: str, source: bytes) -> str:
    single = repr(word)
    plain = single.startswith("'") and '"' not in word
    return f'"{single[1:-1]}"' if plain and not source.startswith(b"'") else single
