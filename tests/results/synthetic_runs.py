"""Journals made up for the tests of how a run is read: what happened is said, the rest is filled in."""

from random import Random

from population.records import (
    Assigned,
    Candidate,
    Completed,
    Crashed,
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
    Started,
    Stopped,
    Thought,
    TimedOut,
    Usage,
)
from population.state import Population, apply

BASELINE = "0" * 40
HEAD = "f" * 40


class Story:
    """Writes a journal an event at a time, and folds it."""

    def __init__(self, metric: str = "val_bpb", run: str = "dawn") -> None:
        self.population = Population()
        self.entries: list[Entry] = []
        self.now = 1_750_000_000.0
        self.happens(Started(run, 0, "promise", "/task", metric, 10.0, "e" * 16, "cpu", "cpu", HEAD))

    def happens(self, event: Event) -> Event:
        self.now += 1.0
        self.entries.append(Entry(len(self.entries) + 1, self.now, event))
        apply(self.population, self.entries[-1])
        return event

    def founds(self, *names: str, brief: str = "default", tip: str = BASELINE) -> "Story":
        for name in names:
            self.happens(Founded(name, brief, "mutate", tip, "a line of its own"))
        return self

    def proposes(self, lineage: str, idea: str, operator: Operator = "mutate", parent: str = "") -> Candidate:
        number = len(self.population.candidates) + 1
        commit = BASELINE if operator == "baseline" else f"{number:040x}"
        parents = (HEAD if operator == "baseline" else parent or self.population.lineages[lineage].tip,)
        thought = Thought(100, 10, 0.01, 2.0)
        candidate = Candidate(
            number,
            lineage,
            operator,
            idea,
            commit,
            parents,
            f"hash{number}",
            200,
            {"DEPTH": 4},
            "mutate",
            thought,
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
        parent: str = "",
        reason: str = "",
    ) -> Judged:
        """One trial from proposal to verdict; `result` is a score or what happened in its place."""
        trial = self.runs(self.proposes(lineage, idea, operator, parent))
        started, self.now = self.now, self.now + 12.0
        outcome = Completed(result) if isinstance(result, float) else result
        self.happens(Finished(trial, outcome, Usage(started, 1.0, 10.0, 0.5, 12.0, 812.0, 120, 160_000)))
        judged = Judged(trial, "advance" if keep else "discard", reason)
        self.happens(judged)
        return judged

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
    """A run of `trials` trials as they go: a few wins, more losses, some failures."""
    dice, story = Random(seed), Story()
    story.begins(*names)
    while len(story.population.trials) < trials:
        lineage = dice.choice(names)
        knob, old = dice.choice(KNOBS), dice.uniform(0.01, 0.9)
        idea = f"{dice.choice(('raise', 'lower'))} {knob} {old:.3g} -> {old * dice.uniform(0.4, 2):.3g}"
        tip = story.population.score(story.population.lineages[lineage].tip)
        assert tip is not None
        roll = dice.random()
        if roll < 0.08:
            story.tries(
                lineage, idea, Crashed("CUDA out of memory. Tried to allocate 2.00 GiB", "Traceback ...")
            )
        elif roll < 0.11:
            story.tries(lineage, idea, TimedOut("training", 25.0))
        elif roll < 0.16:
            story.tries(lineage, idea, Stopped(0.4, "loss 0.31 above its parent's"))
        elif roll < 0.45:
            score = tip - dice.expovariate(1 / 0.01)
            story.tries(lineage, idea, score, keep=True, reason="lower by more than the noise")
        else:
            story.tries(lineage, idea, tip + dice.expovariate(1 / 0.03), reason="no better than its tip")
    return story


def ended(story: Story) -> Story:
    story.happens(Ended("16 trials are done"))
    return story
