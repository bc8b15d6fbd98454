"""The lineages of a run as a tree of text: what each advanced to, and how much was tried on the way.

Bounded in length and depth however long the run was; what is left out is counted.
"""

from collections import Counter, defaultdict

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


def lineage_tree(population: Population) -> Tree:
    """The baseline, and below it every lineage with its commits."""
    return _Grove(population).tree()


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
        failed = Counter(standing(t).replace("_", " ") for t in dropped if t.score is None)
        failures = ", ".join(f"{n} {what}" for what, n in failed.items())
        note = f"{len(dropped)} dropped" + (f" ({failures})" if failures else "")
        return Text(note, "dim", no_wrap=True, overflow="ellipsis")


def _fitting(label: Text, note: Text) -> Table:
    """A label and a note behind it on one line; the longer of them gives way."""
    label.no_wrap, label.overflow = True, "ellipsis"
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column()
    grid.add_row(label, note)
    return grid
