"""The best so far of some runs as a chart: against trials and, beside it, against time on the GPU."""

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from results.chart import Spec
from results.comparing.sides import Side
from results.look import INKS
from results.writing import clean

_HEIGHT: Final = 300  # pixels
_DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])  # after as many runs as there are colours, the next
_HIGH: Final = 0.6  # of the span of the bests: how far above it first scores may be and still be in scale
_HOUR_S: Final = 3600.0


def rows(sides: Sequence[Side]) -> dict[str, list[Any]]:
    """The data that the specifications name: steps of the curves, and where they end with an interval."""
    curves: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for side in sides:
        for point in side.course:
            curves.append(_row(side, point.trials, point.gpu_s, point.score))
        if side.course:
            last = _row(side, side.trials, side.gpu_s, side.course[-1].score)
            curves.append(last)
            ends += [last | bounds] if (bounds := _bounds(side)) else []
    return {"curves": curves, "ends": ends}


def curves(sides: Sequence[Side]) -> dict[str, Spec]:
    """Two specifications by the names of their axes, without rows."""
    return {
        "trials": _curve(sides, "trials", "trials"),
        "hours": _curve(sides, "hours", "hours of the GPU: start-up, training and exam"),
    }


def _row(side: Side, trials: int, gpu_s: float, score: float) -> dict[str, Any]:
    return {"run": side.name, "trials": trials, "hours": round(gpu_s / _HOUR_S, 5), "score": score}


def _bounds(side: Side) -> dict[str, float]:
    """The interval of the best as it is claimed; nothing where there is none."""
    if side.best is None or side.best.half is None:
        return {}
    mean, half = side.best.mean, side.best.half
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _curve(sides: Sequence[Side], field: str, title: str) -> Spec:
    metric = clean(sides[0].setting.metric, 30)
    scale = alt.Scale(domain=_domain(sides), nice=False, zero=False, clamp=True)
    x = alt.X(f"{field}:Q", axis=alt.Axis(title=title, grid=False), scale=alt.Scale(nice=False, zero=True))
    y = alt.Y("score:Q", axis=alt.Axis(title=f"best {metric} (lower is better)"), scale=scale)
    colour, dash = _told_apart([side.name for side in sides])
    hints = [alt.Tooltip(f"{name}:Q", format=".6g") for name in ("trials", "hours", "score")]
    steps, ends = _data("curves"), _data("ends")
    bar = ends.mark_rule(strokeWidth=2, opacity=0.7)
    middle = ends.mark_tick(orient="horizontal", thickness=3, size=12)
    layers = [
        steps.mark_line(interpolate="step-after", strokeWidth=2).encode(x, y, colour, dash),
        steps.mark_point(size=28, filled=True, opacity=0.9).encode(
            x, y, colour, tooltip=[alt.Tooltip("run:N"), *hints]
        ),
    ]
    if any(map(_bounds, sides)):  # Vega complains of a layer without rows
        layers.append(bar.encode(x, alt.Y("low:Q", scale=scale), alt.Y2("high:Q"), colour))
        layers.append(middle.encode(x, alt.Y("mean:Q", scale=scale), colour))
    chart = alt.layer(*layers).properties(
        width="container",
        height=_HEIGHT,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=f"Best score so far of {len(sides)} runs against {title}.",
    )
    whole: Spec = chart.to_dict(validate=False)  # its parts were validated as they were made
    return whole


def _told_apart(names: list[str]) -> tuple[alt.Color, alt.StrokeDash]:
    """A colour for each run, and dashes where there are more runs than colours."""
    inks = list(INKS.values())
    colours = [inks[place % len(inks)] for place in range(len(names))]
    dashes = [_DASHES[place // len(inks) % len(_DASHES)] for place in range(len(names))]
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", columns=3)  # one, or Vega warns
    return (
        alt.Color("run:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
        alt.StrokeDash("run:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
    )


def _domain(sides: Sequence[Side]) -> list[float]:
    """Scores to draw: all bests with their intervals, and of what came before as much as fits."""
    scores = [point.score for side in sides for point in side.course]
    ends = [bound for side in sides for bound in _bounds(side).values()]
    if not scores:
        return [0.0, 1.0]
    starts = [side.baseline.mean for side in sides if side.baseline]
    low, start = min(scores + ends), max(starts + ends)
    span = (start - low) or abs(low) * 1e-3 or 1e-9
    return [low - 0.05 * span, min(max(scores + ends), start + _HIGH * span) + 0.05 * span]


def _data(name: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name=name))
