"""Share of clean merges of two sets of edits of the first genome, beside git's merge of lines.

    uv run python benchmarks/merging.py [PAIRS]

An edit gives the value of a random assignment, return or call a new form; each side makes one to three, of
different statements, so a merge with both exists and is known. Edits are of constants alone, or half of them
are of other statements. A merge is clean if there is no conflict, and right if it is the known one.
"""

import ast
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from trainer.syntax import parse

sys.path.insert(0, str(Path(__file__).parents[1]))

from population.merging import Merged, merge

Span = tuple[int, int]


def values(text: str) -> tuple[list[Span], list[Span]]:
    """Where the values of top-level constants stand in an ASCII text, and those of other statements."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tree = parse(text)
    spans: tuple[list[Span], list[Span]] = ([], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.Return | ast.Expr) and (value := node.value) is not None:
            end = starts[(value.end_lineno or 0) - 1] + (value.end_col_offset or 0)
            spans[node not in tree.body].append((starts[value.lineno - 1] + value.col_offset, end))
    return spans


def edited(text: str, spans: set[Span]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]}new({text[start:end]}){text[end:]}"
    return text


def git_merge(base: str, ours: str, theirs: str, folder: Path) -> str | None:
    files = [folder / name for name in ("ours", "base", "theirs")]
    for file, text in zip(files, (ours, base, theirs), strict=True):
        file.write_text(text)
    done = subprocess.run(["git", "merge-file", "-p", *files], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def structural_merge(base: str, ours: str, theirs: str, _folder: Path) -> str | None:
    found = merge(base, ours, theirs)
    return found.text if isinstance(found, Merged) else None


def measure(base: str, choices: tuple[list[Span], ...], pairs: int, way: Callable[..., str | None]) -> str:
    """One row of the table; the same pairs for every way of merging."""
    random, clean, right, spent = Random(0), 0, 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(pairs):
            sides: list[set[Span]] = [set(), set()]
            while not all(sides) or (random.random() < 0.5 and max(map(len, sides)) < 3):
                span, side = random.choice(random.choice(choices)), random.choice(sides)
                if not any(span in taken for taken in sides) and len(side) < 3:
                    side.add(span)
            ours, theirs = sides
            began = time.perf_counter()
            text = way(base, edited(base, ours), edited(base, theirs), Path(folder))
            spent += time.perf_counter() - began
            clean += text is not None
            right += text == edited(base, ours | theirs)
            assert text is None or parse(text)
    return f"{clean / pairs:8.1%}{right / pairs:8.1%}{1e3 * spent / pairs:8.1f} ms"


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    base = (Path(__file__).parents[1] / "trainer" / "train.py").read_text()
    constants, statements = values(base)
    print(f"{'edits of':24}{'merged by':16}{'clean':>8}{'right':>8}")
    for kind, choices in {
        "constants": (constants,),
        "constants, statements": (constants, statements),
    }.items():
        for name, way in {"git merge-file": git_merge, "definitions": structural_merge}.items():
            print(f"{kind:24}{name:16}{measure(base, choices, pairs, way)}")


if __name__ == "__main__":
    main()
