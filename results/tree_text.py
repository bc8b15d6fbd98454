"""The commits of a run as a tree of text: what was built on what, and how much was tried on the way.

The line from the baseline to the best stands at the left, one commit below another, each once, however many
lineages took it up. What was built aside from it hangs from the commit it left: lines of other lineages, near
misses that one looked around from. What was tried and not built on is counted at the commit it had to beat,
and what measured a commit again at that commit, so every trial is drawn or counted once. Bounded in length
and depth however long the run was; what is left out is counted, too.
"""

from collections import Counter, defaultdict

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from population.evidence import best, known
from population.state import Population, Trial
from results.cells import colour
from results.expected import expected
from results.words import advanced
from results.writing import change, clean, count, figure

_HEAD, _TAIL = 3, 8  # of a longer line of commits, how many are shown from its beginning and its end
_ROWS = 40  # of a tree; branches that would begin beyond are counted
_BRANCHES = 4  # drawn at one row; more are counted
_DEPTH = 4  # branches upon branches
_FATES = ("dropped", "unproven", "again", "lost", "not judged", "under way")
_NOWHERE = ""  # stands for the commit that was to be beaten where nobody built on it


def commit_tree(population: Population) -> Tree:
    """The run, and below it the baseline and all that was built on it."""
    return _Grove(population).tree()


class _Grove:
    """The tree under construction. A line's commits stand one below another; only a branch goes deeper."""

    def __init__(self, population: Population) -> None:
        self.population, self.best = population, best(population)
        self.rows = 0
        self.hidden = dict(population.bases)  # commits that are not drawn yet
        self.proven = advanced(population)
        self.first = {commit: population.trials[_tried(population, commit)] for commit in population.bases}
        self.builds: dict[str, list[str]] = defaultdict(list)  # commits built on one, by that one
        self.tries: dict[str, list[Trial]] = defaultdict(list)  # trials counted at a commit, by that commit
        places = {commit: place for place, commit in enumerate(population.bases)}
        for commit, trial in self.first.items():
            base = trial.candidate.base
            self.builds[base if places.get(base, len(places)) < places[commit] else _NOWHERE].append(commit)
        for trial in population.trials.values():
            if (at := self._counted_at(trial)) is not None:
                self.tries[at].append(trial)
        self.promise = self._promise()
        self.widest = max((len(clean(t.candidate.lineage, 16)) for t in self.first.values()), default=0)

    def tree(self) -> Tree:
        run = self.population.run
        label = Text.assemble((clean(run.run, 40), "bold"), (f"  {run.policy}", "dim"))
        tree = Tree(fitting(label, _told(self.tries[_NOWHERE])), guide_style="dim")
        for start in self.builds[_NOWHERE]:
            self._line(tree, self._way(start), 1)
        if self.hidden:
            more = Text(f"… {count(len(self.hidden), 'more step')} aside", "dim")
            tree.add(fitting(more, _told([t for commit in self.hidden for t in self.tries[commit]])))
        return tree

    def _counted_at(self, trial: Trial) -> str | None:
        """The commit at which a trial is counted, or None for one that is drawn as a row of its own."""
        commit, base = trial.candidate.commit, trial.candidate.base
        if commit in self.first and (trial.again or trial is self.first[commit]):
            return commit if trial.again else None
        return base if base in self.first else _NOWHERE

    def _promise(self) -> dict[str, tuple[bool, float]]:
        """How good the best is that was built on a commit, itself included; less is better."""
        found: dict[str, tuple[bool, float]] = {}
        for commit in reversed(self.population.bases):  # what is built on comes before what is built on it
            score = known(self.population, commit)
            own = commit != self.best, float("inf") if score is None else score
            found[commit] = min([own, *(found[child] for child in self.builds[commit])])
        return found

    def _way(self, start: str) -> list[str]:
        """The line from a commit to the best that was built on it."""
        way = [start]
        while way[-1] != self.best and (onward := self.builds[way[-1]]):
            way.append(min(onward, key=lambda commit: self.promise[commit]))
        return way

    def _line(self, tree: Tree, line: list[str], depth: int) -> None:
        skipped = range(_HEAD, len(line) - _TAIL) if len(line) > _HEAD + _TAIL + 1 else range(0)
        for index, commit in enumerate(line):
            if index not in skipped:
                self._row(tree, self._label(commit), line[index : index + 2], 1, depth)
            elif index == skipped.start:
                more = Text(f"… {len(skipped)} more steps", "dim")
                self._row(tree, more, line[skipped.start : skipped.stop + 1], len(skipped), depth)

    def _row(self, tree: Tree, label: Text, line: list[str], length: int, depth: int) -> None:
        """One row for the first `length` commits of a line, with what was tried from them; branches below."""
        self.rows += 1
        commits = line[:length]
        for commit in commits:
            del self.hidden[commit]
        row = tree.add(fitting(label, _told([t for commit in commits for t in self.tries[commit]])))
        starts = [start for commit in commits for start in self.builds[commit] if start not in line]
        for start in starts[:_BRANCHES]:
            if self.rows < _ROWS and depth < _DEPTH:
                self._branch(row, self._way(start), depth + 1)

    def _branch(self, row: Tree, line: list[str], depth: int) -> None:
        """A line that left another. One of several steps has a head that says whose they are."""
        if len(line) > 1:
            self.rows += 1
            names = dict.fromkeys(self.first[commit].candidate.lineage for commit in line)
            row = row.add(Text(f"{clean(', '.join(names), 40)}: {len(line)} steps", "dim"))
        self._line(row, line, depth)

    def _label(self, commit: str) -> Text:
        trial, crown = self.first[commit], commit == self.best
        candidate, score = trial.candidate, known(self.population, commit)
        told = expected(self.population, candidate)
        name = clean(candidate.lineage, 16)
        return Text.assemble(
            (f"{trial.number:4d}  ", "dim"),
            ("" if score is None else figure(score), "bold green" if crown else ""),
            (
                "" if told is None else f" {change(told.change)}",
                "green" if candidate.number in self.proven else "yellow",
            ),
            ("  best" if crown else "", "bold green"),  # in front of the idea, whose end may be cut off
            "  ",
            (f"{name:{self.widest}}", colour(self.population, candidate.lineage)),
            f"  {combined(self.population, trial)}",
            (clean(candidate.idea, 120) or candidate.operator, "bold" if crown else ""),
        )


def combined(population: Population, trial: Trial) -> str:
    """The trials whose changes were put together: `12+15 `; nothing for any other candidate."""
    if trial.candidate.operator not in ("merge", "venture"):
        return ""
    tried = [population.tried[number] for number in trial.candidate.combines if number in population.tried]
    return f"{'+'.join(map(str, tried))} " if tried else ""


def _tried(population: Population, commit: str) -> int:
    """The first trial of a commit that was built on."""
    return population.tried[population.bases[commit]]


def _told(tries: list[Trial]) -> Text:
    """What was tried and not built on: `4 dropped, 2 unproven, 1 again`."""
    fates = Counter(map(_fate, tries))
    note = ", ".join(f"{fates[fate]} {fate}" for fate in _FATES if fates[fate])
    return Text(note, "dim", no_wrap=True, overflow="ellipsis")


def _fate(trial: Trial) -> str:
    if trial.lost is not None:
        return "lost"
    if trial.verdict is None:
        return "under way" if trial.outcome is None else "not judged"
    if trial.again:
        return "again"
    return "unproven" if trial.verdict == "confirm" else "dropped"


def fitting(label: Text, note: Text) -> RenderableType:
    """A label and a note behind it on one line; the longer of them gives way."""
    label.no_wrap, label.overflow = True, "ellipsis"
    if not note:
        return label
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column()
    grid.add_row(label, note)
    return grid
