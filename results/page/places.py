"""How to take a run's best, where its files and branches are, and how to run it again."""

import shlex

from population.evidence import best
from population.state import Population
from results.page.markup import Safe, element
from results.page.reproduce import Typed
from results.writing import clean, printable


def places(population: Population, typed: Typed) -> Safe:
    """Commands to copy, and files. Links are beside this page, so they hold wherever its folder is moved."""
    run = clean(population.run.run, 80)
    bests = [("best/train.py", "the best genome"), ("best/best.diff", "how it differs from the baseline")]
    files = [
        *(bests if best(population) is not None else ()),
        ("experiments.parquet", "a row a trial"),
        ("results.tsv", "the same in autoresearch's columns"),
        ("logs/", "what each trial printed"),
        ("journal.jsonl", "all that happened"),
        ("tree.svg", "the chart as a picture"),
    ]
    links = [element("li", element("a", name, href=name), f" {what}") for name, what in files]
    return element(
        "section",
        element("h2", "Take it, look closer, run it again"),
        *(_command(what, line) for what, line in _commands(population, run, typed)),
        element("ul", *links, class_="files"),
        element("p", _made_for(population), class_="note"),
    )


def _commands(population: Population, run: str, typed: Typed) -> list[tuple[str, str]]:
    named, found = shlex.quote(run), best(population)
    commands, git = [], printable(typed.git)
    if found is not None and found != population.baseline:
        trial = population.tried[population.commits[found]]
        commands += [
            ("merge the best into your branch", f"uv run scheduler.py promote {named}")
        ] * typed.merges
        difference = f"{git} diff {clean(population.run.head, 64)[:12]} {found[:12]} # trial {trial}"
        commands += [("or look at it first" if typed.merges else "look at the best", difference)]
    branches = shlex.quote(f"--branches=lineages/{run}/*")
    commands += [("all lineages", f"{git} log --graph --oneline {branches}")]
    commands += [("the numbers of every commit", f"{git} log --notes=lineages {branches}")]
    commands += [("go on with this run", f"uv run scheduler.py --resume {named}")]
    if typed.again is not None:
        commands += [("start one like it", printable(typed.again))]
    return commands


def _command(what: str, line: str) -> Safe:
    return element(
        "div", element("p", what), element("pre", element("code", line), tabindex="0"), class_="command"
    )


def _made_for(population: Population) -> str:
    run = population.run
    parts = [
        f"commit {clean(run.head, 64)[:12]}",
        f"exam {clean(run.exam_hash, 64)[:12]}",
    ]
    parts += [f"profile {clean(run.profile, 20)}"] * bool(run.profile)  # a task of one's own has none
    parts += [f"device {clean(run.device, 20)}", f"seed {run.seed}", f"{run.budget_s:g} s a trial"]
    return (
        f"Started from {', '.join(parts)}. Scores compare only where exam, profile and device are the same."
    )
