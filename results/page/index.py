"""The index of runs: what a browser is shown first, where runs are served."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from results.listing import HEADS, Listed
from results.page.markup import Safe, element
from results.page.whole import asset, whole
from results.writing import count

_WORDS: Final = 2  # columns of words; figures follow


def index(listed: Sequence[Listed], drawn: Sequence[str], compared: bool) -> str:
    """The whole file. The latest run is the first.

    `drawn` are names of runs that have a page of their own; `compared` says that there is a comparison.
    """
    heads = (element("th", head, scope="col", class_=_kind(n)) for n, head in enumerate(HEADS))
    rows = [_row(run, run.name in drawn) for run in reversed(listed)]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows))
    nothing = element("p", "No run has begun yet; this page will tell.", class_="note")
    latest = next((run for run in reversed(listed) if run.name in drawn), None)
    body = element(
        "main",
        element("header", element("h1", count(len(listed), "run") if listed else "No runs")),
        element("div", table, class_="runs") if listed else nothing,
        element("p", element("a", "the last comparison of runs", href="compare.html")) if compared else None,
        _picture(latest) if latest else None,
    )
    return whole("Runs", (body,), asset("style.css"), (asset("changes.js"), asset("index.js")))


def files(title: str, names: Sequence[str]) -> str:
    """A page of links to files that lie in the folder it is shown for."""
    links = (element("li", element("a", name, href=quote(name))) for name in names)
    body = element("main", element("h1", title), element("ul", *links, class_="files"))
    return whole(title, (body,), asset("style.css"), ())


def _row(run: Listed, has_page: bool) -> Safe:
    name, *cells = run.cells
    # Who opens a run that is under way wants to see it go on.
    live = "#live" if cells[0] == "running" else ""
    title = element("a", name, href=f"{quote(run.name)}/tree.html{live}") if has_page else name
    return element(
        "tr",
        element("th", title, scope="row"),
        *(element("td", cell, class_=_kind(n)) for n, cell in enumerate(cells, start=1)),
    )


def _kind(column: int) -> str | None:
    return None if column < _WORDS else "number"


def _picture(run: Listed) -> Safe:
    """The latest tree, as its picture."""
    shown = element(
        "a",
        element("img", src=f"{quote(run.name)}/tree.svg", alt=f"lineage tree of {run.cells[0]}"),
        href=f"{quote(run.name)}/tree.html",
    )
    return element(
        "section", element("h2", f"The latest: {run.cells[0]}"), element("div", shown, class_="paper")
    )
