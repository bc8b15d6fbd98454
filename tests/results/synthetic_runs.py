"""Journals made up for the tests of how a run is read: what happened is said, the rest is filled in."""

from random import Random

from population.records import (
    Adopted,
    Assigned,
    Candidate,
    Clashed,
    Combined,
    Completed,
    Crashed,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Knob,
    Lost,
    Operator,
    Outcome,
    Proposed,
    Pruned,
    Started,
    Stopped,
    Thought,
    TimedOut,
    Usage,
    Verdict,
)
from population.state import Population, apply

BASELINE = "0" * 40
HEAD = "f" * 40
THOUGHT = Thought(100, 10, 0.01, 2.0)


class Story:
    """Writes a journal an event at a time, and folds it."""

    def __init__(self, metric: str = "val_bpb", run: str = "dawn", policy: str = "promise") -> None:
        self.population = Population()
        self.entries: list[Entry] = []
        self.now = 1_750_000_000.0
        self.happens(Started(run, 0, policy, "/task", metric, 10.0, "e" * 16, "cpu", "cpu", HEAD))

    def happens(self, event: Event) -> Event:
        self.now += 1.0
        self.entries.append(Entry(len(self.entries) + 1, self.now, event))
        apply(self.population, self.entries[-1])
        return event

    def founds(
        self, *names: str, brief: str = "default", tip: str = BASELINE, proposer: str = "mutate"
    ) -> "Story":
        for name in names:
            self.happens(Founded(name, brief, proposer, tip, "a line of its own"))
        return self

    def proposes(
        self,
        lineage: str,
        idea: str,
        operator: Operator = "mutate",
        parents: tuple[str, ...] = (),
        combines: tuple[int, ...] = (),
        proposer: str = "mutate",
        expected: float | None = None,
        about: int | None = None,
        thought: Thought = THOUGHT,
        knobs: dict[str, Knob] | None = None,
        genome_hash: str = "",
    ) -> Candidate:
        number, tip = len(self.population.candidates) + 1, self.population.lineages[lineage].tip
        first = operator == "baseline"
        candidate = Candidate(
            number=number,
            lineage=lineage,
            operator=operator,
            idea=idea,
            commit=BASELINE if first else f"{number:040x}",
            parents=(HEAD,) if first else parents or (tip,),
            base=HEAD if first else tip,
            genome_hash=genome_hash or f"hash{number}",
            complexity=200,
            knobs={"DEPTH": 4, "MATRIX_LR": 0.04} if knobs is None else knobs,
            proposer=proposer,
            thought=Thought() if combines else thought,
            combines=combines,
            expected=expected,
            about=about,
        )
        self.happens(Proposed(candidate))
        return candidate

    def runs(self, candidate: Candidate) -> int:
        trial = len(self.population.trials) + 1
        self.happens(Assigned(trial, candidate.number, 7 * trial, "its turn"))
        return trial

    def tries(
        self,
        lineage: str,
        idea: str,
        result: float | Outcome,
        keep: bool = False,
        operator: Operator = "mutate",
        reason: str = "",
        parents: tuple[str, ...] = (),
    ) -> Judged:
        """One trial from proposal to verdict; `result` is a score or what happened in its place."""
        verdict: Verdict = "advance" if keep else "discard"
        return self.measures(self.proposes(lineage, idea, operator, parents), result, verdict, reason)

    def doubts(self, lineage: str, idea: str, score: float) -> Candidate:
        """A trial that may be a gain, and is not proven."""
        candidate = self.proposes(lineage, idea)
        self.measures(candidate, score, "confirm", "inside the noise")
        return candidate

    def measures(
        self, candidate: Candidate, result: float | Outcome, verdict: Verdict, reason: str = ""
    ) -> Judged:
        """A trial of a candidate, its first or another one."""
        trial = self.runs(candidate)
        started, self.now = self.now, self.now + 12.0
        outcome = Completed(result) if isinstance(result, float) else result
        self.happens(Finished(trial, outcome, Usage(started, 1.0, 10.0, 0.5, 12.0, 812.0, 120, 160_000)))
        judged = Judged(trial, verdict, reason)
        self.happens(judged)
        return judged

    def combines(self, lineage: str, *parts: Candidate, operator: Operator = "merge") -> Candidate:
        """The changes of some candidates together, on top of the lineage's tip."""
        tip = self.population.lineages[lineage].tip
        numbers = tuple(part.number for part in parts)
        self.happens(Combined(lineage, tip, numbers, operator, "since none is proven alone"))
        idea = "together: " + "; ".join(part.idea for part in parts)
        return self.proposes(lineage, idea, operator, (tip, parts[-1].commit), numbers)

    def clashes(self, lineage: str, *parts: Candidate) -> Clashed:
        tip = self.population.lineages[lineage].tip
        numbers = tuple(part.number for part in parts)
        self.happens(Combined(lineage, tip, numbers, "merge", "since none is proven alone"))
        clashed = Clashed(lineage, numbers, "they change the same things")
        self.happens(clashed)
        return clashed

    def adopts(self, commit: str, *lineages: str, reason: str = "proven elsewhere") -> "Story":
        for lineage in lineages:
            self.happens(Adopted(lineage, commit, reason))
        return self

    def begins(self, *names: str, score: float = 2.7344) -> "Story":
        """Lineages, and the baseline tried by the first of them."""
        self.founds(*names)
        self.tries(names[0], "the baseline", score, keep=True, operator="baseline", reason="the first score")
        return self


def lost(story: Story, lineage: str, idea: str) -> Candidate:
    candidate = story.proposes(lineage, idea)
    story.happens(Lost(story.runs(candidate), "the scheduler was killed"))
    return candidate


KNOBS = (
    "MATRIX_LR",
    "EMBEDDING_LR",
    "DEPTH",
    "WARMDOWN",
    "WEIGHT_DECAY",
    "BATCH_TOKENS",
    "ROPE_BASE",
    "HEADS",
)


def searched(
    trials: int, names: tuple[str, ...] = ("cedar", "birch", "juniper", "moss"), seed: int = 0
) -> Story:
    """A run of `trials` trials as they go: a few wins that spread, more losses, some failures; now and then
    something measured again, near misses put together, a step aside, a lineage that gives way to another."""
    dice, story = Random(seed), Story()
    story.begins(*names)
    near: list[Candidate] = []
    while len(story.population.trials) < trials:
        lineage = dice.choice([line.name for line in story.population.living])
        tip = story.population.score(story.population.lineages[lineage].tip)
        assert tip is not None
        roll = dice.random()
        if roll < 0.04:
            number = dice.choice([*story.population.bases.values(), *(part.number for part in near)])
            again = story.population.candidates[number]
            score = (story.population.score(again.commit) or tip) + dice.gauss(0, 0.005)
            story.measures(again, score, "confirm", "measured again")
        elif roll < 0.08 and len(near) > 1:
            _together(story, dice, lineage, tip, dice.sample(near, dice.randint(1, min(3, len(near)))))
        elif roll < 0.10 and near:
            story.adopts(near.pop().commit, lineage, reason="to look around from a near miss")
        elif roll < 0.11 and len(story.population.living) > 1:
            story.happens(Pruned(lineage, "gains less than a quarter of what others do"))
            best = story.population.lineages[dice.choice([line.name for line in story.population.living])].tip
            story.founds(f"line{len(story.population.lineages)}", brief="bold", tip=best)
        elif roll < 0.16:
            outcomes = (
                Crashed("CUDA out of memory", "tail"),
                TimedOut("training", 25.0),
                Stopped(0.4, "hopeless"),
            )
            story.tries(lineage, _idea(dice), dice.choice(outcomes))
        elif roll < 0.40:
            _wins(story, story.proposes(lineage, _idea(dice)), tip - dice.expovariate(1 / 0.01))
        elif roll < 0.50:
            near.append(story.doubts(lineage, _idea(dice), tip - dice.uniform(-0.002, 0.004)))
        else:
            story.tries(
                lineage, _idea(dice), tip + dice.expovariate(1 / 0.03), reason="no better than its tip"
            )
    return story


def _idea(dice: Random) -> str:
    knob, old = dice.choice(KNOBS), dice.uniform(0.01, 0.9)
    return f"{dice.choice(('raise', 'lower'))} {knob} {old:.3g} -> {old * dice.uniform(0.4, 2):.3g}"


def _wins(story: Story, candidate: Candidate, score: float) -> None:
    """An advance, and all others that move to it."""
    story.measures(candidate, score, "advance", "lower by more than the noise")
    others = (line.name for line in story.population.living if line.tip != candidate.commit)
    story.adopts(candidate.commit, *others)


def _together(story: Story, dice: Random, lineage: str, tip: float, parts: list[Candidate]) -> None:
    made = "merge", frozenset(part.number for part in parts)
    if made in story.population.combined or dice.random() < 0.2:
        story.clashes(lineage, *parts)
    elif dice.random() < 0.5:
        _wins(story, story.combines(lineage, *parts), tip - dice.uniform(0.005, 0.02))
    else:
        story.measures(story.combines(lineage, *parts), tip + 0.01, "discard", "no better than its tip")


def ended(story: Story) -> Story:
    story.happens(Ended("16 trials are done"))
    return story
