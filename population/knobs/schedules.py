"""Whether two genomes have the same schedules: only then can their losses be compared on the way.

A schedule is what depends on how much of the budget is spent. Which constants it is made of is read off the
code: those that stand in one statement with a name or call `progress`, and all in a function that is given
it.
"""

import ast
from typing import Final

from population.genome import knobs, rewrite
from population.structure.normal import normal_hash
from trainer.syntax import parse

_SPENT: Final = frozenset(("progress", "fraction"))


def same_schedules(one: str, other: str) -> bool:
    """Whether two genomes differ in constants only, and in none that a schedule is made of.

    Raises SyntaxError.
    """
    before, after = knobs(one), knobs(other)
    if before.keys() != after.keys():
        return False
    changed = {name: knob for name, knob in before.items() if knob != after[name]}
    if normal_hash(rewrite(other, changed)) != normal_hash(one):
        return False
    return not changed.keys() & scheduling(parse(one))


def scheduling(tree: ast.Module) -> set[str]:
    """Names in capitals that stand where the spent part of the budget is used."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if _SPENT & {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}:
                found |= _capitals(node)
        elif isinstance(node, ast.stmt) and not hasattr(node, "body") and _uses(node):
            found |= _capitals(node)
    return found


def _uses(node: ast.AST) -> bool:
    return any(
        (isinstance(part, ast.Name) and part.id in _SPENT)
        or (isinstance(part, ast.Attribute) and part.attr in _SPENT)
        for part in ast.walk(node)
    )


def _capitals(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id.isupper()}
