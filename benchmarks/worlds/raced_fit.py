"""What recorded trainings say of losses on the way, as figures for raced.py.

    uv run python benchmarks/worlds/raced_fit.py [FILE]     # as benchmarks/racing.py --record writes it

Every training is laid beside its parent's, in logarithms. The slope of the gap in each part is that of least
squares through the origin; what it leaves is split evenly between the two trainings, and then into drift and
flutter as its autocorrelation says.
"""

import sys
from pathlib import Path
from typing import Any, Final, TypeAlias

import cyclopts
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from trainer.curve import PARTS

Array: TypeAlias = NDArray[np.floating[Any]]

RECORDED: Final = Path(__file__).resolve().parents[1] / "recorded" / "cpu_curves.parquet"


class Figures(Struct, frozen=True):
    """Of raced.py, the arrays by part."""

    base: Array
    slope: Array
    drift: Array
    flutter: float
    kept: float
    trainings: int  # that were beside their parents


def fitted(table: pl.DataFrame) -> Figures:
    """The figures of recorded trainings; of several runs together."""
    whole = table.filter(pl.col("curve").list.len() == PARTS, ~pl.col("curve").list.contains(None))
    parents = whole.select("run", parent="trial", base="curve", from_score="score")
    pairs = whole.filter(~pl.col("again")).join(parents, on=["run", "parent"])
    gains = np.log((pairs["score"] / pairs["from_score"]).to_numpy())  # [n]
    gaps = np.log(_curves(pairs["curve"]) / _curves(pairs["base"]))  # [n, PARTS]
    slope = gains @ gaps / (gains @ gains)
    left = gaps - np.outer(gains, slope)
    covariance = left.T @ left / (len(gains) - 1) / 2
    drift, flutter, kept = _split(covariance)
    base = _curves(whole.filter(pl.col("parent").is_null())["curve"]).mean(0)
    return Figures(base, slope, drift, flutter, kept, len(gains))


def _split(covariance: Array) -> tuple[Array, float, float]:
    """Drift by part, flutter, and what drift keeps: what comes closest to the correlations between parts."""
    variance = np.diag(covariance)
    scale = np.sqrt(np.outer(variance, variance))
    apart = np.abs(np.subtract.outer(np.arange(PARTS), np.arange(PARTS)))
    found: list[tuple[float, float, float]] = []
    for flutter in np.arange(0.0, np.sqrt(variance.min()), 0.0005):
        drift = np.sqrt(variance - flutter**2)
        for kept in np.arange(0.5, 1.0, 0.02):
            wrong = (covariance - np.outer(drift, drift) * kept**apart) / scale
            found.append((float(np.square(np.triu(wrong, 1)).sum()), float(flutter), float(kept)))
    _, flutter, kept = min(found)
    return np.sqrt(variance - flutter**2), flutter, kept


def _curves(column: pl.Series) -> Array:
    return np.array(column.to_list(), dtype=float)


def main(file: Path = RECORDED) -> None:
    """Print the figures."""
    figures = fitted(pl.read_parquet(file))
    print(f"{figures.trainings} trainings beside their parents")
    for name, digits in (("base", 3), ("slope", 2), ("drift", 3)):
        print(f"{name.upper()} = {tuple(getattr(figures, name).round(digits).tolist())}")
    print(f"FLUTTER, KEPT = {figures.flutter:.4f}, {figures.kept:.2f}")


if __name__ == "__main__":
    sys.exit(cyclopts.run(main))
