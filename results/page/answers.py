"""The top of the page: what a run came to, and the four questions that one comes back with."""

from collections import Counter

from population.evidence import best, weigh
from population.reckoning.claim import Claim, claim
from population.state import Population, Trial
from results.expected import expected
from results.marks import WIDTH
from results.minds import likelier
from results.page.markup import Safe, element, joined, text
from results.page.names import name
from results.ranking import Ranking
from results.words import advanced, standing
from results.writing import arrows, clean, count, duration, figure, interval

_SURE = 0.9  # probability of being a gain from which a step is called one
_MOST = 3  # steps named as the largest


def headline(population: Population) -> Safe:
    """Baseline against best, and what happened in a line."""
    run, done = population.run, [t for t in population.trials.values() if t.outcome is not None]
    changes = {t.candidate.number for t in done if not t.again and t.candidate.operator != "baseline"}
    failed = Counter(standing(t).replace("_", " ") for t in done if t.score is None)
    facts = [f"{count(len(done), 'trial')} in {duration(population.elapsed_s)}"]
    facts += [f"{len(changes & advanced(population))} of {count(len(changes), 'change')} kept"]
    facts += [f"{number} {what}" for what, number in failed.most_common()]
    facts += [f"{run.policy} on {clean(run.device, 20)}, {run.budget_s:g} s a trial"]
    ended = population.ended
    state = "under way" if ended is None else f"ended: {clean(ended, 120)}"
    return element(
        "header",
        element("p", f"lineages · run {clean(run.run, 80)} · {state}", class_="over"),
        _scores(population),
        element("p", ", ".join(facts), class_="facts"),
    )


def answers(population: Population, rankings: tuple[Ranking, ...]) -> Safe:
    """Which lineage won and why, whether to believe it, what to keep, what to run next."""
    found, claimed = best(population), claim(population)
    told: list[tuple[str, Safe | str]] = []
    if found is None:
        told += [("Nothing has a score yet", _failing(population))]
    elif claimed is None:
        told += [("Too early to say", "The first trial waits for its verdict.")]
    else:
        path = population.path(found)
        told += [("What won", _won(population, path)), ("Believe it?", _belief(population, claimed))]
        if len(path) > 1:
            told += [("What to keep", _keep(population, path))]
    told += [("What to run next", said)] if (said := _next(population, rankings)) else []
    pairs = (element("div", element("dt", term), element("dd", said)) for term, said in told)
    return element("dl", *pairs, class_="answers")


def _scores(population: Population) -> Safe:
    metric, claimed = clean(population.run.metric, 30), claim(population)
    if claimed is None:
        found = best(population)
        known = "no score yet" if found is None else f"baseline {figure(population.score(found) or 0.0)}"
        return element("h1", f"{metric}: {known}")
    before, after = (interval(e.mean, WIDTH * e.sd) for e in (claimed.baseline, claimed.best))
    if claimed.best == claimed.baseline:
        return element("h1", f"{metric}: the baseline, {before}, is still the best")
    gain = interval(claimed.gain, WIDTH * claimed.sd)
    return element(
        "h1",
        element("span", f"{metric} lower by ", class_="quiet"),
        element("strong", _held(gain)),
        element("span", f"baseline {_held(before)}, best {_held(after)}", class_="from"),
    )


def _held(interval: str) -> str:
    """Not broken at the end of a line."""
    return interval.replace(" ", "\u00a0")


def _won(population: Population, path: list[Trial]) -> Safe | str:
    last = path[-1].candidate
    if len(path) == 1:
        return "Nothing better than the baseline was found."
    lineage = population.lineages[last.lineage]
    authors = Counter(trial.candidate.lineage for trial in path[1:])
    shares = ", ".join(f"{clean(author, 16)} {number}" for author, number in authors.most_common(6))
    return joined(
        name(population, lineage.name),
        text(f" ({clean(lineage.brief, 40)}, {clean(last.proposer, 40)}) holds the best, "),
        element("a", f"trial {path[-1].number}", href=f"#step-{path[-1].number}"),
        text(f". The way there took {count(len(path) - 1, 'step')} from the baseline: {shares}."),
    )


def _belief(population: Population, claimed: Claim) -> str:
    sigma = f"One trial is uncertain by {weigh(population).sigma:.2g}."
    if claimed.best == claimed.baseline:
        return f"There is no gain to believe in. {sigma}"
    clear = claimed.gain / claimed.sd if claimed.sd else float("inf")
    by = f"{clear:.1f}" if clear < 10 else "more than 10"
    by += " standard deviations from nothing"
    if not claimed.fresh:
        source = "Nobody measured the best again after it was chosen, so luck is taken off by estimate only"
    else:
        source = f"The best was measured in {count(claimed.fresh, 'trial')} that did not choose it"
    word = "Yes" if clear >= 3 and claimed.fresh else "Probably" if clear >= 2 else "Not yet"
    return f"{word}: the gain is {by}. {source}. {sigma}"


def _keep(population: Population, path: list[Trial]) -> Safe:
    steps = [(trial, told) for trial in path[1:] if (told := expected(population, trial.candidate))]
    sure = [trial for trial, told in steps if told.p_better >= _SURE]
    largest = sorted(steps, key=lambda step: step[1].change)[:_MOST]
    items = [
        element(
            "li",
            element("a", f"trial {trial.number}", href=f"#step-{trial.number}"),
            f" {arrows(clean(trial.candidate.idea, 90))} ",
            element("span", f"{max(-told.change, 0.0):.4f}", class_="gain"),
        )
        for trial, told in largest
    ]
    doubt = len(path) - 1 - len(sure)
    words = f"{len(sure)} of {count(len(path) - 1, 'step')} gain with {_SURE:.0%} or more"
    words += f"; {doubt} may each be luck." if doubt else "."
    return joined(text(f"{words} The largest:"), element("ol", *items, class_="largest"))


def _next(population: Population, rankings: tuple[Ranking, ...]) -> str:
    lines = []
    for ranking in rankings:
        if ranking.of != "operator":
            first = clean(ranking.standings[0].name, 40)
            lead = f"The {ranking.of} {first}" if ranking.told_apart else f"No {ranking.of} stands out yet"
            lines.append(f"{lead}: {likelier(ranking)}.")
    return " ".join(lines)


def _failing(population: Population) -> str:
    failed = sum(t.outcome is not None for t in population.trials.values())
    return (
        f"{count(failed, 'trial')} ended without one; why stands below." if failed else "No trial has ended."
    )
