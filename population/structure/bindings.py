"""Names: which a statement binds in its scope, and which a module binds and reads anywhere."""

import ast
from collections import Counter
from collections.abc import Iterator
from typing import Final


def bindings(statement: ast.stmt, walrus: bool) -> Iterator[str]:
    """Names bound in the scope of a statement; modules and attributes of names in full."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                continue
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield ast.unparse(node)
            case ast.alias(name=name, asname=asname):
                yield asname or name
            case ast.Name(id=str(name), ctx=ast.Store() | ast.Del()) | ast.ExceptHandler(name=str(name)):
                yield name
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                yield name
            case ast.Lambda() | ast.comprehension():
                continue
        pending.extend(
            child
            for child in _children(node)
            if walrus
            or not isinstance(child, ast.expr)
            or not isinstance(getattr(child, "ctx", _LOAD), ast.Load)
        )


_LOAD: Final = ast.Load()


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """As ast.iter_child_nodes, without operators and contexts, and faster."""
    for field in node._fields:
        if field not in ("ctx", "op", "ops"):
            child = getattr(node, field, None)
            if isinstance(child, ast.AST):
                yield child
            elif isinstance(child, list):
                yield from (item for item in child if isinstance(item, ast.AST))


def names_in(tree: ast.Module) -> tuple[frozenset[str], Counter[str]]:
    """Names and .attributes that are bound anywhere, and how often each is read."""
    bound: set[str] = set()
    used: Counter[str] = Counter()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        pending.extend(_children(node))
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else f".{node.attr}"
            if isinstance(node.ctx, ast.Load):
                used[name] += 1
            else:
                bound |= {name, "." + name.lstrip(".")}
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif not isinstance(node, ast.expr) and not isinstance(node, ast.keyword):
            for field in ("name", "arg", "rest"):  # of definitions, handlers, arguments and patterns
                if isinstance(given := getattr(node, field, None), str):
                    bound |= {given, f".{given}"}
    return frozenset(bound), used
