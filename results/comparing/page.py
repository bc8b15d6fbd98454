"""A comparison as one HTML file: tables, the best so far as curves, lineage trees side by side.

Self-contained, as the page of a run.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from results.comparing.curves import curves, rows
from results.comparing.groves import groves
from results.comparing.laid import Laid
from results.comparing.phrases import BESIDE, TOGETHER, chapters, heading, notes, odds
from results.comparing.tables import Grid, grids
from results.look import INKS, theme
from results.minds import ending, verdict
from results.page.markup import Safe, element
from results.page.names import ink_rules
from results.page.vega import vega
from results.page.whole import whole
from results.ranking import Ranking, Standing
from results.writing import clean, count, interval

_HERE: Final = Path(__file__).parent
_RANKS: Final = 10  # rows of a ranking


def page(laid: Sequence[Laid]) -> str:
    """The whole file."""
    charts: list[dict[str, Any]] = []
    sections = [_section(each, charts) for each in laid]
    total = sum(len(each.group.sides) for each in laid)
    title = f"{count(total, 'run')} compared"
    data = {"charts": charts, "themes": {"light": theme(False), "dark": theme(True)}}
    main = element("main", element("h1", title), *sections)
    # Vega's hints bring styles of their own.
    return whole(title, (main,), _style(), _scripts(), data, foreign_styles=True)


def _section(laid: Laid, charts: list[dict[str, Any]]) -> Safe:
    """One group of runs; its charts are added to `charts`."""
    sides = laid.group.sides
    first, *rest = grids(sides)
    apart = element("p", f"Shown apart, {laid.group.apart}.", class_="apart") if laid.group.apart else None
    return element(
        "section",
        element("h2", heading(laid)),
        apart,
        _table(first, [_ink(place) for place in range(len(sides))]),
        *_notes(laid),
        _curves(laid, charts),
        element("div", *map(_table, rest), class_="tables"),
        _rankings(laid),
        *_finds(laid),
        _trees(laid, charts),
    )


def _notes(laid: Laid) -> Iterator[Safe]:
    """The first is the answer, where there is one."""
    answer = bool(odds(laid))
    for place, note in enumerate(notes(laid)):
        yield element("p", f"{note}.", class_="lead" if answer and not place else "note")


def _ink(place: int) -> str:
    """The class that gives a run the colour of its curves."""
    return f"name ink-{list(INKS)[place % len(INKS)]}"


def _curves(laid: Laid, charts: list[dict[str, Any]]) -> Safe | None:
    data = rows(laid.group.sides)
    if not data["curves"]:
        return None
    drawn = [
        _chart(made, data, charts, f"Best so far by {axis}")
        for axis, made in curves(laid.group.sides).items()
    ]
    return element("div", *drawn, class_="charts")


def _trees(laid: Laid, charts: list[dict[str, Any]]) -> Safe | None:
    trees = groves(laid.group.sides)
    if not trees:
        return None
    drawn = []
    for tree in trees:
        chart = _chart(tree.spec, tree.rows, charts, f"Lineage tree of {tree.name}")
        drawn.append(element("figure", element("figcaption", tree.caption), chart))
    left = sum(side.population is not None for side in laid.group.sides) - len(trees)
    more = element("p", f"{count(left, 'more tree')} not drawn.", class_="note") if left else None
    title = element("h3", "Lineage trees, on one scale of scores")
    return element("div", title, element("div", *drawn, class_="charts"), more)


def _chart(made: dict[str, Any], data: dict[str, Any], charts: list[dict[str, Any]], label: str) -> Safe:
    """The place of a chart, which is added to `charts`."""
    place = f"chart{len(charts)}"
    charts.append({"place": place, "spec": made, "rows": data})
    return element("div", "", id=place, class_="chart", role="img", aria_label=clean(label, 120))


def _table(grid: Grid, inks: Sequence[str] = ()) -> Safe:
    """`inks` are classes of the names of rows, if they have one."""
    heads = (element("th", head, scope="col", class_=_kind(grid, n)) for n, head in enumerate(grid.heads))
    lines = []
    for number, row in enumerate(grid.rows):
        name = element("span", row[0], class_=inks[number]) if inks else row[0]
        cells = [element("th", name, scope="row")]
        for place, cell in enumerate(row[1:], start=1):
            crown = " crown" if (number, place) == grid.crowned else ""
            cells.append(element("td", cell, class_=(_kind(grid, place) + crown).strip() or None))
        lines.append(element("tr", *cells))
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *lines))
    return element("div", table, class_="wide")


def _kind(grid: Grid, place: int) -> str:
    return "" if place < grid.words else "number"


def _rankings(laid: Laid) -> Safe | None:
    if not laid.rankings:
        return None
    said = f"Gain of an average trial in {clean(laid.group.metric, 30)} with its 95% interval, {BESIDE}."
    tables = element("div", *map(_ranking, laid.rankings), class_="tables")
    return element("div", element("h3", "Whose ideas gained"), element("p", said, class_="note"), tables)


def _ranking(ranking: Ranking) -> Safe:
    shown = ranking.standings[:_RANKS]
    rows = tuple(_standing(one) for one in shown)
    more = len(ranking.standings) - len(shown)
    said = verdict(ranking) + (f"; {more} more not shown" if more else "")
    grid = Grid((ranking.of, "runs", "trials", "kept", "gain", "95%"), rows)
    return element("div", _table(grid), element("p", f"{said}.", class_="note"))


def _standing(one: Standing) -> tuple[str, ...]:
    half = (one.high - one.low) / 2
    gain = interval(one.gain, half).partition(" ±")[0]
    bounds = [interval(bound, half).partition(" ±")[0] for bound in (one.low, one.high)]
    return ending(one.name, 48), str(one.runs), str(one.trials), str(one.kept), gain, " to ".join(bounds)


def _finds(laid: Laid) -> list[Safe]:
    parts = []
    for chapter in chapters(laid):
        grid = Grid(("what", "by whom"), chapter.lines, words=2)
        more = element("p", f"… and {chapter.more} more.", class_="note") if chapter.more else None
        parts.append(element("div", element("h3", chapter.title.capitalize()), _table(grid), more))
    note = element("p", f"{TOGETHER.capitalize()}.", class_="note")
    return [element("div", *parts, class_="tables"), note] if parts else []


@lru_cache(maxsize=1)
def _scripts() -> tuple[str, str]:
    """Vega with all it needs, and the page's own script."""
    return vega(), (_HERE / "page.js").read_text(encoding="utf-8")


def _style() -> str:
    return f"{(_HERE / 'page.css').read_text(encoding='utf-8')}\n{ink_rules()}"
