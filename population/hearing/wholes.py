"""Whole files in answers: accepted where an edit was asked for, if they are whole."""

import ast
from collections.abc import Iterator, Sequence

from population.hearing.edits import Problem
from population.hearing.layout import Fenced
from trainer.syntax import parse


def whole(files: Sequence[Fenced], genome: str) -> str | Problem:
    """The longest fenced text, if it is a whole file of its own."""
    missing = Problem(
        "there is no SEARCH/REPLACE block in the answer; give lines of train.py between <<<<<<< SEARCH "
        "and =======, and what replaces them between ======= and >>>>>>> REPLACE"
    )
    text = max((file.text for file in files), key=len, default="")
    closed = all(file.closed for file in files)
    if not text.strip() or len(text) > 4 * len(genome) + 20_000:
        return missing
    large = 2 * text.count("\n") >= genome.count("\n") > 0
    try:
        if not _holds_all(parse(text), parse(genome)):
            return missing
    except SyntaxError as error:
        why = "was cut off" if not closed else f"does not parse (line {error.lineno}: {error.msg})"
        return (
            Problem(f"the file in the answer {why}; answer with SEARCH/REPLACE blocks") if large else missing
        )
    if text.strip() == genome.strip():
        return Problem("the file in the answer is the present one: nothing changes")
    return text.rstrip("\n") + "\n"


def _holds_all(text: ast.Module, genome: ast.Module) -> bool:
    """Whether a text can be the whole of such a file: half of what it imports, sets and defines is there."""
    there, wanted = set(_bound(text)), set(_bound(genome))
    kinds = {kind for kind, _ in wanted}
    return all(
        2 * len({each for each in wanted & there if each[0] == kind})
        >= len({each for each in wanted if each[0] == kind})
        for kind in kinds
    ) and bool(kinds)


def _bound(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names bound at the top of a module, with how."""
    for node in tree.body:
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (("import", alias.name) for alias in names)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield "definition", name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield "assignment", name
