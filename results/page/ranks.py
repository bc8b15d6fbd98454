"""Which briefs, proposers and kinds of ideas gained most a trial, and whether the data can tell."""

from typing import Final

from results.minds import verdict
from results.page.markup import Safe, element
from results.ranking import Ranking, Standing
from results.writing import clean, interval

_ROWS: Final = 10  # of a ranking
_TITLES: Final = {"brief": "Briefs", "proposer": "Models and proposers", "operator": "Kinds of ideas"}
_WIDTH: Final = 120  # of the pictures of intervals, in their own units


def ranks(rankings: tuple[Ranking, ...]) -> Safe:
    """A table each, with what it comes to in words."""
    title = element("h2", "Who gains most")
    if not rankings:
        nothing = "There is nothing to compare yet: a ranking needs two that were tried."
        return element("section", title, element("p", nothing, class_="note"))
    note = (
        "Gain of an average trial by all evidence, with its 95% interval; one that failed, or that probably "
        "gained nothing, counts as 0."
    )
    return element("section", title, element("p", note, class_="note"), *map(_table, rankings))


def _table(ranking: Ranking) -> Safe:
    shown = ranking.standings[:_ROWS]
    widest = max(standing.high for standing in shown) or 1.0
    head = element(
        "tr", *(element("th", name, scope="col") for name in ("", "trials", "kept", "gain a trial", ""))
    )
    more = len(ranking.standings) - len(shown)
    return element(
        "div",
        element(
            "table",
            element("caption", _TITLES[ranking.of]),
            element("thead", head),
            element("tbody", *(_row(standing, widest) for standing in shown)),
        ),
        element(
            "p", verdict(ranking) + (f"; {more} more are not shown" if more else "") + ".", class_="note"
        ),
        class_="wide",
    )


def _row(standing: Standing, widest: float) -> Safe:
    gain = interval(standing.gain, (standing.high - standing.low) / 2)
    return element(
        "tr",
        element("th", clean(standing.name, 40), scope="row"),
        element("td", str(standing.trials), class_="number"),
        element("td", str(standing.kept), class_="number"),
        element("td", gain, class_="number"),
        element("td", _picture(standing, widest)),
    )


def _picture(standing: Standing, widest: float) -> Safe:
    low, middle, high = (f"{_WIDTH * v / widest:.1f}" for v in (standing.low, standing.gain, standing.high))
    return element(
        "svg",
        element("line", x1="0", x2=str(_WIDTH), y1="7", y2="7", class_="rail"),
        element("line", x1=low, x2=high, y1="7", y2="7", class_="span"),
        element("circle", cx=middle, cy="7", r="4"),
        viewBox=f"-5 0 {_WIDTH + 10} 14",
        width=str(_WIDTH + 10),
        height="14",
        aria_hidden="true",
        class_="picture",
    )
