"""What a run came to, for a terminal: headline, tree of lineages, the way to the best, where to look.

Its length is bounded however long the run was: long lines of commits are shortened in the middle and small
print says by how much. Lower scores are better; a difference in front of an idea is negative when it helped.
"""

import shlex
from collections import Counter, defaultdict
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from population.state import Lineage, Population, Trial
from results.panel import colour
from results.words import cause, status
from results.writing import change, clean, count, duration, figure

_HEAD, _TAIL = 2, 6  # of a longer line of commits, how many are shown from its beginning and its end
_ROWS = 120  # commits and lineages in a tree; what is beyond is counted
_DEPTH = 4  # forks upon forks
_PATH_HEAD, _PATH_TAIL = 4, 20  # the same for the way to the best
_FAILURES = 3  # told when nothing has a score


def report(population: Population, folder: Path | None = None) -> RenderableType:
    """All of it as one renderable. With the run's `folder` it also says where the files are."""
    if population.started is None:
        return Text("an empty run: nothing has happened yet")
    parts: list[RenderableType] = [Text(), _headline(population), Text()]
    parts += [_Grove(population).tree(), Text()]
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
    failed = Counter(status(t).replace("_", " ") for t in done if t.score is None)
    facts = [count(len(done), "trial"), f"{kept} kept", *(f"{n} {what}" for what, n in failed.most_common())]
    facts += [duration(population.at - population.started_at)]
    lines.append("\n" + ", ".join(facts), style="not bold")
    return lines


def _failures(population: Population) -> RenderableType:
    """Why nothing has a score: the latest causes."""
    failed = [t for t in population.trials.values() if t.outcome is not None and t.score is None]
    lines = [_failure(trial) for trial in failed[-_FAILURES:]]
    return Group(*lines, Text()) if lines else Text()


def _failure(trial: Trial) -> Text:
    assert trial.outcome is not None
    what = status(trial).replace("_", " ")
    return _cut(f"trial {trial.number} {what}: {clean(cause(trial.outcome) or '', 200)}", "red")


def _path(population: Population, path: list[Trial]) -> Table:
    """One row a step from the baseline to the best, with what it gained over the step before."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("trial", "lineage", "score", "change", "the way to the best"):
        table.add_column(_cut(name), justify="right" if name in ("trial", "score", "change") else "left")
    skipped = (
        range(_PATH_HEAD, len(path) - _PATH_TAIL) if len(path) > _PATH_HEAD + _PATH_TAIL + 1 else range(0)
    )
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


class _Grove:
    """The tree under construction. A lineage's commits stand one below another; only a fork goes deeper."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.rows = 0
        self.shown = 0  # commits that are drawn, or counted where a line is shortened
        self.advances: dict[str, list[Trial]] = defaultdict(list)  # by first parent
        self.dropped: dict[tuple[str, str], list[Trial]] = defaultdict(list)  # by lineage and parent
        self.unborn: dict[str, list[Lineage]] = defaultdict(list)  # without an advance of their own, by root
        commits = {population.baseline}
        for trial in population.trials.values():
            if trial.candidate.operator == "baseline":
                continue
            parent, commit = trial.candidate.parents[0], trial.candidate.commit
            if (
                trial.verdict == "advance" and commit not in commits
            ):  # a commit stands where it first advanced
                commits.add(commit)
                self.advances[parent].append(trial)
            elif trial.outcome is not None:
                self.dropped[trial.candidate.lineage, parent].append(trial)
        advanced = {t.candidate.lineage for trials in self.advances.values() for t in trials}
        for lineage in population.lineages.values():
            if lineage.name not in advanced:
                self.unborn[lineage.root].append(lineage)

    def tree(self) -> Tree:
        """The tree, with everything that hangs on a commit nobody knows at its root."""
        population, baseline = self.population, self.population.baseline or ""
        score = population.score(baseline)
        label = Text.assemble(("baseline", "bold"), "" if score is None else f"  {figure(score)}")
        tree = Tree(label, guide_style="dim")
        known = {t.candidate.commit for trials in self.advances.values() for t in trials}
        for origin in dict.fromkeys([baseline, *self.advances, *self.unborn]):
            if origin == baseline or origin not in known:
                self._forks(tree, origin, 1, self.advances[origin])
        if hidden := sum(map(len, self.advances.values())) - self.shown:
            tree.add(Text(f"… and {count(hidden, 'commit')} more", style="dim"))
        return tree

    def _forks(self, node: Tree, origin: str, depth: int, advances: list[Trial]) -> None:
        chains = [(trial.candidate.lineage, self._chain(trial)) for trial in advances]
        chains += [(lineage.name, []) for lineage in self.unborn[origin]]
        order = list(self.population.lineages)
        for name, chain in sorted(chains, key=lambda pair: order.index(pair[0])):
            self._branch(node, name, origin, depth, chain)

    def _branch(self, node: Tree, name: str, origin: str, depth: int, chain: list[Trial]) -> None:
        if self.rows >= _ROWS or depth > _DEPTH:
            return
        self.rows += 1
        self.shown += len(chain)
        lineage = self.population.lineages[name]
        label = Text.assemble((clean(name, 16), f"bold {colour(self.population, name)}"))
        label.append(f"  {clean(lineage.brief, 20)}, {clean(lineage.proposer, 20)}")
        branch = node.add(_fitting(label, self._tries(name, origin)))
        skipped = range(_HEAD, len(chain) - _TAIL) if len(chain) > _HEAD + _TAIL + 1 else range(0)
        for index, trial in enumerate(chain):
            if index == skipped.start and skipped:
                branch.add(Text(f"… {len(skipped)} more steps", style="dim"))
            commit = trial.candidate.commit
            step = branch
            if index not in skipped:
                self.rows += 1
                step = branch.add(_fitting(self._step(trial), self._tries(name, commit)))
            onward = chain[index + 1] if index + 1 < len(chain) else None
            self._forks(step, commit, depth + 1, [t for t in self.advances[commit] if t is not onward])

    def _chain(self, trial: Trial) -> list[Trial]:
        """`trial` and the advances of its own lineage that stand on it, each on the one before."""
        chain = [trial]
        while follower := next(
            (t for t in self.advances[chain[-1].candidate.commit] if self._same(t, trial)), None
        ):
            chain.append(follower)
        return chain

    def _same(self, one: Trial, other: Trial) -> bool:
        return one.candidate.lineage == other.candidate.lineage

    def _step(self, trial: Trial) -> Text:
        best = self.population.best
        crown = best is not None and best.candidate.commit == trial.candidate.commit
        return Text.assemble(
            (f"{trial.number:4d}  ", "dim"),
            (figure(trial.score) if trial.score is not None else "", "bold green" if crown else ""),
            ("" if trial.gain is None else f" {change(-trial.gain)}", "green"),
            (f"  {clean(trial.candidate.idea, 120)}", "bold" if crown else ""),
            ("  best" if crown else "", "bold green"),
        )

    def _tries(self, lineage: str, commit: str) -> Text:
        """What was tried from a commit and not kept: `4 dropped (1 crashed)`."""
        dropped = self.dropped.get((lineage, commit))
        if not dropped:
            return Text()
        failed = Counter(status(t).replace("_", " ") for t in dropped if t.score is None)
        failures = ", ".join(f"{n} {what}" for what, n in failed.items())
        return _cut(f"{len(dropped)} dropped" + (f" ({failures})" if failures else ""), "dim")


def _fitting(label: Text, note: Text) -> Table:
    """A label and a note behind it on one line; the longer of them gives way."""
    label.no_wrap, label.overflow = True, "ellipsis"
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column()
    grid.add_row(label, note)
    return grid


def _cut(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
