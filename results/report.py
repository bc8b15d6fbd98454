"""What a run came to, for a terminal: headline, tree, lineages, minds, the way to the best, where to look.

The headline is what the run may claim (see population.claim). Below it scores of commits are posterior means,
and a difference in front of an idea is what is expected of it after shrinkage (see population.evidence):
negative when it helped, since lower scores are better. The report's length is bounded however long the run
was: long lines are shortened in the middle, and it says by how much.
"""

import shlex
from collections import Counter
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from population.evidence import Estimate, best, known, weigh
from population.reckoning.accounting import account
from population.reckoning.claim import claim
from population.state import Population, Trial
from results.cells import colour
from results.expected import expected
from results.minds import cost, foresight, standings
from results.page.reproduce import git
from results.roster import roster
from results.tree_text import combined, commit_tree
from results.uses import uses_in_words
from results.words import advanced, standing
from results.writing import change, clean, count, duration, figure, interval
from trainer.outcome import cause

_HEAD, _TAIL = 4, 20  # of a longer way to the best, how many steps are shown from either end
_WIDTH = 1.96  # standard deviations to either side, that 95% of a normal distribution lie within
_FAILURES = 3  # told when nothing has a score


def report(population: Population, folder: Path | None = None) -> RenderableType:
    """All of it as one renderable. With the run's `folder` it also says where the files are."""
    if population.started is None:
        run = f"run {clean(folder.name, 80)}: " if folder else ""
        return Text(f"{run}nothing has happened yet")
    parts: list[RenderableType] = [Text(), _headline(population), Text()]
    parts += [commit_tree(population), Text()]
    if population.lineages:
        parts += [roster(population), Text(), *standings(population)]
    if (found := best(population)) is None:
        parts += [_failures(population)]
    elif len(path := population.path(found)) > 1:
        parts += [_path(population, path), Text()]
    return Group(*parts, _places(population, folder))


def _headline(population: Population) -> Text:
    lines = Text(_scores(population), style="bold")
    done = [t for t in population.trials.values() if t.outcome is not None]
    changes = {t.candidate.number for t in done if not t.again and t.candidate.operator != "baseline"}
    failed = Counter(standing(t).replace("_", " ") for t in done if t.score is None)
    facts = [f"{count(len(done), 'trial')} in {duration(population.elapsed_s)}"]
    facts += [f"{len(changes & advanced(population))} of {count(len(changes), 'change')} kept"]
    facts += [f"{n} {what}" for what, n in failed.most_common()]
    lines.append("\n" + ", ".join(facts), style="not bold")
    asides = uses_in_words(account(population)), cost(population), foresight(population), _noise(population)
    for aside in filter(None, asides):
        lines.append("\n" + aside, style="not bold dim")
    return lines


def _scores(population: Population) -> str:
    """Baseline and best, as far as they are known."""
    found, metric = best(population), clean(population.run.metric, 30)
    if found is None:
        return f"no {metric} yet"
    if (claimed := claim(population)) is None:
        return f"baseline {figure(population.score(found) or 0.0)} {metric}, not judged yet"
    words = f"baseline {_interval(claimed.baseline)}, best {_interval(claimed.best)} {metric}"
    return f"{words} (gain {interval(claimed.gain, _WIDTH * claimed.sd)})"


def _interval(estimate: Estimate) -> str:
    return interval(estimate.mean, _WIDTH * estimate.sd)


def _noise(population: Population) -> str:
    """How the intervals came about, and how often the ends of them were measured again."""
    sigma = weigh(population).sigma
    if not sigma:
        return ""
    again = sum(t.again and t.score is not None for t in population.trials.values())
    source = f"from {count(again, 'repeat')}" if again else "assumed: nothing was measured again"
    claimed = claim(population)
    rests = count(claimed.fresh, "trial") if claimed and claimed.fresh else ""
    rested = f"; the best by {rests} made after it was chosen" if rests else ""
    return f"± is 95%; sigma of a trial {sigma:.2g} ({source}){rested}"


def _failures(population: Population) -> RenderableType:
    """Why nothing has a score: the latest causes."""
    failed = [t for t in population.trials.values() if t.outcome is not None and t.score is None]
    lines = [_failure(trial) for trial in failed[-_FAILURES:]]
    return Group(*lines, Text()) if lines else Text()


def _failure(trial: Trial) -> Text:
    assert trial.outcome is not None
    what = standing(trial).replace("_", " ")
    return _cut(f"trial {trial.number} {what}: {clean(cause(trial.outcome) or '', 200)}", "red")


def _path(population: Population, path: list[Trial]) -> Table:
    """One row a step from the baseline to the best: its expected effect, and how likely it is a gain."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("trial", "lineage", "score", "change", "odds", "the way to the best"):
        number = name in ("trial", "score", "change", "odds")
        table.add_column(_cut(name), justify="right" if number else "left")
    skipped = range(_HEAD, len(path) - _TAIL) if len(path) > _HEAD + _TAIL + 1 else range(0)
    for index, trial in enumerate(path):
        if skipped and index == skipped.start:
            table.add_row("", Text("…", "dim"), "", "", "", _cut(f"{len(skipped)} more steps", "dim"))
        if index not in skipped:
            table.add_row(*_step_cells(population, trial))
    return table


def _step_cells(population: Population, trial: Trial) -> list[Text]:
    score, told = known(population, trial.candidate.commit), expected(population, trial.candidate)
    return [
        _cut(str(trial.number), "dim"),
        _cut(clean(trial.candidate.lineage, 16), colour(population, trial.candidate.lineage)),
        _cut("" if score is None else figure(score)),
        _cut("" if told is None else change(told.change), "green"),
        _cut("" if told is None else f"{told.p_better:.0%}", "dim"),
        _cut(combined(population, trial) + clean(trial.candidate.idea, 200)),
    ]


def _places(population: Population, folder: Path | None) -> RenderableType:
    """Where to look next, in commands and paths to copy; these fold rather than lose their end."""
    run = clean(population.run.run, 80)
    places = Table.grid(padding=(0, 2, 0, 0))
    if folder is not None:
        for what, name in (("best genome", "best/train.py"), ("its diff", "best/best.diff"),
                           ("every trial", "results.tsv"), ("logs", "logs/")):  # fmt: skip
            places.add_row(Text(what, "dim"), Text(clean(f"{folder / name}", 400), overflow="fold"))
    branches = shlex.quote(f"--branches=lineages/{run}/*")
    log = f"{git(folder) if folder else 'git'} log --graph --oneline {branches}"
    places.add_row(Text("branches", "dim"), Text(clean(log, 800), overflow="fold"))
    return places


def _cut(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
