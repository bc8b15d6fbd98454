"""Stories of a run, told event by event, in which a policy decides where nothing else is said.

Nobody trains and nobody thinks: a story says what a trial scores, and every candidate is a new genome.
"""

from population.deciding.asking import wanting
from population.deciding.assigning import parent
from population.policy import Decision, Facts, Rules, decide
from population.records import (
    Adopted,
    Assigned,
    Combined,
    Completed,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Operator,
    Outcome,
    Proposed,
    Usage,
)
from population.state import Population, apply
from tests.population.histories import candidate, started

ROOT = candidate(1, "l1", ("f" * 40,), "baseline")
SIGMA = 0.006  # what is known of the noise of a score near 1, before anything is measured again


class Story:
    """A population built event by event, by its own decisions where nothing else is said."""

    def __init__(self, lineages: int = 2, rules: Rules | None = None) -> None:
        self.population, self.rules = Population(), rules or Rules()
        self._score, self._apart = 1.0, SIGMA
        self.tell(started(policy=self.rules.policy))
        for n in range(1, lineages + 1):
            self.tell(Founded(f"l{n}", "brief", "scripted", ROOT.commit, "asked for"))
        self.tell(Proposed(ROOT))

    def tell(self, event: Event) -> None:
        apply(self.population, Entry(self.population.entries + 1, 1e9, event))

    def decide(self, **facts: object) -> Decision | None:
        """The next decision, once the run is opened."""
        self.open()
        decision = decide(self.population, self.rules, Facts(**facts))  # type: ignore[arg-type]
        if decision is not None:
            self.tell(decision)
        return decision

    def open(self) -> None:
        """Measure the baseline again as often as a run does that at first.

        Its scores lie so that their mean is its first score, and their deviation SIGMA.
        """
        while True:
            turn = decide(self.population, self.rules, Facts())
            if not isinstance(turn, Assigned) or not self._opens(turn):
                return
            self.tell(turn)
            self.tell(Finished(turn.trial, Completed(self._score + self._apart), Usage(1e9)))
            self._apart = -self._apart
            judged = decide(self.population, self.rules, Facts())
            assert isinstance(judged, Judged)
            self.tell(judged)

    def _opens(self, assigned: Assigned) -> bool:
        """Whether a trial measures the baseline again in a run that has just begun."""
        repeats = assigned.candidate == 1 and assigned.trial > 1 and self.population.session == 0
        if repeats and len(self.population.candidates) == 1:
            self._score, self._apart = self.population.scores[ROOT.commit][0], SIGMA
        return repeats and "as the session begins" in assigned.reason

    def settled(self) -> Decision | None:
        """The next decision that is about a trial, after all that moves without one."""
        decision = self.decide()
        while isinstance(decision, Adopted | Combined):
            if isinstance(decision, Combined):
                self.propose(decision.lineage, decision.onto, decision.operator, decision.candidates)
            decision = self.decide()
        return decision

    def propose(
        self,
        lineage: str,
        base: str | None = None,
        operator: Operator = "mutate",
        combines: tuple[int, ...] = (),
        complexity: int = 10,
    ) -> int:
        base = base or parent(self.population, self.population.lineages[lineage])
        number = len(self.population.candidates) + 1
        made = candidate(number, lineage, (base,), operator, combines=combines, complexity=complexity)
        self.tell(Proposed(made))
        return number

    def trial(self, outcome: Outcome | float) -> Judged:
        assigned = self.settled()
        assert isinstance(assigned, Assigned)
        result = Completed(outcome) if isinstance(outcome, float) else outcome
        self.tell(Finished(assigned.trial, result, Usage(1e9)))
        judged = self.decide()
        assert isinstance(judged, Judged)
        return judged

    def tip(self, lineage: str) -> str:
        return self.population.lineages[lineage].tip

    def wanting(self) -> list[str]:
        """Who is asked for an idea now."""
        return wanting(self.population, self.rules)

    def thinks(self) -> None:
        """Everyone who is asked for a candidate has one."""
        for name in self.wanting():
            self.propose(name)

    def finish(self, trial: int, sigmas: float) -> Judged:
        """A trial under way scores so many sigmas above its candidate's base."""
        base = self.population.score(self.population.trials[trial].candidate.base)
        assert base is not None
        self.tell(Finished(trial, Completed(base + sigmas * SIGMA), Usage(1e9)))
        judged = self.decide()
        assert isinstance(judged, Judged)
        return judged

    def commit(self, number: int) -> str:
        return self.population.candidates[number].commit
