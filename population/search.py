"""The loop of a run: ask idle minds, decide, record, act, wait.

`record` is the only way to change the population, and it writes to the journal first. What is decided is in
policy.py, how a run is begun or taken up again in opening.py, what machines do in backend.py.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from types import FrameType
from typing import Protocol, assert_never

from msgspec import Struct

from population import notebook, runs
from population.backend import Answered, Backend, Gone, Message, Trained
from population.branches import Branches
from population.journal import Journal
from population.lineage import Answer
from population.marks import message
from population.policy import Facts, Rules, decide, parent, wanting
from population.proposers import NoIdea
from population.records import (
    Assigned,
    Candidate,
    Crashed,
    Declined,
    Ended,
    Event,
    Finished,
    Judged,
    Lost,
    Proposed,
    Usage,
)
from population.state import Population, apply, check, replay
from trainer.outcome import Progress
from trainer.trial import Order

POLL_S = 0.25  # how often the live view moves, and how soon Ctrl-C is heard
EXPORT_EVERY_S = 5.0
LOSSES = 3  # trials lost in a row before the machine is given up


class MachineFailed(Exception):
    """No trial can be brought to its end on this machine; the run can be resumed when that is mended."""


class Watcher(Protocol):
    """Whoever is shown the run (see results.terminal)."""

    def tell(self, event: Event, population: Population) -> None: ...
    def say(self, line: str) -> None: ...
    def show(
        self, population: Population, progress: Progress | None, thinking: Mapping[str, float]
    ) -> None: ...


class Asked(Struct, frozen=True):
    """A lineage was asked for a candidate that starts from `parent`, at `at` (monotonic seconds)."""

    at: float
    parent: str


class Search:
    """One run under way. Composed by opening.opened."""

    def __init__(
        self,
        folder: runs.RunFolder,
        settings: runs.Settings,
        journal: Journal,
        branches: Branches,
        backend: Backend,
        view: Watcher,
        export: Callable[[Population], None],
        patience_s: float,
    ) -> None:
        self.folder, self.settings, self.journal = folder, settings, journal
        self.branches, self.backend, self.view = branches, backend, view
        self.rules = Rules(settings.policy, settings.seed, settings.trials, settings.hours, patience_s)
        self.population = replay(journal.entries)
        self.asked: dict[str, Asked] = {}  # by lineage
        self.interrupts = 0
        self._warned = False
        self._losses: Counter[int] = Counter()  # by candidate, since a trial last came to its end
        self._briefs = {name: brief.text for name, brief, _ in runs.deal(settings)}
        self._export = export
        self._exported = 0.0
        self._begun = time.monotonic()

    def run(self) -> None:
        """Go on until a decision ends the run, or the user does."""
        while self.population.ended is None:
            if self.interrupts > 1:
                self.give_up()
                return
            for lineage in wanting(self.population):
                if lineage not in self.asked:
                    self.ask(lineage)
            decision = decide(self.population, self.rules, self.facts())
            if decision is None:
                self.take(self.backend.wait(POLL_S))
                continue
            self.record(decision)
            if isinstance(decision, Assigned):
                self.launch(decision)

    def record(self, event: Event) -> None:
        """Write an event down, then act on it: fold it, move the branches, tell whoever watches."""
        check(self.population, event)
        apply(self.population, self.journal.append(event, time.time()))
        self.branches.follow(event, self.population)
        self.view.tell(event, self.population)
        if isinstance(event, Judged) and time.monotonic() - self._exported > EXPORT_EVERY_S:
            self.export()

    def ask(self, name: str) -> None:
        """Ask a lineage's mind for a candidate; the answer comes as a message."""
        lineage = self.population.lineages[name]
        start = parent(self.population, self.rules, lineage)
        seed = Random(f"{self.settings.seed} {name} {self.population.entries}").getrandbits(32)
        self.asked[name] = Asked(time.monotonic(), start)
        self.backend.think(
            notebook.request(
                self.population, lineage, start, self.branches.text(start), self._briefs[name], seed
            )
        )

    def launch(self, assigned: Assigned) -> None:
        """Give a candidate the GPU."""
        candidate = self.population.candidates[assigned.candidate]
        self.backend.train(
            Order(
                trial=assigned.trial,
                genome=self.branches.text(candidate.commit),
                seed=assigned.seed,
                task=self.settings.task,
                log=str(self.folder.log(assigned.trial)),
                scratch=str(self.folder.scratch),
            )
        )

    def take(self, message: Message | None) -> None:
        """Take in what a machine has to say, if anything, and show how things stand."""
        match message:
            case None:
                pass
            case Answered(lineage, answer):
                self.record(self.proposed(lineage, self.asked.pop(lineage).parent, answer))
            case Trained(trial, done):
                self._losses.clear()
                self.record(Finished(trial, done.outcome, done.usage))
            case Gone(None, reason):
                self.record(self.lost(reason))
            case Gone(lineage, reason):
                assert lineage is not None
                self.record(Declined(lineage, self.asked.pop(lineage).parent, reason))
            case _:
                assert_never(message)
        if self.interrupts and not self._warned:
            self._warned = True
            self.view.say("ending after the trial under way; Ctrl-C again ends at once and loses it")
        thinking = {name: asked.at for name, asked in self.asked.items()}
        self.view.show(self.population, self.backend.progress(), thinking)

    def proposed(self, name: str, start: str, answer: Answer) -> Proposed | Declined:
        """What a mind's answer comes to; a draft is put into git and numbered."""
        if isinstance(answer, NoIdea):
            return Declined(name, start, answer.reason)
        if answer.genome_hash in self.population.hashes:  # since the mind was asked
            return Declined(name, start, f"another lineage was first: {answer.idea}")
        proposer = self.population.lineages[name].proposer
        words = message(answer.idea, name, proposer)
        return Proposed(
            Candidate(
                number=len(self.population.candidates) + 1,
                lineage=name,
                operator="mutate",
                idea=answer.idea,
                commit=self.branches.commit(answer.genome, (start,), words, time.time()),
                parents=(start,),
                genome_hash=answer.genome_hash,
                complexity=answer.complexity,
                knobs=answer.knobs,
                proposer=proposer,
                thought=answer.thought,
            )
        )

    def lost(self, reason: str) -> Lost | Finished:
        """The machine failed under a trial: bad luck once, its candidate's doing if it happens again.

        Raises MachineFailed when it happens to whatever is tried.
        """
        trial = self.population.running
        assert trial is not None, "only a trainer with a trial can be lost"
        candidate = self.population.trials[trial].candidate.number
        self._losses[candidate] += 1
        if len(self._losses) > LOSSES:
            raise MachineFailed(f"{self._losses.total()} trials in a row were lost: {reason}")
        if self._losses[candidate] == 1:
            return Lost(trial, reason)
        return Finished(trial, Crashed(f"lost with its trainer twice: {reason}"), Usage(time.time()))

    def facts(self) -> Facts:
        now = time.monotonic()
        thinking = {name: now - asked.at for name, asked in self.asked.items()}
        return Facts(now - self._begun, thinking, stopping=self.interrupts > 0)

    def export(self) -> None:
        """Write what people open: tables, the best genome and its diff."""
        self._export(self.population)
        self._exported = time.monotonic()

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """First Ctrl-C: end after the trial under way. Second: at once. The loop looks at its next turn."""
        self.interrupts += 1

    def give_up(self) -> None:
        """End at once: the trial under way is lost, and is recorded as such."""
        if self.population.running is not None:
            self.record(Lost(self.population.running, "stopped by hand"))
        self.record(Ended("stopped by hand"))
        self.backend.close()
