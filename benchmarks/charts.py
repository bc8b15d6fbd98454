"""Charts of the arena: what is found trial by trial, and what is found in the end, with 95% intervals.

The colours are those of Okabe & Ito (2008), which people with any colour vision tell apart; the
ground is white, so that a chart can be read on a dark page too.
"""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Final, TypeAlias

import altair as alt
import numpy as np
import polars as pl

from benchmarks.arms import Kind, unit_of
from benchmarks.intervals import Array, band, mean
from benchmarks.play import Played
from benchmarks.result import Result, is_read, read

Chart: TypeAlias = alt.LayerChart | alt.FacetChart

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
POINTS: Final = 97  # of a curve over time


def draw(kind: Kind, results: Sequence[Result], folder: Path) -> None:
    """Write the kind's curves as `KIND.svg`; of a kind that holds no gain there are none."""
    if any(result.played.gain for result in results) and any(result.played.truths for result in results):
        _save(curves(kind, results), folder / f"{kind.name}.svg")


def draw_all(folder: Path) -> None:
    """Write `gains.svg`, of every kind whose plays are in `folder`."""
    results = [result for file in sorted(folder.glob("*.parquet")) if is_read(file) for result in read(file)]
    if any(result.played.gain for result in results):
        _save(gains(results), folder / "gains.svg")


def curves(kind: Kind, results: Sequence[Result]) -> Chart:
    """Mean true gain of what would be reported, after each trial or by the hour, with a band of 95%."""
    arms = [entrant.name for entrant in kind.entrants]
    longest = max(len(result.played.truths) for result in results)
    at = np.linspace(0, kind.hours, POINTS) if kind.hours else np.arange(1.0, longest + 1)
    time = "hours" if kind.hours else "trials"
    rows = pl.concat(_curve(kind, arm, at, results).rename({"at": time}) for arm in arms)
    colour = alt.Color("arm:N", scale=alt.Scale(domain=arms, range=COLOURS[: len(arms)]), title=None)
    x = alt.X(f"{time}:Q", scale=alt.Scale(domain=[0, float(at[-1])]))
    base = alt.Chart(rows, title=alt.Title(kind.name, subtitle=kind.about)).encode(x, color=colour)
    shade = base.mark_area(opacity=0.15).encode(alt.Y("low:Q"), alt.Y2("high:Q"))
    title = f"mean true gain{kind.unit.suffix}"
    line = base.mark_line(strokeWidth=2).encode(alt.Y("gain:Q", title=title))
    return alt.layer(shade, line).properties(width=560, height=320)


def _curve(kind: Kind, arm: str, at: Array, results: Sequence[Result]) -> pl.DataFrame:
    """Columns at, arm, gain, low, high; empty if the arm has no results."""
    found = [_course(result.played, kind, at) for result in results if result.arm == arm]
    gain, low, high = band(np.array(found) * kind.unit.size) if found else np.empty((3, 0))
    return pl.DataFrame({"at": at[: len(gain)], "gain": gain, "low": low, "high": high}).with_columns(
        arm=pl.lit(arm)
    )


def gains(results: Sequence[Result]) -> alt.VConcatChart:
    """Final gains of every arm, a panel for each kind of world; kinds that hold no gain are left out."""
    names = sorted({result.kind for result in results if result.played.gain})
    return alt.vconcat(*(_panel(name, [r for r in results if r.kind == name]) for name in names))


def _panel(name: str, results: Sequence[Result]) -> Chart:
    unit = unit_of(name)
    found = {
        arm: mean(np.array([r.played.gain for r in results if r.arm == arm]) * unit.size)
        for arm in {result.arm for result in results}
    }
    best_first = sorted(found, key=lambda arm: -found[arm].value)
    values = [found[arm] for arm in best_first]
    rows = pl.DataFrame(
        {
            "arm": best_first,
            "gain": [interval.value for interval in values],
            "low": [interval.low if isfinite(interval.low) else interval.value for interval in values],
            "high": [interval.high if isfinite(interval.high) else interval.value for interval in values],
        }
    )
    base = alt.Chart(rows, title=name).encode(alt.Y("arm:N", sort=best_first, title=None))
    title = f"mean true gain{unit.suffix}"
    rule = base.mark_rule(strokeWidth=2, color=COLOURS[0]).encode(
        alt.X("low:Q", title=title), alt.X2("high:Q")
    )
    dot = base.mark_point(size=70, filled=True, opacity=1, color=COLOURS[0]).encode(alt.X("gain:Q"))
    return alt.layer(rule, dot).properties(width=480)


def _course(played: Played, kind: Kind, at: Array) -> Array:
    """[m] true gains at the points `at` (trials or hours); nothing is gained before the first score."""
    baseline = played.score + played.gain
    gained = [baseline - truth if isfinite(truth) else 0.0 for truth in played.truths]
    ends = np.array(played.ended_s) / 3600 if kind.hours else np.arange(1, len(gained) + 1)
    return np.concatenate([[0.0], gained])[np.searchsorted(ends, at, side="right")]


def _save(chart: Chart | alt.VConcatChart, file: Path) -> None:
    styled = chart.configure(background="white", font="sans-serif", padding=12)
    styled = styled.configure_view(stroke=None).configure_title(anchor="start", frame="group", fontSize=15)
    styled = styled.configure_axis(
        labelFontSize=12, titleFontSize=12, titleFontWeight="normal", gridColor="#e6e6e6", labelLimit=260
    )
    styled.configure_legend(
        labelFontSize=12, labelLimit=260, orient="bottom", columns=2, symbolOpacity=1
    ).save(file)
