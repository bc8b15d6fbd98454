"""Reads a results.tsv as autoresearch writes it: commit, val_bpb, memory_gb, status, description.

People and agents write these by hand. Columns are found by their names, and only `val_bpb` and `status` are
needed; what stands behind the last column belongs to it; blank lines say nothing. A crash has no score,
whatever its number says, and neither has a discarded trial whose score is 0 or missing. Anything else that is
not as it should be is refused with its line.
"""

import math
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from results.writing import clean
from trainer.errors import BadInput

Status: TypeAlias = Literal["keep", "discard", "crash"]

_STATUSES: Final[dict[str, Status]] = {"keep": "keep", "discard": "discard", "crash": "crash"}
_NEEDED: Final = ("val_bpb", "status")
_TEXT: Final = 300  # characters of a description


class Row(Struct, frozen=True):
    """One trial."""

    score: float | None
    status: Status
    commit: str = ""
    memory_gb: float | None = None
    description: str = ""


def read_rows(path: Path) -> tuple[Row, ...]:
    """All trials of a results.tsv, oldest first. Raises BadInput that names the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(f"cannot read {path}: {reason}") from error
    header = [name.strip().lower() for name in lines[0].split("\t")]
    if missing := [name for name in _NEEDED if name not in header]:
        names = " and ".join(missing)
        raise BadInput(f"{path}, line 1: expected names of columns with tabs between, {names} among them")
    numbered = enumerate(lines[1:], start=2)
    return tuple(_row(path, number, header, line) for number, line in numbered if line.strip())


def _row(path: Path, number: int, header: list[str], line: str) -> Row:
    parts = line.rstrip("\r").split("\t", len(header) - 1)
    cells = dict(zip(header, (part.strip() for part in parts), strict=False))
    if missing := [name for name in _NEEDED if name not in cells]:
        raise _broken(path, number, f"{len(parts)} of {len(header)} columns, without {' and '.join(missing)}")
    status = _STATUSES.get(cells["status"].lower())
    if status is None:
        raise _broken(path, number, f"status {clean(cells['status'], 30)!r}, not keep, discard or crash")
    return Row(
        score=_score(path, number, status, cells["val_bpb"]),
        status=status,
        commit=clean(cells.get("commit", ""), 40),
        memory_gb=_number(cells.get("memory_gb", "")),
        description=clean(cells.get("description", ""), _TEXT),
    )


def _score(path: Path, number: int, status: Status, cell: str) -> float | None:
    if status == "crash":
        return None
    score = _number(cell) if cell else 0.0
    if score is None or score < 0 or (score == 0 and status == "keep"):
        raise _broken(path, number, f"val_bpb {clean(cell, 30)!r} of a trial with status {status}")
    return score or None


def _number(cell: str) -> float | None:
    """A finite number, if the cell is one."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _broken(path: Path, number: int, found: str) -> BadInput:
    return BadInput(f"{path}, line {number}: found {found}; mend the line or take it out")
