"""What a genome's source says without being run: what of it must fail.

Only what fails for certain is a problem. A name or a module that some branch may do without is none: a good
idea that is refused costs more than a trial that crashes at once.
"""

import ast
import functools
import importlib.util
import symtable
import sys
import warnings
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from pyflakes import messages  # type: ignore[import-untyped]
from pyflakes.checker import Checker  # type: ignore[import-untyped]

from trainer.syntax import PARSING, parse

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ("build_model", "main")
BESIDE = ("prepare", "train")  # what a trial's folder holds

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Source(Struct, frozen=True):
    """A module that compiles."""

    tree: ast.Module
    bound: frozenset[str]  # names its top level assigns, defines or imports


def read(text: str) -> Source:
    """Parse and compile a module. Raises SyntaxError, and nothing else, for text that is none."""
    try:
        with PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's comparisons are not our warnings
            tree = parse(text, "train.py")
            compile(tree, "train.py", "exec", dont_inherit=True)
            symbols = symtable.symtable(text, "train.py", "exec").get_symbols()
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(f"not a Python module: {error}") from error
    return Source(tree, frozenset(s.get_name() for s in symbols if s.is_assigned() or s.is_imported()))


def problem(genome: Source, own: Source, prepare: Source) -> str | None:
    """Why a genome must fail beside the task's own genome and its prepare.py; None if nothing says so."""
    found = chain(
        _undefined(genome.tree),
        _unknown_to_prepare(genome.tree, prepare),
        _not_installed(genome.tree),
        _breach(genome, own),
    )
    return next(found, None)


def contract(own: Source) -> list[str]:
    """What candidates must define as well, since the task's own genome does."""
    return [name for name in CONTRACT if name in own.bound]


# --- names -------------------------------------------------------------------------------------------------


def _undefined(tree: ast.Module) -> Iterator[str]:
    if _mentions(tree, {"globals", "exec"}):  # then names may come from anywhere
        return
    evaluated = _evaluated(tree)
    with PARSING:  # annotations in quotes
        told = Checker(tree, "train.py").messages
    for message in sorted(told, key=lambda m: (m.lineno, m.col)):
        name = message.message_args[0] if message.message_args else None
        match message:
            case messages.UndefinedName() if (message.lineno, message.col, name) in evaluated:
                yield f"line {message.lineno}: the name {name!r} is not defined; define or import it first"
            case messages.UndefinedLocal() if not _repeats(tree, message.lineno):
                yield (
                    f"line {message.lineno}: {name!r} is read before this function assigns it; "
                    "declare it global, or give it another name"
                )


def _evaluated(tree: ast.Module) -> set[tuple[int, int, str]]:
    """Line, column and name of all names but those in annotations that nothing evaluates."""
    never: set[ast.AST] = set()
    postponed = any(isinstance(n, ast.ImportFrom) and _postpones(n) for n in tree.body)
    for outer in ast.walk(tree):
        if postponed:
            annotations = [getattr(outer, "annotation", None), getattr(outer, "returns", None)]
        elif isinstance(outer, Function):
            annotations = [n.annotation for n in ast.walk(outer) if isinstance(n, ast.AnnAssign)]
        else:
            continue
        never.update(*(ast.walk(annotation) for annotation in annotations if annotation))
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in never)
    return {(name.lineno, name.col_offset, name.id) for name in names}


def _postpones(node: ast.ImportFrom) -> bool:
    return node.module == "__future__" and "annotations" in map(_name, node.names)


def _repeats(tree: ast.Module, line: int) -> bool:
    """Whether a line is in a loop, where what is assigned below it may be read above."""
    loops = (node for node in ast.walk(tree) if isinstance(node, ast.For | ast.AsyncFor | ast.While))
    return any(loop.lineno <= line <= (loop.end_lineno or line) for loop in loops)


def _unknown_to_prepare(tree: ast.Module, prepare: Source) -> Iterator[str]:
    """What is asked of prepare and not there, if nothing in the genome is ready for that."""
    imports = [node for node in tree.body if isinstance(node, ast.Import)]
    if "prepare" not in [_name(alias) for node in imports for alias in node.names]:
        return
    if _mentions(tree, {"hasattr", "getattr", "setattr"}) or "__getattr__" in prepare.bound:
        return
    tried = {id(node) for outer in ast.walk(tree) if isinstance(outer, ast.Try) for node in ast.walk(outer)}
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and id(node) not in tried]
    for node in asked:
        match node:
            case ast.Attribute(ast.Name("prepare"), name, ast.Load()) if name not in prepare.bound:
                if not name.startswith("__"):
                    yield f"line {node.lineno}: prepare has no {name!r}; it is fixed, use what it defines"


def _name(alias: ast.alias) -> str:
    return alias.asname or alias.name


def _mentions(tree: ast.Module, names: Collection[str]) -> bool:
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(tree))


# --- imports -----------------------------------------------------------------------------------------------


def _not_installed(tree: ast.Module) -> Iterator[str]:
    """Of imports that surely happen: those at the top level and in main, under no condition."""
    mains = (node.body for node in tree.body if isinstance(node, Function) and node.name == "main")
    for node in chain(tree.body, *mains):
        match node:
            case ast.Import():
                modules = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case ast.ImportFrom():
                yield f"line {node.lineno}: train.py is in no package; import by full name"
                continue
            case _:
                continue
        for module in modules:
            if not _importable(module.partition(".")[0]):
                yield (
                    f"line {node.lineno}: a trial has no module {module!r}; use torch, the standard "
                    "library and what is installed"
                )


@functools.lru_cache(maxsize=1000)
def _importable(name: str) -> bool:
    """Whether a trial, beside prepare.py and not in this repository, could import a top-level module."""
    if name in BESIDE or name in sys.stdlib_module_names:
        return True
    if (ROOT / name).exists() or (ROOT / f"{name}.py").exists():
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # loaded, by whatever loads without leaving a spec
        return True


# --- the contract ------------------------------------------------------------------------------------------


def _breach(genome: Source, own: Source) -> Iterator[str]:
    for name in contract(own):
        if name not in genome.bound:
            yield f"train.py does not define {name}() at its top level; it must, as the first genome does"
    if _is_guarded(own.tree) and not _is_guarded(genome.tree):
        yield 'train.py must call main() behind `if __name__ == "__main__":`, or importing it trains'


def _is_guarded(tree: ast.Module) -> bool:
    """Whether something depends on `__name__ == "__main__"`."""
    tests = (node.test for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp))
    return any("__name__" in (said := ast.unparse(test)) and "__main__" in said for test in tests)
