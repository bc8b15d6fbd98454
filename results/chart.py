"""The lineage tree as a chart: one Vega-Lite specification for the page and for the picture.

Trials stand at their number, or at the hour they ended, against their score. A lineage is a step line of what
its tip is worth; lines that coincide run side by side, each moved by a few pixels, as on the map of an
underground railway. `followed`, a parameter, is the lineage that stands out, or "" for none.
"""

from copy import deepcopy
from typing import Any, Final, TypeAlias

import altair as alt
import msgspec

from results.look import INKS, look, looks, theme
from results.marks import Drawing

__all__ = ["INKS", "Spec", "bare", "by_hours", "datasets", "spec", "theme"]

Spec: TypeAlias = dict[str, Any]
Layer: TypeAlias = Any  # altair's own types say no more once a chart has its channels

_STRANDS: Final = 8  # side by side; more begin from the first again
_GAP: Final = 2.6  # pixels between two of them
_HEIGHT: Final = 430  # pixels
_AIR: Final = 0.02  # of the trials, free to the right of the last
_HELD: Final = "event.ctrlKey || event.metaKey || event.shiftKey"  # else the wheel moves the page


def datasets(drawing: Drawing) -> dict[str, list[Any]]:
    """The rows that the specification names."""
    scale, crown = drawing.scale, drawing.crown
    strand = {name: number % _STRANDS for name, number in drawing.strands.items()}
    return {
        "marks": [{**msgspec.to_builtins(mark), "look": look(mark).title} for mark in drawing.marks],
        "steps": [{**msgspec.to_builtins(s), "strand": strand[s.lineage]} for s in drawing.steps],
        "edges": msgspec.to_builtins(drawing.edges),
        "ends": msgspec.to_builtins(drawing.ends),
        "best": msgspec.to_builtins(drawing.best),
        "crown": [] if crown is None else [{"trial": crown.trial, "hours": crown.hours, "y": crown.y}],
        "rails": [{"y": scale.high, "y2": scale.top}] * (scale.top > scale.high),
        "rail names": _rail_names(drawing),
    }


def spec(drawing: Drawing, inks: dict[str, str]) -> Spec:
    """The specification without its rows, by trial; `inks` are the colours of lineages, by name.

    It fills the width of what holds it.
    """
    made = _Layers(drawing, inks)
    line = made.line()
    layers = [made.rails(), made.best(), made.band(), made.edges(), line, made.ends(), made.marks()]
    chart = (
        alt.layer(*layers, made.crown(), made.rail_names())
        .properties(
            width="container",
            height=_HEIGHT,
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
            title=alt.TitleParams(_signs(drawing), orient="bottom", anchor="start", offset=14),
            description="Trials against their scores, lower is better, and a step line for each lineage.",
        )
        .add_params(alt.param(name="followed", value=""))
        .resolve_scale(color="shared")
    )
    whole: Spec = chart.to_dict(validate=False)  # its parts were validated as they were made
    at = layers.index(line)
    whole["layer"][at : at + 1] = _strands(whole["layer"][at], drawing)
    return whole


def by_hours(whole: Spec, drawing: Drawing) -> Spec:
    """The same specification with hours in the place of trials."""
    right = max((mark.hours for mark in drawing.marks), default=0.0) * (1 + _AIR) or 1.0
    turned = deepcopy(whole)
    for encoding in _encodings(turned):
        if "x" in encoding:
            encoding["x"]["field"] = "hours"
            encoding["x"]["scale"]["domain"] = [0, right]
            encoding["x"]["axis"] = {"title": "hours since the run began", "grid": False}
        if "x2" in encoding:
            encoding["x2"]["field"] = "hours2"
    return turned


def bare(whole: Spec) -> Spec:
    """The same specification without legends, for a page that has its own."""
    stripped = deepcopy(whole)
    del stripped["title"]
    for encoding in _encodings(stripped):
        if "color" in encoding:
            encoding["color"]["legend"] = None
    return stripped


def _encodings(whole: Spec) -> list[Spec]:
    return [part["encoding"] for layer in whole["layer"] for part in layer.get("layer", [layer])]


def _strands(line: Spec, drawing: Drawing) -> list[Spec]:
    """A layer for each strand, moved aside from the others."""
    numbers = sorted({number % _STRANDS for number in drawing.strands.values()})
    layers = []
    for number in numbers:
        layer, shift = deepcopy(line), _GAP * (number - (len(numbers) - 1) / 2)
        layer["mark"] |= {"xOffset": shift, "yOffset": -shift}
        layer["transform"] = [{"filter": f"datum.strand === {number}"}]
        layers.append(layer)
    return layers


class _Layers:
    """The layers, each of which knows where its rows come from."""

    def __init__(self, drawing: Drawing, inks: dict[str, str]) -> None:
        self.drawing, scale = drawing, drawing.scale
        right = max(drawing.last * (1 + _AIR), drawing.last + 0.5, 2.0)
        whole = "datum.value % 1 ? '' : format(datum.value, 'd')"
        self.x = alt.X(
            "trial:Q",
            axis=alt.Axis(title="trial", labelExpr=whole, tickMinStep=1, grid=False),
            scale=alt.Scale(domain=[0, right], nice=False, zero=False),
        )
        numbers = f"datum.value > {scale.high} ? '' : datum.label" if scale.any else "''"
        lines = alt.condition(f"datum.value > {scale.high}", alt.value(0), alt.value(1))
        self.y = alt.Y(
            "y:Q",
            axis=alt.Axis(title=f"{drawing.metric} (lower is better)", labelExpr=numbers, gridOpacity=lines),
            scale=alt.Scale(domain=[scale.low, scale.top], nice=False, zero=False),
        )
        names = list(inks)
        self.inks = alt.Scale(domain=names, range=list(inks.values()))
        self.colour = alt.Color(
            "lineage:N",
            scale=self.inks,
            legend=alt.Legend(
                title=None, orient="top", symbolType="stroke", symbolOpacity=1, values=names[:12]
            ),
        )

    def rails(self) -> Layer:
        return _rows("rails").mark_rect(style="rail").encode(y=self.y, y2="y2:Q")

    def rail_names(self) -> Layer:
        """Where the axis has its numbers."""
        mark = _rows("rail names").mark_text(
            style="railname", align="right", baseline="middle", x=-6, clip=False
        )
        return mark.encode(y=self.y, text="text:N")

    def best(self) -> Layer:
        """A broad pale line under all strands."""
        strands = len({number % _STRANDS for number in self.drawing.strands.values()})
        mark = _rows("best").mark_line(
            style="best", interpolate="step-after", strokeWidth=_GAP * (strands + 1) + 4
        )
        return mark.encode(x=self.x, y=self.y_of("mean"))

    def band(self) -> Layer:
        return (
            _rows("steps")
            .mark_area(interpolate="step-after")
            .encode(
                x=self.x,
                y=self.y_of("low"),
                y2="high:Q",
                color=self.colour,
                opacity=_followed(0.07, 0.26, 0.0),
            )
        )

    def line(self) -> Layer:
        return (
            _rows("steps")
            .mark_line(interpolate="step-after", strokeWidth=2)
            .encode(x=self.x, y=self.y_of("mean"), color=self.colour, opacity=_followed(0.95, 1.0, 0.12))
        )

    def edges(self) -> Layer:
        kinds = ["founded", "adopted", "merged", "again"]
        dashes = alt.Scale(domain=kinds, range=[[6, 3], [4, 3], [1, 0], [1, 3]])
        return (
            _rows("edges")
            .mark_rule(strokeWidth=1.2)
            .encode(
                x=self.x,
                x2="trial2:Q",
                y=self.y,
                y2="y2:Q",
                color=self.colour,
                strokeDash=alt.StrokeDash("kind:N", scale=dashes, legend=None),
                opacity=_followed(0.5, 0.9, 0.06),
            )
        )

    def ends(self) -> Layer:
        mark = _rows("ends").mark_point(shape="M-1,-1L-1,1M1,-1L1,1", size=60, strokeWidth=2.2, angle=0)
        return mark.encode(x=self.x, y=self.y, color=self.colour, opacity=_followed(1.0, 1.0, 0.15))

    def marks(self) -> Layer:
        kinds = looks(self.drawing)
        titles = [one.title for one in kinds]
        small = min(1.0, max(0.3, (60 / max(self.drawing.last, 1)) ** 0.35))
        shape = alt.Shape(
            "look:N",
            scale=alt.Scale(domain=titles, range=[one.shape for one in kinds]),
            legend=None,
        )
        return (
            _rows("marks")
            .mark_point(strokeWidth=1.4)
            .encode(
                x=self.x,
                y=self.y,
                color=self.colour,
                fill=alt.Fill("lineage:N", scale=self.inks, legend=None),
                shape=shape,
                size=_by_look(alt.Size, titles, [small * one.size for one in kinds]),
                fillOpacity=_by_look(alt.FillOpacity, titles, [one.inside for one in kinds]),
                strokeOpacity=_by_look(alt.StrokeOpacity, titles, [one.opacity for one in kinds]),
                opacity=_followed(1.0, 1.0, 0.1),
            )
            .add_params(alt.selection_interval(name="zoom", bind="scales", zoom=f"wheel![{_HELD}]"))
        )

    def crown(self) -> Layer:
        late = self.drawing.crown is not None and 2 * self.drawing.crown.trial > self.drawing.last
        ring = _rows("crown").mark_point(style="crown", shape="circle", size=260, strokeWidth=1.6)
        word = _rows("crown").mark_text(
            style="crownname", dx=-8 if late else 8, dy=19, align="right" if late else "left"
        )
        place = {"x": self.x, "y": self.y}
        return alt.layer(ring.encode(**place), word.encode(text=alt.value("best"), **place))

    def y_of(self, field: str) -> alt.Y:
        y = self.y.copy()
        y.shorthand = f"{field}:Q"
        return y


def _rows(name: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name=name))


def _followed(usual: float, followed: float, aside: float) -> Any:
    """An opacity: the usual, that of the followed lineage, and that of others while one is followed."""
    nobody = alt.when("followed === ''").then(alt.value(usual))
    return nobody.when("datum.lineage === followed").then(alt.value(followed)).otherwise(alt.value(aside))


def _by_look(channel: Any, titles: list[str], values: list[float]) -> Any:
    return channel("look:O", scale=alt.Scale(type="ordinal", domain=titles, range=values), legend=None)


def _signs(drawing: Drawing) -> str:
    return " · ".join(f"{one.sign} {one.title}" for one in looks(drawing))


def _rail_names(drawing: Drawing) -> list[dict[str, Any]]:
    fates, names = {mark.fate for mark in drawing.marks}, []
    names += [(drawing.scale.failed, "failed")] * ("failed" in fates)
    names += [(drawing.scale.stopped, "stopped")] * ("stopped" in fates)
    names += [(drawing.scale.beyond, "worse")] * any(mark.beyond for mark in drawing.marks)
    return [{"y": y, "text": text} for y, text in names]
