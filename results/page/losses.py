"""What did not come to anything: near misses that may be worth another look, and what failed and why."""

from collections import Counter
from typing import Final

from population.evidence import weigh
from population.state import Population, Trial
from results.changes import changed
from results.expected import Expected, expected
from results.marks import WIDTH
from results.page.markup import Safe, element, joined
from results.page.names import name
from results.words import standing
from results.writing import arrows, clean, count, figure, interval
from trainer.outcome import cause, failed

_MISSES, _FAILURES, _CAUSE = 10, 12, 140  # how many are listed; characters of a cause
_CHANCE: Final = 0.25  # least probability of being a gain that makes a near miss


def losses(population: Population) -> Safe | None:
    """None if there is neither."""
    parts = [part for part in (_near_misses(population), _failures(population)) if part is not None]
    return (
        element("section", element("h2", "What did not work, and what nearly did"), *parts) if parts else None
    )


def _near_misses(population: Population) -> Safe | None:
    """The likeliest gains among all that was not built on."""
    found: list[tuple[Expected, Trial]] = []
    for number in weigh(population).effects:
        candidate = population.candidates[number]
        told = None if candidate.commit in population.bases else expected(population, candidate)
        if told is not None and told.p_better >= _CHANCE:
            found.append((told, population.trials[population.tried[number]]))
    if not found:
        return None
    found.sort(key=lambda miss: (-miss[0].p_better, miss[1].number))
    items = [_miss(population, trial, told) for told, trial in found[:_MISSES]]
    rest = (
        element("p", f"… and {len(found) - _MISSES} more.", class_="note") if len(found) > _MISSES else None
    )
    return joined(element("h3", "Near misses"), element("ul", *items, class_="list"), rest)


def _miss(population: Population, trial: Trial, told: Expected) -> Safe:
    score = "" if trial.score is None else f"scored {figure(trial.score)}, "
    facts = f"{score}gain {interval(-told.change, WIDTH * told.sd)}, {told.p_better:.0%} likely one"
    return _item(population, trial, facts, _note(changed(population, trial.candidate)))


def _item(population: Population, trial: Trial, facts: str, note: Safe | None = None) -> Safe:
    """A trial with what is to be said of it, its idea, and a note."""
    who = name(population, trial.candidate.lineage)
    return element(
        "li",
        element("p", f"trial {trial.number} ", who, f" {facts}", class_="head"),
        element("p", arrows(clean(trial.candidate.idea, 300)) or trial.operator, class_="idea"),
        note,
        data_lineage=trial.candidate.lineage,
    )


def _failures(population: Population) -> Safe | None:
    """The latest, those of one cause together."""
    trials = [trial for trial in population.trials.values() if failed(trial.outcome)]
    if not trials:
        return None
    causes = Counter(_why(trial) for trial in trials)
    latest = {_why(trial): trial for trial in trials}
    shown = sorted(causes, key=lambda why: -latest[why].number)[:_FAILURES]
    items = [_failure(population, latest[why], why, causes[why]) for why in shown]
    more = len(causes) - len(shown)
    rest = element("p", f"… and {count(more, 'more cause')}.", class_="note") if more else None
    return joined(element("h3", "Failed"), element("ul", *items, class_="list"), rest)


def _failure(population: Population, trial: Trial, why: str, times: int) -> Safe:
    often = "" if times == 1 else f" · {times} times, lately by this one"
    return _item(population, trial, f"{why}{often}")


def _why(trial: Trial) -> str:
    reason = clean((trial.outcome and cause(trial.outcome)) or "", _CAUSE)
    what = standing(trial).replace("_", " ")
    return f"{what}: {reason}" if reason else what


def _note(said: str) -> Safe | None:
    return element("p", said, class_="note") if said else None
