"""Legal histories of a run, for hypothesis: all that a scheduler could have written, and more.

`histories()` draws lists of entries that fold without complaint. Scores are exact in binary and close
together, so that ties and small gains happen; commits are made up.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from population.records import (
    Adopted,
    Assigned,
    Candidate,
    Clashed,
    Combined,
    Completed,
    Crashed,
    Declined,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Operator,
    Outcome,
    Proposed,
    Pruned,
    Refused,
    Resumed,
    Started,
    Stopped,
    TimedOut,
    Usage,
    Verdict,
)
from population.state import Population, apply

T = TypeVar("T")

HEAD = "f" * 40
BASE = f"{1:040x}"  # the first candidate's commit, which is the baseline
CROSSINGS: tuple[Operator, ...] = ("merge", "ablate", "venture")
_PAUSES = st.sampled_from([0.0, 0.25, 10.0])
SCORES = st.integers(0, 64).map(lambda n: 0.9375 + n / 1024)
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    SCORES.map(Completed),
    SCORES.map(Completed),
    st.sampled_from([Crashed("out of memory", "tail\n"), TimedOut("training", 10.0), Refused("only a seed")]),
    st.floats(0, 1).map(lambda fraction: Stopped(fraction, "hopeless")),
)


def started(run: str = "demo", policy: str = "promise", profile: str = "cpu") -> Started:
    return Started(run, 0, policy, "task", "val_bpb", 10.0, "exam", profile, "cpu", HEAD)


def candidate(
    number: int,
    lineage: str,
    parents: tuple[str, ...],
    operator: Operator = "mutate",
    *,
    base: str | None = None,
    combines: tuple[int, ...] = (),
    complexity: int = 10,
) -> Candidate:
    """A candidate whose commit and genome are told apart by its number; it has to beat its first parent."""
    return Candidate(
        number=number,
        lineage=lineage,
        operator=operator,
        idea=f"idea {number}",
        commit=f"{number:040x}",
        parents=parents,
        base=base or parents[0],
        genome_hash=f"genome {number}",
        complexity=complexity,
        knobs={"DEPTH": number, "RATE": 0.5, "WIDE": True, "KIND": "gelu"},
        proposer="scripted",
        combines=combines,
    )


class Choices:
    """What hypothesis draws next, given all that has happened."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.gpus = draw(st.integers(1, 3))
        self.population = Population()
        self.entries: list[Entry] = []

    def record(self, event: Event) -> None:
        pause_s = self.draw(_PAUSES)
        self.entries.append(Entry(len(self.entries) + 1, (self.population.at or 1e9) + pause_s, event))
        apply(self.population, self.entries[-1])

    def one(self, some: Iterable[T]) -> T:
        return self.draw(st.sampled_from(list(some)))

    def possible(self) -> list[Callable[[], Event]]:
        """The kinds of event that can come next; what moves a run on more often."""
        population = self.population
        kinds: list[Callable[[], Event]] = [Resumed if population.ended else self.pause]
        if population.running:
            kinds.append(self.loss)
        if population.combining is not None:
            return kinds + [self.combination] * 4
        if population.running:
            kinds += [self.end] * 3
        if population.unjudged:
            kinds += [self.verdict] * 3
        if population.baseline_score is None:
            waits = not population.running and not population.unjudged
            return kinds + ([self.baseline] * 4 if waits else [])
        if population.baseline not in population.bases:
            return kinds
        kinds += [self.idea, self.idea, self.nothing, self.birth, self.adoption, self.combining]
        if len(population.living) > 1:
            kinds.append(self.end_of_a_lineage)
        if len(population.running) < self.gpus:
            kinds += [self.repeat] + [self.turn] * 3 * bool(self.waiting())
        return kinds

    def waiting(self) -> list[int]:
        return [number for line in self.population.living for number in line.ready]

    def scored(self) -> list[int]:
        candidates, scores = self.population.candidates, self.population.scores
        return [number for number in self.population.tried if candidates[number].commit in scores]

    def next(self) -> tuple[int, int]:
        """The numbers of the next trial and of the next candidate."""
        return len(self.population.trials) + 1, len(self.population.candidates) + 1

    def pause(self) -> Event:
        return Ended("enough") if self.draw(st.booleans()) else Resumed()

    def loss(self) -> Event:
        return Lost(self.one(self.population.running), "power")

    def end(self) -> Event:
        trial = self.one(self.population.running)
        return Finished(trial, self.draw(OUTCOMES), Usage(self.population.at, wall_s=10.0))

    def verdict(self) -> Event:
        trial = self.population.trials[self.one(self.population.unjudged)]
        allowed: list[Verdict] = ["advance", "confirm", "discard"] if trial.score is not None else ["discard"]
        if trial.candidate.commit in self.population.bases:
            allowed = allowed[1:] or allowed
        elif trial.candidate.operator == "baseline":
            allowed = allowed[:1]
        return Judged(trial.number, self.one(allowed), "by the evidence")

    def baseline(self) -> Event:
        """Its turn before there is a score, or one more chance if it failed."""
        trial, number = self.next()
        if waits := self.population.lineages["l1"].ready:
            return Assigned(trial, waits[0], 1, "the baseline comes first")
        again = candidate(number, "l1", (HEAD,), "baseline")
        return Proposed(replace(again, commit=BASE, genome_hash="genome 1"))

    def idea(self) -> Event:
        line = self.one(self.population.lineages.values())  # one that was pruned may have been thinking
        return Proposed(candidate(self.next()[1], line.name, (line.tip,), complexity=self.one([9, 10, 11])))

    def nothing(self) -> Event:
        line = self.one(self.population.living)
        return Declined(line.name, line.tip, "nothing new")

    def birth(self) -> Event:
        name = f"l{len(self.population.lineages) + 1}"
        return Founded(name, "brief", "scripted", self.one(self.population.bases), "a free place")

    def end_of_a_lineage(self) -> Event:
        return Pruned(self.one(self.population.living).name, "fell behind")

    def adoption(self) -> Event:
        """Of a commit that was measured, and whose base somebody built on."""
        made = (self.population.candidates[number] for number in self.scored())
        near = [c.commit for c in made if c.base in self.population.bases or c.operator == "baseline"]
        return Adopted(self.one(self.population.living).name, self.one(near), "a win")

    def combining(self) -> Event:
        """To rebase what waits, or to bring together, or leave out, what was scored."""
        line = self.one(self.population.living)
        rebase = bool(line.ready) and self.one([True, False])
        if rebase:
            number = self.one(line.ready)
            operator = self.population.candidates[number].operator
            return Combined(line.name, line.tip, (number,), operator, "its tip has moved")
        some = self.draw(st.lists(st.sampled_from(self.scored()), min_size=1, max_size=3, unique=True))
        operator = self.one(CROSSINGS)
        return Combined(line.name, self.one(self.population.bases), tuple(some), operator, "a crossing")

    def combination(self) -> Event:
        asked = self.population.combining
        assert asked is not None
        fitting = tuple(number for number in asked.candidates if self.one([True, False]))
        if not fitting:
            return Clashed(asked.lineage, asked.candidates, "they change the same things")
        last = self.population.candidates[fitting[-1]]
        merge = last.number in self.population.tried and last.commit != asked.onto
        parents = (asked.onto, last.commit) if merge else (asked.onto,)
        made = candidate(self.next()[1], asked.lineage, parents, asked.operator, combines=fitting)
        return Proposed(made)

    def turn(self) -> Event:
        return Assigned(self.next()[0], self.one(self.waiting()), 1, "its turn")

    def repeat(self) -> Event:
        return Assigned(self.next()[0], self.one(self.scored()), self.one([2, 3]), "once more")


@st.composite
def histories(
    draw: st.DrawFn, max_events: int = 40, max_lineages: int = 4, policy: str = "promise"
) -> list[Entry]:
    """A run from its first entry to any point of it: at least started, founded and with a baseline."""
    choices = Choices(draw)
    choices.record(started(policy=policy))
    for n in range(1, draw(st.integers(1, max_lineages)) + 1):
        choices.record(Founded(f"l{n}", "brief", "scripted", BASE, "asked for"))
    choices.record(Proposed(candidate(1, "l1", (HEAD,), "baseline")))
    for _ in range(draw(st.integers(0, max_events))):
        choices.record(choices.one(choices.possible())())
    return choices.entries
