"""The page of a run, put together: what it says, how it looks and behaves, and the rows of its chart."""

from typing import Any, Final

from population.state import Lineage, Population
from results.chart import Spec, by_hours
from results.look import Look, looks, theme
from results.marks import Drawing
from results.page.answers import answers, headline
from results.page.ledger import ledger
from results.page.losses import losses
from results.page.markup import Safe, element, single
from results.page.names import ink, ink_rules
from results.page.places import places
from results.page.ranks import ranks
from results.page.reproduce import Typed
from results.page.steps import GenomeOf, steps
from results.page.vega import vega
from results.page.whole import asset, whole
from results.ranking import rankings
from results.writing import clean, count


def document(
    population: Population,
    drawn: Drawing,
    chart: Spec,
    rows: dict[str, list[Any]],
    genome_of: GenomeOf,
    typed: Typed,
) -> str:
    """The whole file. `chart` is the specification by trial, `rows` are what it names."""
    ranked = rankings(population)
    style = f"{asset('style.css')}\n{ink_rules()}"
    data = {
        "charts": {"trial": chart, "hours": by_hours(chart, drawn)},
        "themes": {"light": theme(False), "dark": theme(True)},
        "rows": rows,
    }
    body = element(
        "main",
        headline(population),
        answers(population, ranked),
        _figure(population, drawn),
        steps(population, genome_of),
        losses(population),
        ranks(ranked),
        ledger(population),
        places(population, typed),
        id="main",
    )
    skip = element("a", "Skip to the results", href="#main", class_="skip")
    scripts = (vega(), asset("changes.js"), asset("script.js"))
    return whole(clean(population.run.run, 80), (skip, body), style, scripts, data)


def _figure(population: Population, drawn: Drawing) -> Safe:
    """The chart with its controls; what it shows is told beneath, for those who cannot see it too."""
    gone = [line for line in population.lineages.values() if line.pruned is not None]
    lines = [*population.living, *reversed(gone)]
    chips = [_chip(population, line) for line in lines if line.name in drawn.strands]
    return element(
        "section",
        element("h2", "The lineage tree"),
        element("div", *chips, class_="chips", role="group", aria_label="Follow a lineage"),
        element(
            "div",
            element("div", "", id="chart"),
            element("div", "", id="ring", hidden=True),
            element("div", "", id="card", hidden=True),
            id="stage",
            tabindex="0",
            role="group",
            aria_label="Chart of trials: arrow keys walk through them, Enter follows a lineage",
            aria_describedby="reading",
        ),
        element("p", "", id="said", class_="note", aria_live="polite"),
        _controls(population),
        _key(drawn),
        element("p", _reading(drawn), class_="note", id="reading"),
        element("noscript", element("p", "The chart needs scripts; tree.svg beside this page does not.")),
        class_="tree",
    )


def _chip(population: Population, line: Lineage) -> Safe:
    about = f"{clean(line.brief, 40)}, {clean(line.proposer, 40)}"
    ended = "" if line.pruned is None else " †"
    return element(
        "button",
        clean(line.name, 24) + ended,
        type="button",
        class_=f"chip {ink(population, line.name)}",
        aria_pressed="false",
        data_follow=line.name,
        data_about=about if line.pruned is None else f"{about}; pruned: {clean(line.pruned, 120)}",
        title=about,
    )


def _controls(population: Population) -> Safe:
    zoom = (("in", "+", "Zoom in"), ("out", "−", "Zoom out"), ("all", "all", "Show all trials"))
    buttons = [
        element("button", sign, type="button", data_zoom=way, aria_label=name) for way, sign, name in zoom
    ]
    axis = [
        element(
            "label", single("input", type="radio", name="axis", value=value, checked=value == "trial"), word
        )
        for value, word in (("trial", " by trial"), ("hours", " by time"))
    ]
    box = single("input", type="checkbox", id="live")
    live = element("label", box, " keep up to date") if population.ended is None else None
    return element("div", *buttons, *axis, live, class_="controls")


def _key(drawn: Drawing) -> Safe:
    """What the shapes mean, of those that occur."""
    return element(
        "ul", *(element("li", _glyph(one), f" {one.title}") for one in looks(drawn)), class_="key-list"
    )


_DRAWN: Final = {
    "circle": "M-.8,0A.8,.8,0,1,1,.8,0A.8,.8,0,1,1,-.8,0Z",
    "diamond": "M0,-1L.8,0L0,1L-.8,0Z",
    "triangle-up": "M0,-.8L.9,.7L-.9,.7Z",
    "triangle-right": "M-.7,-.9L.8,0L-.7,.9Z",
    "stroke": "M-.9,0L.9,0",
}


def _glyph(look: Look) -> Safe:
    path = element("path", d=_DRAWN.get(look.shape, look.shape), class_="full" if look.inside else None)
    return element(
        "svg", path, viewBox="-1.5 -1.5 3 3", width="14", height="14", class_="glyph", aria_hidden="true"
    )


_LINKS: Final = {
    "merged": "solid: a merge of these",
    "adopted": "dashed: taken up later",
    "founded": "dashed: founded on",
    "again": "dotted: measured again",
}


def _reading(drawn: Drawing) -> str:
    """How to read the chart, of what is in it."""
    parts = [
        "A line is what a lineage's latest commit is worth by all evidence (lower is better), in its 95% band"
    ]
    parts += ["lines that coincide run side by side"] * (len(drawn.strands) > 1)
    told = "; ".join(parts) + "."
    kinds = {edge.kind for edge in drawn.edges}
    named = [words for kind, words in _LINKS.items() if kind in kinds]
    told += f" Thin lines join trials ({', '.join(named)})." if named else ""
    failed, beyond = sum(m.score is None for m in drawn.marks), sum(m.beyond for m in drawn.marks)
    above = [count(failed, "trial") + " without a score"] * bool(failed)
    above += [f"{count(beyond, 'score')} worse than {drawn.scale.high:.4g}"] * bool(beyond)
    told += f" In the grey band above: {' and '.join(above)}." if above else ""
    told += " A bar across a line, or † at a name: pruned." if drawn.ends else ""
    return told + " Drag to move, hold Ctrl or Shift and scroll to zoom, click to follow a lineage."
