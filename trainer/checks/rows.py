"""How many rows a pass of a genome has, as its source tells; nothing is run."""

import ast
from itertools import chain
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def asked_for(tree: ast.Module) -> list[str]:
    """What a genome asks prepare.batches for, as expressions; ["1"] if it cuts batches up itself.

    Then how many rows a pass has cannot be told, but that it has one.
    """
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _asks(node.func)]
    arguments = [[*call.args, *(keyword.value for keyword in call.keywords)][:1] for call in calls]
    functions = {node.name: node for node in tree.body if isinstance(node, Function)}
    if any(_cuts(f, set(), functions, frozenset({f.name})) for f in functions.values()):
        return ["1"]
    return [ast.unparse(first) for argument in arguments for first in argument]


def calls_model(tree: ast.Module) -> bool:
    """Whether something outside its classes calls `model(tokens)`, as the exam does, in order to train."""
    functions = [node for node in tree.body if isinstance(node, Function)]
    for node in chain.from_iterable(map(ast.walk, functions)):
        match node:
            case ast.Call(ast.Name("model"), [_], []):
                return True
    return False


def _asks(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(ast.Name("prepare"), "batches") | ast.Name("batches"):
            return True
    return False


def _cuts(
    function: Function, carriers: set[str], functions: dict[str, Function], seen: frozenset[str]
) -> bool:
    """Whether `function`, or one it hands them on to, takes parts of the rows that `carriers` hold."""
    carriers = _carriers(function, carriers)
    for node in ast.walk(function):
        match node:
            case ast.Subscript(ast.Name(name), index) if name in carriers and _is_part(index):
                return True
            case ast.Call(ast.Attribute(value, method), args) if _holds([value, *args], carriers):
                if method in ("chunk", "split", "tensor_split", "narrow", "unbind"):
                    return True
                if method in ("view", "reshape", "unflatten") and len(args) > 2:
                    return True
            case ast.Call(ast.Name(name), args) if name in functions and _holds(args, carriers):
                callee = functions[name]
                if name not in seen and _cuts(callee, _parameters(callee), functions, seen | {name}):
                    return True
    return False


def _carriers(function: Function, names: set[str]) -> set[str]:
    """`names` and those that get a value from them or from prepare.batches, in any number of steps."""
    while True:
        found = set(names)
        for node in ast.walk(function):
            match node:
                case ast.For(target, value) | ast.comprehension(target, value) if _holds([value], names):
                    found |= _bound_by(target)
                case ast.Assign(targets, value) if _holds([value], names):
                    found |= set().union(*map(_bound_by, targets))
        if found == names:
            return names
        names = found


def _holds(values: list[ast.expr], names: set[str]) -> bool:
    nodes = chain.from_iterable(map(ast.walk, values))
    return any(
        (isinstance(node, ast.Name) and node.id in names) or (isinstance(node, ast.Call) and _asks(node.func))
        for node in nodes
    )


def _bound_by(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _parameters(function: Function) -> set[str]:
    return {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}


def _is_part(index: ast.expr) -> bool:
    """Whether an index of [B, T] takes some rows; [:, 1:] takes all, and [0] one of a pair of tensors."""
    first = index.elts[0] if isinstance(index, ast.Tuple) and index.elts else index
    match first:
        case ast.Constant() | ast.Slice(None, None, None):
            return False
    return True
