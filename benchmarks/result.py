"""What is kept of the arena's searches: one record each, a table of a kind of world in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import asdict

from benchmarks.play import Played


class Result(Struct, frozen=True):
    """One search of one world by one arm. Worlds of a kind that bear the same number are the same."""

    kind: str
    arm: str
    world: int
    played: Played


def write(results: Sequence[Result], file: Path) -> None:
    """A parquet table with a row for each result; the fields of `played` are columns."""
    rows = [
        {"kind": r.kind, "arm": r.arm, "world": r.world} | asdict(r.played)
        for r in sorted(results, key=lambda r: (r.arm, r.world))
    ]
    table = pl.DataFrame(rows, schema=_SCHEMA)
    table.write_parquet(file, compression_level=12)


def is_read(file: Path) -> bool:
    """Whether a parquet table is one of results."""
    return pl.read_parquet_schema(file).keys() >= {"kind", "arm", "world"}


def read(file: Path) -> list[Result]:
    rows = pl.read_parquet(file).iter_rows(named=True)
    return [Result(r.pop("kind"), r.pop("arm"), r.pop("world"), _played(r)) for r in rows]


def _played(row: dict[str, object]) -> Played:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return Played(**values)  # type: ignore[arg-type]


_SCHEMA: Final[dict[str, Any]] = {
    "kind": pl.String,
    "arm": pl.String,
    "world": pl.Int64,
    "trials": pl.Int64,
    "score": pl.Float64,
    "gain": pl.Float64,
    "claimed": pl.Float64,
    "sd": pl.Float64,
    "advanced": pl.Int64,
    "false": pl.Int64,
    "truths": pl.List(pl.Float64),
    "ended_s": pl.List(pl.Float64),
    "gpu_s": pl.Float64,
    "raced": pl.Int64,
    "stopped": pl.Int64,
    "saved": pl.Float64,
    "improvements": pl.Int64,
    "killed": pl.Int64,
}
