"""The lineage trees of some runs as charts on one scale of scores, to be looked at side by side."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final

from msgspec import Struct

from results.chart import Spec, bare, datasets, spec
from results.comparing.sides import Side
from results.marks import Drawing, drawing
from results.page.markup import Safe, joined
from results.page.names import inks, name
from results.scale import NOTHING, Extent

_TREES: Final = 8  # that are drawn; a page with more would be slow to open
_DRAWN: Final = ("y", "look")  # of a trial, to draw it
_SHOWN: Final = ("trial", "score", "status", "verdict", "lineage", "idea", "changed")  # under the pointer


class Grove(Struct, frozen=True):
    """One run's tree: its specification, and the rows that this names."""

    name: str
    caption: Safe  # the run's name, and those of its lineages in their colours
    spec: Spec
    rows: dict[str, list[Any]]


def groves(sides: Sequence[Side]) -> list[Grove]:
    """The trees of the runs that have one, as many as are drawn."""
    ours = [side for side in sides if side.population is not None and side.course][:_TREES]
    alone = [drawing(side.population, side.entries) for side in ours if side.population is not None]
    beside = reduce(or_, (drawn.extent for drawn in alone), NOTHING)
    return [_grove(side, beside) for side in ours]


def _grove(side: Side, beside: Extent) -> Grove:
    population = side.population
    assert population is not None
    drawn = drawing(population, side.entries, beside)
    made = bare(spec(drawn, inks(population)))
    for layer in _layers(made):
        if layer.get("data", {}).get("name") == "marks":
            layer["encoding"]["tooltip"] = _hints()
    drawn_lines = [name(population, lineage) for lineage in population.lineages if lineage in drawn.strands]
    return Grove(side.name, joined(side.name, *drawn_lines), made, _rows(drawn))


def _rows(drawn: Drawing) -> dict[str, list[Any]]:
    """What the specification names, without what only the page of one run tells of a trial."""
    rows = datasets(drawn)
    marks = [{field: mark[field] for field in (*_DRAWN, *_SHOWN)} for mark in rows["marks"]]
    return rows | {"marks": marks}


def _hints() -> list[dict[str, str]]:
    """What is told of a trial under the pointer."""
    number = {"type": "quantitative", "format": ".6g"}
    return [{"field": field} | (number if field == "score" else {"type": "nominal"}) for field in _SHOWN]


def _layers(made: Spec) -> Iterator[Spec]:
    for layer in made["layer"]:
        if "layer" in layer:
            yield from _layers(layer)
        else:
            yield layer
