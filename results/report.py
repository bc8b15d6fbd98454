"""What a run came to, for a terminal: headline, tree of lineages, the way to the best, where to look.

Its length is bounded however long the run was: long lines of commits are shortened in the middle and small
print says by how much. Lower scores are better; a difference in front of an idea is negative when it helped.
"""

import shlex
from collections import Counter
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from population.state import Population, Trial
from results.panel import colour
from results.tree_text import lineage_tree
from results.words import standing
from results.writing import change, clean, count, duration, figure
from trainer.outcome import cause

_HEAD, _TAIL = 4, 20  # of a longer way to the best, how many steps are shown from either end
_FAILURES = 3  # told when nothing has a score


def report(population: Population, folder: Path | None = None) -> RenderableType:
    """All of it as one renderable. With the run's `folder` it also says where the files are."""
    if population.started is None:
        run = f"run {clean(folder.name, 80)}: " if folder else ""
        return Text(f"{run}nothing has happened yet")
    parts: list[RenderableType] = [Text(), _headline(population), Text()]
    parts += [lineage_tree(population), Text()]
    if (best := population.best) is None:
        parts += [_failures(population)]
    elif len(path := population.path(best.candidate.commit)) > 1:
        parts += [_path(population, path), Text()]
    return Group(*parts, _places(population, folder))


def _headline(population: Population) -> Text:
    baseline = population.score(population.baseline) if population.baseline else None
    best = population.score(population.best.candidate.commit) if population.best else None
    lines, metric = Text(style="bold"), clean(population.run.metric, 30)
    if best is None:
        lines.append(f"no {metric} yet")
    elif baseline is None:
        lines.append(f"baseline without a score, best {figure(best)} {metric}")
    else:
        lines.append(
            f"baseline {figure(baseline)}, best {figure(best)} {metric} (gain {figure(baseline - best)})"
        )
    done = [t for t in population.trials.values() if t.outcome is not None]
    kept = sum(t.verdict == "advance" and t.candidate.operator != "baseline" for t in done)
    failed = Counter(standing(t).replace("_", " ") for t in done if t.score is None)
    facts = [count(len(done), "trial"), f"{kept} kept", *(f"{n} {what}" for what, n in failed.most_common())]
    facts += [duration(population.elapsed_s)]
    lines.append("\n" + ", ".join(facts), style="not bold")
    return lines


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
    """One row a step from the baseline to the best, with what it gained over the step before."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("trial", "lineage", "score", "change", "the way to the best"):
        table.add_column(_cut(name), justify="right" if name in ("trial", "score", "change") else "left")
    skipped = range(_HEAD, len(path) - _TAIL) if len(path) > _HEAD + _TAIL + 1 else range(0)
    for index, trial in enumerate(path):
        if skipped and index == skipped.start:
            table.add_row("", Text("…", "dim"), "", "", _cut(f"{len(skipped)} more steps", "dim"))
        if index not in skipped:
            table.add_row(*_step_cells(population, trial, path[index - 1] if index else None))
    return table


def _step_cells(population: Population, trial: Trial, before: Trial | None) -> list[Text]:
    score = population.score(trial.candidate.commit)
    past = population.score(before.candidate.commit) if before else None
    return [
        _cut(str(trial.number), "dim"),
        _cut(clean(trial.candidate.lineage, 16), colour(population, trial.candidate.lineage)),
        _cut("" if score is None else figure(score)),
        _cut("" if score is None or past is None else change(score - past), "green"),
        _cut(clean(trial.candidate.idea, 200)),
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
    places.add_row(Text("branches", "dim"), Text(f"git log --graph --oneline {branches}", overflow="fold"))
    return places


def _cut(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
