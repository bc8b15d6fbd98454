"""The lineages of a run as a tree of text: what each advanced to, and how much was tried on the way.

Every lineage is one branch, and hangs on the commit it was founded at. Its advances stand in it in the order
they came, whatever they were made from; what it tried and did not keep is counted at the commit it was made
from, or at the head of the branch. So every trial is drawn or counted once. Bounded in length and depth
however long the run was; what is left out is counted, too.
"""

from collections import Counter, defaultdict

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from population.state import Lineage, Population, Trial
from results.panel import colour
from results.words import standing
from results.writing import change, clean, count, figure

_HEAD, _TAIL = 2, 6  # of a longer line of commits, how many are shown from its beginning and its end
_ROWS = 120  # commits and lineages in a tree; what is beyond is counted
_DEPTH = 4  # forks upon forks
_TOP = 0  # stands for no trial where a step is asked for: the baseline, or the head of a branch


def lineage_tree(population: Population) -> Tree:
    """The baseline, and below it every lineage with its commits."""
    return _Grove(population).tree()


class _Grove:
    """The tree under construction. A lineage's commits stand one below another; only a fork goes deeper."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.rows = 0
        self.steps: dict[str, list[Trial]] = defaultdict(list)  # advances, by lineage
        self.tries: dict[tuple[str, int], list[Trial]] = defaultdict(list)  # others, by lineage and step
        self.forks: dict[int, list[Lineage]] = defaultdict(list)  # by the step they begin at
        self.hidden = dict(population.lineages)  # not drawn yet
        first: dict[str, int] = {}  # the trial that first advanced to a commit ...
        own: dict[tuple[str, str], int] = {}  # ... and the first of its lineage that did
        for trial in population.trials.values():
            lineage, commit = _lineage(trial), trial.candidate.commit
            if trial.verdict != "advance":
                step = own.get((lineage, trial.candidate.parents[0]), _TOP)
                self.tries[lineage, step].append(trial)
            elif lineage:
                self.steps[lineage].append(trial)
                first.setdefault(commit, trial.number)
                own.setdefault((lineage, commit), trial.number)
        for born in population.lineages.values():
            at = _TOP if born.root == population.baseline else first.get(born.root, _TOP)
            self.forks[at].append(born)

    def tree(self) -> Tree:
        """The tree, with every lineage at its root that was founded on a commit nobody advanced to."""
        score = self.population.baseline_score
        label = Text.assemble(("baseline", "bold"), "" if score is None else f"  {figure(score)}")
        tree = Tree(_fitting(label, _told(self.tries["", _TOP])), guide_style="dim")
        self._fork(tree, _TOP, 1)
        if self.hidden:
            steps = sum(len(self.steps[name]) for name in self.hidden)
            tries = [t for (name, _), trials in self.tries.items() if name in self.hidden for t in trials]
            more = Text(f"… {count(len(self.hidden), 'more lineage')} with {count(steps, 'step')}", "dim")
            tree.add(_fitting(more, _told(tries)))
        return tree

    def _fork(self, node: Tree, step: int, depth: int) -> None:
        for lineage in self.forks[step]:
            if self.rows < _ROWS and depth <= _DEPTH:
                self._branch(node, lineage, depth)

    def _branch(self, node: Tree, lineage: Lineage, depth: int) -> None:
        self.rows += 1
        del self.hidden[lineage.name]
        label = Text.assemble((clean(lineage.name, 16), f"bold {colour(self.population, lineage.name)}"))
        label.append(f"  {clean(lineage.brief, 20)}, {clean(lineage.proposer, 20)}")
        branch = node.add(_fitting(label, _told(self.tries[lineage.name, _TOP])))
        steps = self.steps[lineage.name]
        skipped = range(_HEAD, len(steps) - _TAIL) if len(steps) > _HEAD + _TAIL + 1 else range(0)
        for index, trial in enumerate(steps):
            if index not in skipped:
                self._row(branch, self._label(trial), [trial], depth)
            elif index == skipped.start:
                more = Text(f"… {len(skipped)} more steps", "dim")
                self._row(branch, more, steps[skipped.start : skipped.stop], depth)

    def _row(self, branch: Tree, label: Text, steps: list[Trial], depth: int) -> None:
        """One row for these steps, with what was tried from them, and the lineages founded on them below."""
        self.rows += 1
        tries = [t for step in steps for t in self.tries[_lineage(step), step.number]]
        row = branch.add(_fitting(label, _told(tries)))
        for step in steps:
            self._fork(row, step.number, depth + 1)

    def _label(self, trial: Trial) -> Text:
        best = self.population.best
        crown = best is not None and best.candidate.commit == trial.candidate.commit
        return Text.assemble(
            (f"{trial.number:4d}  ", "dim"),
            (figure(trial.score) if trial.score is not None else "", "bold green" if crown else ""),
            ("" if trial.gain is None else f" {change(-trial.gain)}", "green"),
            ("  best" if crown else "", "bold green"),  # in front of the idea, whose end may be cut off
            (f"  {clean(trial.candidate.idea, 120)}", "bold" if crown else ""),
        )


def _lineage(trial: Trial) -> str:
    """The lineage a trial counts for; the baseline's is nobody's."""
    return "" if trial.candidate.operator == "baseline" else trial.candidate.lineage


def _told(tries: list[Trial]) -> Text:
    """What was tried and not kept: `4 dropped (1 crashed), 1 lost`."""
    fates = Counter(map(_fate, tries))
    failed = Counter(standing(t).replace("_", " ") for t in tries if t.verdict and t.score is None)
    failures = f" ({_listed(failed)})" if failed else ""
    note = _listed(fates).replace("dropped", f"dropped{failures}")
    return Text(note, "dim", no_wrap=True, overflow="ellipsis")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.items())


def _fate(trial: Trial) -> str:
    if trial.verdict is not None:
        return "dropped"
    if trial.lost is not None:
        return "lost"
    return "under way" if trial.outcome is None else "not judged"


def _fitting(label: Text, note: Text) -> RenderableType:
    """A label and a note behind it on one line; the longer of them gives way."""
    label.no_wrap, label.overflow = True, "ellipsis"
    if not note:
        return label
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column()
    grid.add_row(label, note)
    return grid
