"""Where the time of the GPU went, and what minds cost."""

from typing import Final

from population.records import Usage
from population.state import Population
from results.minds import cost
from results.page.markup import Safe, element
from results.writing import duration

_LENGTH: Final = 1000.0  # of the bar, in its own units


def ledger(population: Population) -> Safe:
    """A bar of what the device did from the first entry to the last, without pauses between schedulers."""
    shares = time_shares(population)
    total = sum(shares.values()) or 1.0
    rows = [
        element(
            "tr",
            element("th", element("i", "", class_=f"key share-{index}"), name, scope="row"),
            element("td", duration(seconds), class_="number"),
            element("td", f"{seconds / total:.0%}", class_="number"),
        )
        for index, (name, seconds) in enumerate(shares.items())
    ]
    paid = cost(population)
    return element(
        "section",
        element("h2", "Time and cost"),
        _bar(list(shares.values()), total),
        element("table", element("tbody", *rows)),
        element("p", f"Minds: {paid}." if paid else "Minds cost nothing.", class_="note"),
    )


def time_shares(population: Population) -> dict[str, float]:
    """Seconds by what they went to; together the run's own time as far as it is known."""
    used = [trial.usage for trial in population.trials.values() if trial.usage is not None]

    def total(of: str) -> float:
        return sum(float(getattr(usage, of)) for usage in used)

    around = sum(max(_around(usage), 0.0) for usage in used)
    shares = {
        "training": total("training_s"),
        "start-up": total("startup_s"),
        "exam": total("exam_s"),
        "around them": around,
    }
    return shares | {"idle": max(population.elapsed_s - total("wall_s"), 0.0)}


def _around(usage: Usage) -> float:
    return usage.wall_s - usage.training_s - usage.startup_s - usage.exam_s


def _bar(shares: list[float], total: float) -> Safe:
    parts, start = [], 0.0
    for index, seconds in enumerate(shares):
        width = _LENGTH * seconds / total
        place = {"x": f"{start:.1f}", "width": f"{width:.1f}", "height": "12"}
        parts.append(element("rect", class_=f"share-{index}", **place))
        start += width
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {_LENGTH:.0f} 12",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )
