"""What the lineage tree shows, as plain rows: trials, steps of lineages, edges between them.

No colours and no pixels here. Lower scores are better. A trial without a score has a `y` only so that it has
a place to be drawn, on a rail above all scores; its `score` is None. One that was stopped has not failed, and
has another rail than one that did. Scores far worse than everything that
was built on would squeeze the rest into a line: they are drawn on a rail of their own, and say so. What is
said of commits is what is known of them now, by all trials, not what was believed at the time.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from population.evidence import best, weigh
from population.records import Candidate, Entry, Stopped
from population.state import Population, Trial
from results.changes import changed
from results.expected import expected
from results.moves import Move, Stay, stays, strands
from results.scale import NOTHING, Extent, Scale, scale
from results.words import advanced, idea_of, standing
from results.writing import arrows, clean
from trainer.outcome import cause

Fate: TypeAlias = Literal["kept", "unproven", "dropped", "again", "stopped", "failed", "lost", "running"]
EdgeKind: TypeAlias = Literal["founded", "adopted", "merged", "again"]

WIDTH: Final = 1.96  # standard deviations to either side, that 95% of a normal distribution lie within
_IDEA, _REASON = 240, 200  # characters
_PAINT: Final[tuple[Fate, ...]] = (
    "lost", "running", "dropped", "stopped", "failed", "again", "unproven", "kept",
)  # fmt: skip


class Mark(Struct, frozen=True):
    """One trial."""

    trial: int
    hours: float  # from the start of the run to its end, or to its beginning while it runs
    y: float
    lineage: str
    fate: Fate
    beyond: bool  # its score is off the scale
    status: str
    verdict: str | None
    score: float | None
    operator: str
    idea: str
    changed: str  # what it changes, in short
    reason: str  # why there is no score, or why the verdict is what it is
    effect: float | None  # expected of its change after all evidence; negative is better
    effect_half: float | None  # half of its 95% interval
    odds: float | None  # that the change is a gain
    seed: int
    again_of: int | None  # the first trial of the same candidate


class Step(Struct, frozen=True):
    """From this trial on a lineage stands on a commit with this posterior."""

    lineage: str
    trial: int
    hours: float
    mean: float
    low: float  # 95% band
    high: float


class Edge(Struct, frozen=True):
    """From what came first to what came of it; `lineage` is whose it is."""

    kind: EdgeKind
    lineage: str
    trial: int
    hours: float
    y: float
    trial2: int
    hours2: float
    y2: float


class End(Struct, frozen=True):
    """A pruned lineage ends here."""

    lineage: str
    trial: int
    hours: float
    y: float
    reason: str


class Best(Struct, frozen=True):
    """From this trial on the best posterior of all that had advanced."""

    trial: int
    hours: float
    mean: float


class Drawing(Struct, frozen=True):
    """All rows of a tree. Marks are in the order in which they are painted."""

    marks: tuple[Mark, ...]
    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
    ends: tuple[End, ...]
    best: tuple[Best, ...]
    crown: Mark | None  # the first trial of the best commit
    scale: Scale
    extent: Extent  # what the scale has to have room for
    strands: dict[str, int]  # lineage -> which of the parallel strands it is drawn as
    metric: str
    last: int  # trial


def drawing(population: Population, entries: Iterable[Entry], beside: Extent | None = None) -> Drawing:
    """The rows for a population with a run in it, however little has happened; `entries` are its journal.

    The scale has room for what else is drawn `beside` it.
    """
    return _Rows(population, stays(entries), beside or NOTHING).all()


class _Rows:
    def __init__(self, population: Population, stays: Iterable[Stay], beside: Extent) -> None:
        self.population, self.kept = population, advanced(population)
        self.last = max((t.number for t in population.trials.values() if t.outcome), default=0)
        self.stays = [drawn for stay in stays if (drawn := self._drawn(stay)).moves]
        self.evidence = weigh(population)
        self.hours = {t.number: _hours(population, t) for t in population.trials.values()}
        self.extent = self._extent()
        self.scale = scale(self.extent | beside)
        self.marks = {t.number: self._mark(t) for t in population.trials.values()}

    def all(self) -> Drawing:
        found = best(self.population)
        crown = None if found is None else self.population.tried[self.population.commits[found]]
        return Drawing(
            marks=tuple(sorted(self.marks.values(), key=lambda mark: _PAINT.index(mark.fate))),
            steps=tuple(step for stay in self.stays for step in self._steps(stay)),
            edges=tuple(self._edges()),
            ends=tuple(end for stay in self.stays for end in self._end(stay)),
            best=tuple(self._best()),
            crown=None if crown is None else self.marks[crown],
            scale=self.scale,
            extent=self.extent,
            strands=strands({stay.lineage: (stay.moves[0].trial, self._until(stay)) for stay in self.stays}),
            metric=clean(self.population.run.metric, 30),
            last=max(self.marks, default=0),
        )

    def _drawn(self, stay: Stay) -> Stay:
        """As far as it can be drawn: on commits with a score, from the first trial on."""
        moves = (
            Move(min(max(move.trial, 1), self.last), move.commit, move.own)
            for move in stay.moves
            if move.commit in self.population.scores
        )
        return Stay(stay.lineage, tuple(moves), stay.pruned)

    def _until(self, stay: Stay) -> int:
        """The trial up to which a lineage is drawn."""
        return max(self.last if stay.pruned is None else stay.pruned, stay.moves[-1].trial)

    def _band(self, commit: str) -> tuple[float, float]:
        """What a commit that was built on is worth: mean and half of its 95% interval."""
        estimate, score = self.evidence.estimates.get(commit), self.population.score(commit)
        if estimate is not None:
            return estimate.mean, WIDTH * estimate.sd
        assert score is not None, "only what was measured is built on"
        return score, WIDTH * self.evidence.sigma

    def _extent(self) -> Extent:
        trials = self.population.trials.values()
        scores = tuple(trial.score for trial in trials if trial.score is not None)
        unscored = {isinstance(trial.outcome, Stopped) for trial in trials if trial.score is None}
        bands = frozenset(self._band(move.commit) for stay in self.stays for move in stay.moves)
        return Extent(scores, True in unscored, False in unscored, bands, self.evidence.sigma)

    def _mark(self, trial: Trial) -> Mark:
        candidate, score = trial.candidate, trial.score
        told = None if trial.again else expected(self.population, candidate)
        beyond = score is not None and score > self.scale.high
        unscored = self.scale.stopped if isinstance(trial.outcome, Stopped) else self.scale.failed
        reason = trial.lost or (trial.outcome and cause(trial.outcome)) or trial.judged_because
        return Mark(
            trial=trial.number,
            hours=self.hours[trial.number],
            y=unscored if score is None else self.scale.beyond if beyond else score,
            lineage=candidate.lineage,
            fate=_fate(trial, candidate.number in self.kept),
            beyond=beyond,
            status=standing(trial).replace("_", " "),
            verdict=trial.verdict,
            score=score,
            operator=trial.operator,
            idea=arrows(idea_of(trial, _IDEA)),
            changed="" if trial.again else changed(self.population, candidate),
            reason=clean(reason, _REASON),
            effect=None if told is None else told.change,
            effect_half=None if told is None else WIDTH * told.sd,
            odds=None if told is None else told.p_better,
            seed=trial.seed,
            again_of=self.population.tried.get(candidate.number) if trial.again else None,
        )

    def _steps(self, stay: Stay) -> Iterator[Step]:
        for move in stay.moves:
            yield self._step(stay.lineage, move.trial, move.commit)
        yield self._step(stay.lineage, self._until(stay), stay.moves[-1].commit)

    def _step(self, lineage: str, trial: int, commit: str) -> Step:
        mean, half = self._band(commit)
        return Step(lineage, trial, self.hours[trial], mean, mean - half, mean + half)

    def _edges(self) -> Iterator[Edge]:
        for stay in self.stays:
            yield from self._taken_up(stay)
        for trial in self.population.trials.values():
            first = self.marks[trial.number].again_of
            if first is not None and trial.lost is None:
                yield self._edge("again", trial.candidate.lineage, first, self.marks[trial.number])
            elif trial.outcome is not None:
                for part in self._joined(trial.candidate):
                    yield self._edge("merged", trial.candidate.lineage, part, self.marks[trial.number])

    def _taken_up(self, stay: Stay) -> Iterator[Edge]:
        """Where a lineage was founded on another's commit, and where it moved to one later than it was found.

        A win that it moved to at once is a step of its line at the trial that found it.
        """
        for index, move in enumerate(stay.moves):
            found = self.population.tried[self.population.commits[move.commit]]
            if move.own or move.trial <= found:
                continue
            kind: EdgeKind = "adopted" if index else "founded"
            if move.commit != self.population.baseline:
                yield self._edge(kind, stay.lineage, found, self._step(stay.lineage, move.trial, move.commit))

    def _joined(self, candidate: Candidate) -> set[int]:
        """First trials of what a candidate brings together: its parts, or a second parent."""
        if candidate.operator not in ("merge", "venture"):
            return set()
        known = self.population.commits
        parents = {known[parent] for parent in candidate.parents[1:] if parent in known}
        tried = self.population.tried
        return {tried[number] for number in {*candidate.combines, *parents} if number in tried}

    def _edge(self, kind: EdgeKind, lineage: str, first: int, then: Mark | Step) -> Edge:
        start = self.marks[first]
        y2 = then.mean if isinstance(then, Step) else then.y
        return Edge(kind, lineage, first, start.hours, start.y, then.trial, then.hours, y2)

    def _end(self, stay: Stay) -> Iterator[End]:
        reason = self.population.lineages[stay.lineage].pruned
        if reason is not None:
            mean, _ = self._band(stay.moves[-1].commit)
            until = self._until(stay)
            yield End(stay.lineage, until, self.hours[until], mean, clean(reason, _REASON))

    def _best(self) -> Iterator[Best]:
        lowest, last = float("inf"), None
        for trial in self.population.trials.values():
            if trial.verdict == "advance":
                mean, _ = self._band(trial.candidate.commit)
                if mean < lowest:
                    lowest = mean
                    yield Best(trial.number, self.hours[trial.number], mean)
            if trial.outcome is not None:
                last = trial.number
        if last is not None and lowest < float("inf"):
            yield Best(last, self.hours[last], lowest)


def _fate(trial: Trial, kept: bool) -> Fate:
    """`kept`: its candidate won its place, in this trial or when it was measured again."""
    if trial.lost is not None:
        return "lost"
    if trial.outcome is None:
        return "running"
    if trial.score is None:
        return "stopped" if isinstance(trial.outcome, Stopped) else "failed"
    if trial.again:
        return "again"
    if kept:
        return "kept"
    return "unproven" if trial.verdict == "confirm" else "dropped"


def _hours(population: Population, trial: Trial) -> float:
    """Hours from the start of the run to the end of a trial, pauses included."""
    usage = trial.usage
    ended = trial.assigned_at if usage is None else max(usage.started_at, trial.assigned_at) + usage.wall_s
    return round((ended - population.started_at) / 3600, 5)
