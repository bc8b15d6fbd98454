"""What a genome says, whatever its comments, its layout and its docstrings: the normal form, and its hash.

Two genomes with one normal form are one experiment. Arithmetic on literals is folded, so that 2**9 and 512
are equal; names are not resolved, so a constant and its value written out are not.
"""

import ast
import copy
import hashlib
from collections.abc import Mapping
from typing import Final

from population.records import Knob
from population.structure.expressions import Unknown, evaluate
from trainer.syntax import parse

_NO_MEANING: Final = frozenset(("ctx", "kind", "type_comment"))


def normal_hash(genome: str | ast.Module) -> str:
    """SHA-256 of what the genome says, whatever its comments, layout and docstrings. Raises SyntaxError."""
    return _hash(_normal_form(genome, seeds=True))


class Variants:
    """The genomes that a genome's constants span; the hash of one costs neither a rewrite nor a parse."""

    def __init__(self, tree: ast.Module) -> None:
        """Raises SyntaxError."""
        first = docstring(tree)
        body = [statement for statement in tree.body if statement is not first]
        self._forms = [_normal_form(statement, seeds=True) for statement in body]
        self._assigned = {name: i for i, statement in enumerate(body) if (name := _assigned(statement))}
        self._body = body

    def normal_hash(self, values: Mapping[str, Knob]) -> str:
        """The normal hash of the genome with these constants, which must be its own, set to these values."""
        forms = self._forms.copy()
        for name, value in values.items():
            statement = copy.copy(self._body[self._assigned[name]])
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            statement.value = ast.Constant(value)
            forms[self._assigned[name]] = _normal_form(statement, seeds=True)
        return _hash(_module_form(forms))


def only_seed_changed(before: str, after: str) -> bool:
    """Whether two genomes differ, and in nothing but seeds: constants named so, and calls that set one.

    A statement that only sets a seed counts as a seed, so adding one is no other change. Raises SyntaxError.
    """
    if "seed" not in before.lower() and "seed" not in after.lower():  # spares most genomes four walks
        return False
    return normal_hash(before) != normal_hash(after) and (
        _normal_form(before, seeds=False) == _normal_form(after, seeds=False)
    )


def docstring(node: ast.AST) -> ast.Expr | None:
    """The statement that is a module's, class's or function's docstring, if it has one."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            return first if isinstance(first.value.value, str) else None
    return None


def names_seed(name: str) -> bool:
    """Whether a constant of this name sets chance: it belongs to the harness and is no knob."""
    return "SEED" in name.upper()


def _hash(form: str) -> str:
    return hashlib.sha256(form.encode("utf-8", "surrogatepass")).hexdigest()


def _module_form(statements: list[str]) -> str:
    """The normal form of a module of statements in normal form."""
    return f"(Module body[{''.join(statements)}])" if statements else "(Module)"


def _normal_form(genome: str | ast.AST, seeds: bool) -> str:
    """The tree in brackets, without docstrings, equal constants spelt alike; with `seeds` or without."""
    words: list[str] = []
    try:
        _write(parse(genome) if isinstance(genome, str) else genome, words, seeds)
    except RecursionError as error:
        raise SyntaxError("nested too deeply") from error
    return "".join(words)


def _write(node: object, words: list[str], seeds: bool) -> None:
    if isinstance(node, ast.AST):
        _write_node(node, words, seeds)
    elif isinstance(node, list):
        words.append("[")
        for item in node:
            _write(item, words, seeds)
        words.append("]")
    else:
        words.append(f" {node!r}")


def _write_node(node: ast.AST, words: list[str], seeds: bool) -> None:
    kind = type(node)
    if kind is ast.Constant or kind is ast.BinOp or kind is ast.UnaryOp:
        value = _folded(node)
        if value is not None:
            words.append(value)
            return
    elif not seeds and isinstance(node, ast.Call) and _sets_seed(node):
        _write(node.func, words, seeds)
        return
    first = docstring(node)
    words.append("(" + kind.__name__)
    for field in node._fields:
        part = getattr(node, field, None)
        if first is not None or not seeds:
            part = _kept(part, first, seeds)
        if part is None or field in _NO_MEANING or part == []:
            continue
        words.append(" " + field)
        _write(part, words, seeds)
    words.append(")")


def _kept(part: object, first: ast.Expr | None, seeds: bool) -> object:
    if not isinstance(part, list):
        return part
    return [item for item in part if item is not first and (seeds or not _is_seed(item))]


def _folded(node: ast.AST) -> str | None:
    """A literal, or arithmetic on literals, as one word; None if it is neither."""
    if isinstance(node, ast.Constant):
        value: object = node.value
    elif isinstance(node, ast.BinOp | ast.UnaryOp) and _of_literals(node):
        try:
            value = evaluate(node, {})
        except Unknown:
            return None
    else:
        return None
    return f"={hex(value) if type(value) is int else repr(value)}"  # the decimal digits of an int are limited


def _of_literals(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return _of_literals(node.left) and _of_literals(node.right)
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and _of_literals(node.operand))


def _is_seed(node: object) -> bool:
    """Whether a statement does nothing but set a seed."""
    match node:
        case ast.Expr(value=ast.Call() as call):
            return _sets_seed(call)
    return isinstance(node, ast.stmt) and names_seed(_assigned(node))


def _assigned(node: ast.stmt) -> str:
    """The one name a statement assigns to; empty if it does anything else."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return ""


def _sets_seed(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in ("seed", "manual_seed", "manual_seed_all")
    return False
