"""Where the time of the GPUs went, and what minds cost."""

from typing import Final

from population.reckoning.accounting import account
from population.state import Population
from results.minds import cost
from results.page.markup import Safe, element
from results.uses import uses
from results.writing import count, duration

_LENGTH: Final = 1000.0  # of the bar, in its own units


def ledger(population: Population) -> Safe:
    """A bar and a table of what every second went to, and the cost of minds."""
    found = account(population)
    shares = {name: (seconds, found.share(seconds)) for name, seconds in uses(found).items()}
    rows = [
        element(
            "tr",
            element("th", element("i", "", class_=f"key {_use(name)}"), name, scope="row"),
            element("td", duration(seconds), class_="number"),
            element("td", f"{part:.1%}", class_="number"),
        )
        for name, (seconds, part) in shares.items()
    ]
    paid = cost(population)
    told = f"Minds: {paid}." if paid else "Minds cost nothing."
    if found.gpus > 1:
        told = f"Time of {count(found.gpus, 'GPU')} together. {told}"
    return element(
        "section",
        element("h2", "Time and cost"),
        _bar({name: part for name, (_, part) in shares.items()}),
        element("table", element("tbody", *rows)),
        element("p", told, class_="note"),
    )


def _use(name: str) -> str:
    """The class that gives a use its colour."""
    return f"use-{name.split()[0]}"


def _bar(shares: dict[str, float]) -> Safe:
    parts, start = [], 0.0
    for name, part in shares.items():
        width = _LENGTH * part
        place = {"x": f"{start:.1f}", "width": f"{width:.1f}", "height": "12"}
        parts.append(element("rect", class_=_use(name), **place))
        start += width
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {_LENGTH:.0f} 12",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )
