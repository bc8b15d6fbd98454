"""Reads the red team's genomes, whose docstrings say what they try and, behind that, what must come of it:

Expect: STATUS, REASON        regular expressions for the outcome's status and its cause; `honest` is
                              to be scored exactly like the honest genome
Budget: SECONDS               of its training, if that matters
Startup: SECONDS              the limit until its clock starts, if that matters
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

GENOMES = Path(__file__).with_name("genomes")


@dataclass(frozen=True)
class Attack:
    """One genome, and what must come of it."""

    name: str
    text: str
    served: bool  # whether its model is asked for answers, or only its table is read
    expected: str
    reason: str
    budget_s: float | None
    startup_s: float | None


def read(path: Path) -> Attack:
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text)) or ""
    told = dict(re.findall(r"^(Expect|Budget|Startup): (.*)$", docstring, re.M))
    expected, _, reason = told["Expect"].partition(", ")
    budget_s, startup_s = (float(told[name]) if name in told else None for name in ("Budget", "Startup"))
    return Attack(path.stem, text, path.parent.name == "exam", expected, reason, budget_s, startup_s)


ATTACKS = [read(path) for path in sorted(GENOMES.glob("*/*.py"))]
