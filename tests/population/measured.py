"""A run told in sigmas, for tests of what its scores say."""

from population.evidence import Evidence, weigh
from population.records import (
    Assigned,
    Combined,
    Completed,
    Crashed,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Operator,
    Proposed,
    Usage,
    Verdict,
)
from population.state import Population, apply
from tests.population.histories import BASE, HEAD, candidate, started

SIGMA = 0.006  # the prior of the profile `cpu`, for scores near 1


class Run:
    """A run of one lineage, told in sigmas: scores are so many below (negative) or above the baseline's 1."""

    def __init__(self, policy: str = "promise", profile: str = "cpu") -> None:
        self.population = Population()
        self.tell(started(policy=policy, profile=profile))
        self.tell(Founded("l1", "brief", "scripted", BASE, "asked for"))
        self.tell(Proposed(candidate(1, "l1", (HEAD,), "baseline")))
        self.measured(1, 0.0, "advance")

    def tell(self, event: Event) -> None:
        apply(self.population, Entry(self.population.entries + 1, 1e9, event))

    def measured(self, number: int, sigmas: float | None, verdict: Verdict = "confirm") -> None:
        """A trial of a candidate; without a score if `sigmas` is None."""
        trial = len(self.population.trials) + 1
        outcome = Crashed("ValueError: no") if sigmas is None else Completed(1.0 + sigmas * SIGMA)
        self.tell(Assigned(trial, number, trial, ""))
        self.tell(Finished(trial, outcome, Usage(1e9)))
        self.tell(Judged(trial, verdict if sigmas is not None else "discard", ""))

    def tried(
        self,
        sigmas: float | None,
        verdict: Verdict = "discard",
        base: int = 1,
        complexity: int = 10,
        operator: Operator = "mutate",
        combines: tuple[int, ...] = (),
    ) -> int:
        """A new candidate on top of another one, measured once."""
        number, onto = len(self.population.candidates) + 1, self.commit(base)
        if combines:
            self.tell(Combined("l1", onto, combines, operator, "a crossing"))
        made = candidate(number, "l1", (onto,), operator, combines=combines, complexity=complexity)
        self.tell(Proposed(made))
        self.measured(number, sigmas, verdict)
        return number

    def commit(self, number: int) -> str:
        return self.population.candidates[number].commit

    @property
    def evidence(self) -> Evidence:
        return weigh(self.population)

    def sigmas(self, number: int) -> float:
        """The estimate of a base, in sigmas above the baseline's 1."""
        return (self.evidence.estimates[self.commit(number)].mean - 1) / SIGMA

    def sd(self, number: int) -> float:
        return self.evidence.estimates[self.commit(number)].sd

    def p_better(self, number: int) -> float:
        return self.evidence.effects[number].p_better
