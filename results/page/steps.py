"""The way from the baseline to the best, a step at a time, each with its diff."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, TypeAlias

from population.evidence import best, known
from population.state import Population, Trial
from results.changes import changed, unified
from results.expected import expected
from results.marks import WIDTH
from results.page.markup import Safe, element, joined
from results.page.names import name
from results.writing import arrows, clean, count, figure, interval

GenomeOf: TypeAlias = Callable[[str], str]

_HEAD, _TAIL = 8, 32  # of a longer way, how many steps are shown from either end
_LINES, _LINE = 300, 240  # of a diff: how many lines, and characters of each, are shown
_KINDS: Final = {"+": "plus", "-": "minus", "@": "hunk"}


def steps(population: Population, genome_of: GenomeOf) -> Safe | None:
    """None as long as nothing is better than the baseline."""
    found = best(population)
    path = [] if found is None else population.path(found)
    if len(path) < 2:
        return None
    skipped = range(_HEAD, len(path) - _TAIL) if len(path) > _HEAD + _TAIL + 1 else range(0)
    items = []
    for index, trial in enumerate(path):
        if index not in skipped:
            items.append(_step(population, trial, genome_of if index else None))
        elif index == skipped.start:
            items.append(element("li", f"… {count(len(skipped), 'more step')} …", class_="skipped"))
    return element(
        "section",
        element("h2", "From the baseline to the best"),
        element(
            "p",
            "A gain is what is expected of the step after all evidence, with its 95% interval.",
            class_="note",
        ),
        element("ol", *items, class_="steps"),
    )


def _step(population: Population, trial: Trial, genome_of: GenomeOf | None) -> Safe:
    candidate = trial.candidate
    told, score = expected(population, candidate), known(population, candidate.commit)
    facts = [element("span", f"trial {trial.number}", class_="trial"), name(population, candidate.lineage)]
    if told is not None:
        gain = interval(-told.change, WIDTH * told.sd)
        facts += [
            element("span", f"gain {gain}", class_="gain" if told.change < 0 else None),
            element("span", f"{told.p_better:.0%} likely"),
        ]
    facts += [] if score is None else [element("span", f"now {figure(score)}")]
    summary = changed(population, candidate)
    return element(
        "li",
        element("p", *_spaced(facts), class_="head"),
        element("p", arrows(clean(candidate.idea, 600)) or candidate.operator, class_="idea"),
        _judged(trial),
        None if genome_of is None else _diff(summary, _lines(genome_of, candidate.base, candidate.commit)),
        id=f"step-{trial.number}",
        data_lineage=candidate.lineage,
    )


def _judged(trial: Trial) -> Safe | None:
    """What was believed when it was judged, which all evidence since may not bear out."""
    said = clean(trial.judged_because, 300)
    then = "" if trial.operator == "baseline" else "when it was judged: "
    return element("p", then + said, class_="note") if said else None


def _spaced(parts: list[Safe]) -> Iterator[str]:
    for part in parts:
        yield part
        yield " "


@lru_cache(
    maxsize=256
)  # a running scheduler writes the page after every trial, and a genome takes a git process
def _lines(genome_of: GenomeOf, base: str, commit: str) -> tuple[str, ...]:
    return tuple(unified(genome_of(base), genome_of(commit)).splitlines())


def _diff(summary: str, lines: tuple[str, ...]) -> Safe:
    """Folded. What is cut off is counted."""
    body = lines[2:]  # without the names of the files
    plus, minus = (sum(line.startswith(sign) for line in body) for sign in "+-")
    shown = [_line(line) for line in body[:_LINES]]
    shown += [element("span", f"… {len(body) - _LINES} more lines\n", class_="hunk")] * (len(body) > _LINES)
    label = f"diff +{plus} −{minus}" + (f" · {summary}" if summary else "")
    return element(
        "details", element("summary", label), element("pre", element("code", joined(*shown)), tabindex="0")
    )


def _line(line: str) -> Safe:
    cut = line if len(line) <= _LINE else line[: _LINE - 1] + "…"
    visible = "".join(c if c.isprintable() or c == "\t" else "�" for c in cut)
    return element("span", visible + "\n", class_=_KINDS.get(line[:1]))
