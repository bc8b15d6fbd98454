"""A genome as an outline: its statements, each with the comments that belong to it, nested as they are.

Nothing is lost: the texts of the units of a body, one after the other, are the body, byte for byte. A unit is
whole lines. Comments and blank lines before a statement belong to it, and so does the rest of its last line;
comments at the end of a block that are indented like it belong to the block. Statements that share a line are
one unit.
"""

import ast
import bisect
import functools
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, TypeAlias

from msgspec import Struct, structs

from population.structure.bindings import bindings, names_in
from population.structure.normal import docstring
from trainer.syntax import parse

DOCSTRING, FUTURE, STATEMENT, END = range(4)  # ranks: what comes before what in a body, if it is there

Body: TypeAlias = tuple["Unit", ...]
Part: TypeAlias = str | Body


class Unit(Struct, frozen=True):
    """A statement and what belongs to it. `parts` are its text in pieces that may change one by one.

    They are the comments before it; its decorators; then heads (`if x:`, `else:`) and bodies in turn. Without
    a body they are the comments before it, its code and the rest of the line.
    """

    key: str  # what it is recognised by in its body: the names it binds, else its kind
    text: str
    parts: tuple[Part, ...]
    binds: frozenset[str] = frozenset()  # names in its scope, dotted for attributes and modules
    plain: bool = False  # it does nothing but bind names, so neighbours may come before or after it
    is_class: bool = False
    rank: int = (
        2  # docstrings are first (0), then imports from the future (1); comments at the end are last (3)
    )

    @property
    def lead(self) -> str:
        """Comments and blank lines before it, and its indentation."""
        return self.parts[0] if isinstance(self.parts[0], str) else ""

    @property
    def code(self) -> str:
        """Its text from the first character of the statement."""
        return self.text[len(self.lead) :]

    @property
    def names(self) -> frozenset[str]:
        """What it is for others: the names it binds, else itself; comments are nothing."""
        return self.binds or frozenset((self.code,) if self.code else ())

    @property
    def indent(self) -> str:
        return re.split(r"[\r\n]", self.lead)[-1]

    @property
    def shape(self) -> list[bool]:
        """Which parts are words; the others are bodies."""
        return [isinstance(part, str) for part in self.parts]

    def without_lead(self) -> "Unit":
        """The unit without the comments and blank lines before it."""
        return structs.replace(self, text=self.indent + self.code, parts=(self.indent, *self.parts[1:]))

    @property
    def label(self) -> str:
        """What a person would call it."""
        return (
            self.key
            if self.plain and self.binds
            else self.code.strip().partition("\n")[0][:40] or "a comment"
        )


class Piece(Struct, frozen=True):
    """Some top-level units, with the names in them; attributes are written with a dot in front."""

    units: Body
    top: frozenset[str]  # names bound at top level
    bound: frozenset[str]  # names and attributes bound anywhere
    used: Counter[str]  # how often names and attributes are read


def outline(text: str) -> tuple[Piece, ...]:
    """The pieces of a text that is empty or ends with a line end. Raises SyntaxError.

    A text is cut where a statement seems to begin, and what does not parse is joined with what follows:
    modules that parse one by one parse as one, so this is exact, and what genomes share is parsed once.
    """
    pieces: list[Piece] = []
    waiting, tries = "", 0
    for part in _cuts(text):
        waiting, tries = waiting + part, tries + 1
        is_whole = waiting.rstrip("\r\n")[-1:] != "\\"  # else its last line goes on in the next part
        if is_whole and (piece := _piece(waiting)) is not None:
            pieces.append(piece)
            waiting, tries = "", 0
        elif tries > _MAX_JOINS:
            break
    return (_read(text),) if waiting else tuple(pieces)


_DEFINES: Final = (
    ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    | ast.Assign | ast.AnnAssign | ast.AugAssign
)  # fmt: skip
_MAX_JOINS: Final = 40
_CONTINUES: Final = re.compile(r"[ \t\f)\]}]|(?:else|elif|except|finally)\b")


def _cuts(text: str) -> Iterator[str]:
    """The text cut before each line that seems to begin a statement, and the comments before it."""
    cuts, at, lead = [0], 0, -1
    for line in text.split("\n"):
        if not line or line[0] in "#\r" or line.isspace():
            lead = at if lead < 0 else lead
        else:
            if not _CONTINUES.match(line):
                cuts.append(at if lead < 0 else lead)
            lead = -1
        at += len(line) + 1
    return (text[start:end] for start, end in pairwise([*cuts, len(text)]) if start < end)


@functools.lru_cache(maxsize=8192)
def _piece(text: str) -> Piece | None:
    try:
        return _read(text)
    except SyntaxError:
        return None


def _read(text: str) -> Piece:
    try:
        tree = parse(text)
        units = _Source(text).body(tree.body, 0, len(text))
    except RecursionError as error:
        raise SyntaxError("nested too deeply") from error
    bound, used = names_in(tree)
    return Piece(
        units, frozenset(name.partition(".")[0] for unit in units for name in unit.binds), bound, used
    )


class _Source:
    """A text with its lines, as the parser counts them: columns are bytes of UTF-8."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(end.end() for end in re.finditer(r"\r\n|\r|\n", text))]

    def offset(self, number: int, column: int) -> int:
        start, end = self.starts[number - 1 : number + 1]
        line = self.text[start:end]
        return start + (column if line.isascii() else len(line.encode()[:column].decode()))

    def start(self, node: ast.stmt) -> int:
        """Where a statement begins, its decorators included."""
        if decorators := getattr(node, "decorator_list", None):
            return self.text.rfind("@", 0, self.offset(decorators[0].lineno, decorators[0].col_offset))
        return self.offset(node.lineno, node.col_offset)

    def body(self, statements: list[ast.stmt], at: int, end: int) -> Body:
        """The units of a body whose text is from `at` to `end`."""
        units: list[Unit] = []
        for nodes in _by_line(statements):
            unit = self.unit(nodes, at, first=not units)
            units.append(unit)
            at += len(unit.text)
        if at < end:
            units.append(Unit("", self.text[at:end], (self.text[at:end],), plain=True, rank=END))
        return tuple(units)

    def unit(self, nodes: list[ast.stmt], at: int, first: bool) -> Unit:
        node, begin = nodes[0], self.start(nodes[0])
        parts = self.compound(node, at, begin) if len(nodes) == 1 else None
        if parts is None:
            last = nodes[-1].end_lineno or 0
            code_end = self.offset(last, nodes[-1].end_col_offset or 0)
            parts = (self.text[at:begin], self.text[begin:code_end], self.text[code_end : self.starts[last]])
        binds = frozenset(name for node in nodes for name in bindings(node, ":=" in self.text))
        return Unit(
            key=_key(nodes, binds),
            text="".join(_text(part) for part in parts),
            parts=parts,
            binds=binds,
            plain=_rank(node, first) < STATEMENT or all(map(_is_plain, nodes)),
            is_class=isinstance(node, ast.ClassDef),
            rank=_rank(node, first),
        )

    def compound(self, node: ast.stmt, at: int, begin: int) -> tuple[Part, ...] | None:
        """The parts of a statement with bodies of their own lines; None for any other."""
        head = self.offset(node.lineno, node.col_offset)
        parts: list[Part] = [self.text[at:begin], self.text[begin:head]]
        for suite in self.suites(node):
            first = self.start(suite[0])
            line = bisect.bisect_right(self.starts, first) - 1
            column = first - self.starts[line]
            if self.text[self.starts[line] : first].strip():
                return None
            while self.starts[line - 1] > head and _is_comment(
                self.text[self.starts[line - 1] : self.starts[line]]
            ):
                line -= 1
            start = self.starts[line]
            if any(quotes in self.text[head:start] for quotes in ('"""', "'''")):
                return None  # a line in them may look like a comment
            end = self.comments(self.starts[suite[-1].end_lineno or 0], column)
            parts += [self.text[head:start], self.body(suite, start, end)]
            head = end
        return tuple(parts) if len(parts) > 2 else None

    def comments(self, at: int, column: int) -> int:
        """The end of the comments from `at` on that are indented at least so far."""
        block = rf"(?:(?:[ \t]*(?:\r\n|\r|\n))*[ \t]{{{max(1, column)},}}#[^\r\n]*(?:\r\n|\r|\n))*"
        found = re.compile(block).match(self.text, at)
        return found.end() if found else at

    def suites(self, node: ast.stmt) -> list[list[ast.stmt]]:
        """The bodies of a statement in order; those of an `elif` are its `if`'s."""
        if isinstance(node, ast.Match):
            return [case.body for case in node.cases]
        found: list[list[ast.stmt]] = [getattr(node, "body", [])]
        found += [handler.body for handler in getattr(node, "handlers", ())]
        rest: list[ast.stmt] = getattr(node, "orelse", [])
        while (
            len(rest) == 1
            and isinstance(rest[0], ast.If)
            and self.text.startswith("elif", self.start(rest[0]))
        ):
            found.append(rest[0].body)
            rest = rest[0].orelse
        return [suite for suite in (*found, rest, getattr(node, "finalbody", [])) if suite]


def _by_line(statements: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Statements in order, those that share a line together."""
    group: list[ast.stmt] = []
    for statement in statements:
        if group and statement.lineno != group[-1].end_lineno:
            yield group
            group = []
        group.append(statement)
    if group:
        yield group


def _is_comment(line: str) -> bool:
    return line.strip()[:1] in ("", "#")


def joined(units: Body) -> str:
    return "".join(unit.text for unit in units)


def _text(part: Part) -> str:
    return part if isinstance(part, str) else joined(part)


def _key(nodes: list[ast.stmt], binds: frozenset[str]) -> str:
    node = nodes[0]
    if isinstance(node, ast.ImportFrom):
        return f"from {node.module}"
    if binds and (len(nodes) > 1 or isinstance(node, _DEFINES)):
        return ", ".join(sorted(binds))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return f"call {ast.unparse(node.value.func)}"
    return type(node).__name__


def _rank(node: ast.stmt, first: bool) -> int:
    if first and isinstance(node, ast.Expr) and docstring(ast.Module([node], [])):
        return DOCSTRING
    is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
    return FUTURE if is_future else STATEMENT


def _is_plain(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(targets=targets):
            return not any(isinstance(part, ast.Subscript) for target in targets for part in ast.walk(target))
        case ast.AnnAssign(target=target):
            return not isinstance(target, ast.Subscript)
    return isinstance(node, _DEFINES) and not isinstance(node, ast.AugAssign)
