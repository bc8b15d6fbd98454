"""What a candidate changes: in so few words that they fit beside its score, and as a diff."""

import difflib
import io
from typing import Final

from population.records import Candidate, Knob
from population.state import Population
from results.writing import clean

_WIDTH: Final = 160  # characters


def changed(population: Population, candidate: Candidate) -> str:
    """What a candidate changes of its base, in short: `DEPTH 4 → 5, code +3 lines`."""
    number = population.commits.get(candidate.base)
    if number is None or number == candidate.number:
        return ""
    base = population.candidates[number]
    parts = [
        f"{name} {_value(base.knobs.get(name))} → {_value(candidate.knobs.get(name))}"
        for name in sorted(base.knobs.keys() | candidate.knobs.keys())
        if base.knobs.get(name) != candidate.knobs.get(name)
    ]
    lines = candidate.complexity - base.complexity
    parts += [f"code {lines:+d} line{'' if abs(lines) == 1 else 's'}"] * bool(lines)
    return clean(", ".join(parts) or "code, constants as they were", _WIDTH)


def unified(before: str, after: str) -> str:
    """A unified diff of two genomes that patch and git apply take, as for a file named train.py."""
    old, new = (io.StringIO(text).readlines() for text in (before, after))  # a form feed ends no line
    lines = difflib.unified_diff(old, new, "a/train.py", "b/train.py")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _value(knob: Knob | None) -> str:
    if knob is None:
        return "–"
    return f"{knob:.4g}" if isinstance(knob, float) else str(knob)
