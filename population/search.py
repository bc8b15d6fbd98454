"""The loop of a run: ask idle minds, decide, record, act, wait.

`record` is the only way to change the population, and it writes to the journal first. What is decided is in
policy.py, what a decision to combine comes to in making/combining.py, how a run is begun or taken up again in
beginning/opening.py, what machines do in backend.py.
"""

import time
from collections.abc import Callable, Mapping
from itertools import compress
from random import Random
from types import FrameType
from typing import Protocol, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from population import notebook
from population.backend import Answered, Backend, Cut, Gone, Message, Trained
from population.begun import Ahead
from population.deciding.asking import Errand, errand, stands_in, wanting
from population.deciding.assigning import begun, parent
from population.deciding.horizon import startup_s
from population.deciding.rules import Facts
from population.folding.checking import check
from population.foresight import Foreseen, foreseen
from population.journal import Journal, folded
from population.keeping import runs
from population.knobs.schedules import same_schedules
from population.lineage import Mind
from population.making.candidates import Origin, committed
from population.making.combining import combined
from population.making.drafting import Answer
from population.names import STAND_IN
from population.policy import decide
from population.proposals import NoIdea
from population.racing import limits, races
from population.records import (
    Assigned,
    Candidate,
    Crashed,
    Declined,
    Ended,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Proposed,
    Usage,
)
from population.repository.genomes import Genomes
from population.state import Population, Trial, apply
from population.submitting.inbox import Inbox
from population.submitting.receiving import Receipt, Submission, submitted
from trainer.curve import Curve
from trainer.outcome import Progress
from trainer.trial import Order, Successor

POLL_S = 0.25  # how often the live view moves, and how soon Ctrl-C is heard
_LEAST_S = 0.05
EXPORT_EVERY_S, EXPORT_RARELY = 5.0, 10.0  # or so many times as long as it takes, in a long run
LOSSES = 6  # trials lost in a row, on each GPU, before the machine is given up; or of one candidate


MindOf: TypeAlias = Callable[[str, str, str], Mind]  # of a lineage, by its name, brief and proposer


class MachineFailed(Exception):
    """No trial can be brought to its end on this machine; the run can be resumed when that is mended."""


class Watcher(Protocol):
    """Whoever is shown the run (see results.terminal)."""

    def tell(self, event: Event, population: Population) -> None: ...
    def say(self, line: str) -> None: ...
    def show(
        self, population: Population, progress: Mapping[int, Progress], thinking: Mapping[str, float]
    ) -> None: ...


class Clock(Protocol):
    """What the module `time` is; a simulation brings its own."""

    def time(self) -> float: ...
    def monotonic(self) -> float: ...


class Asked(Struct, frozen=True):
    """A lineage was asked for a candidate that starts from `parent`, at `at` (monotonic seconds)."""

    at: float
    parent: str
    errand: Errand
    stand_in: bool  # the optimiser was asked in its mind's place


class Search:
    """One run under way. Composed by opening.opened."""

    def __init__(
        self,
        settings: runs.Settings,
        folder: runs.RunFolder,
        journal: Journal,
        genomes: Genomes,
        backend: Backend,
        view: Watcher,
        export: Callable[[Population], None],
        patience_s: float,
        mind_of: MindOf,
        clock: Clock = time,
    ) -> None:
        self.settings, self.folder, self.journal = settings, folder, journal
        self.genomes, self.backend, self.view, self.clock = genomes, backend, view, clock
        self.rules = runs.rules(settings, patience_s, backend.overlaps)
        self.population = folded(journal.path, journal.entries)
        self.inbox = Inbox(folder.path)
        self.asked: dict[str, Asked] = {}  # by lineage
        self.interrupts = 0
        self._warned, self._slots = False, settings.gpus  # what was said last
        self._losses: list[int] = []  # candidates of the trials that were lost
        self._in_a_row = 0  # of these, since a trial last came to its end
        self._briefs = {brief.name: brief.asked for brief in settings.briefs}
        self._mind_of = mind_of
        self._export = export
        self._export_at = 0.0
        self._judged = False  # since things were settled
        self._poll_s = min(POLL_S, max(patience_s, _LEAST_S))
        self._ahead = Ahead()
        self._foresaw = 0  # entries of the journal when it was last looked ahead
        self._begun = clock.monotonic()
        for lineage in self.population.living:
            backend.enrol(lineage.name, mind_of(lineage.name, lineage.brief, lineage.proposer))

    def run(self) -> None:
        """Go on until a decision ends the run, or the user does."""
        while self.population.ended is None:
            if self.interrupts > 1:
                self.give_up()
                return
            if self.population.combining is not None:
                asked, now = self.population.combining, self.clock.time()
                self.record(combined(self.population, asked, self.genomes, now))
            for token, sent in self.inbox.waiting():
                self.receive(token, sent)
            for lineage in wanting(self.population, self.rules):
                if lineage not in self.asked:
                    self.ask(lineage)
            decision = decide(self.population, self.rules, self.facts())
            if decision is None:
                self.settle()
                self.look_ahead()
                self.take(self.backend.wait(self._poll_s))
                continue
            self.record(decision)
            if isinstance(decision, Assigned):
                self.launch(decision)
        self.settle()

    def record(self, event: Event) -> None:
        """Write an event down, then act on it: fold it, move the branches, tell whoever watches."""
        check(self.population, event)
        apply(self.population, self.journal.append(event, self.clock.time()))
        if isinstance(event, Founded):
            self.backend.enrol(event.lineage, self._mind_of(event.lineage, event.brief, event.proposer))
        self.genomes.follow(event, self.population)
        self._judged |= isinstance(event, Judged)
        self.view.tell(event, self.population)

    def settle(self) -> None:
        """Have git and the files that people open say what the journal does.

        Before a training begins that would feel it on its processor, else when the next one has begun.
        """
        self.genomes.settle()
        if self._judged and self.clock.monotonic() > self._export_at:
            self.export()
        self._judged = False

    def ask(self, name: str) -> None:
        """Ask a lineage's mind for a candidate; the answer comes as a message."""
        lineage = self.population.lineages[name]
        start = parent(self.population, lineage)
        seed = Random(f"{self.settings.seed} {name} {self.population.entries}").getrandbits(32)
        stand_in = stands_in(self.population, self.rules, lineage)
        task = Errand() if stand_in else errand(self.population, lineage, seed)
        self.asked[name] = Asked(self.clock.monotonic(), start, task, stand_in)
        brief = self._briefs[lineage.brief]
        request = notebook.request(self.population, lineage, start, brief, seed, task, self.genomes.text)
        self.backend.think(replace(request, stand_in=stand_in))

    def receive(self, token: str, sent: Submission | None) -> None:
        """Take in what somebody submitted, and give the receipt."""
        found = submitted(self.population, sent)
        if not isinstance(found, Receipt):
            candidate = committed(self.population, *found, self.genomes, self.clock.time())
            self.record(Proposed(candidate))
            found = Receipt(candidate.number)
        self.inbox.answer(token, found)

    def launch(self, assigned: Assigned) -> None:
        """Give a candidate a GPU."""
        if not self.backend.overlaps:
            self.settle()
        candidate = self.population.candidates[assigned.candidate]
        genome = self.genomes.text(candidate.commit)
        limits = self.limits(self.population.trials[assigned.trial], genome)
        self.backend.train(replace(self.order(assigned, candidate, genome), limits=limits))
        self._ahead.take(begun(self.population, candidate, candidate.base), self.population.running)

    def look_ahead(self) -> None:
        """Have what may follow the trials under way started up, whenever more is known of which that is."""
        seen = self.population.entries
        if not self.backend.overlaps or seen == self._foresaw:
            return
        unsettled = [number for number in self.population.running if not self._is_settled(number)]
        if not unsettled:
            return
        self._foresaw = seen
        told = foreseen(self.population, self.rules, self.facts(), self.genomes)
        for after in told.keys() & {*unsettled}:
            can = self.backend.ahead(after, [self.successor(one) for one in told[after]])
            self._ahead.begin(after, [one.begun for one in compress(told[after], can)])

    def _is_settled(self, number: int) -> bool:
        """Whether something starts up to follow a trial, and it is too near its end for anything else."""
        until = self.population.trials[number].assigned_at + self.population.run.budget_s
        return self._ahead.has(number) and self.clock.time() > until - startup_s(self.population)

    def order(self, assigned: Assigned, candidate: Candidate, genome: str) -> Order:
        """What a machine is told of a trial, but for the limits of its loss."""
        return Order(
            trial=assigned.trial,
            genome=genome,
            seed=assigned.seed,
            task=self.settings.task,
            log=str(self.folder.log(assigned.trial)),
            scratch=str(self.folder.scratch),
            sandbox=self.settings.sandbox,
            own=candidate.operator == "baseline",
        )

    def successor(self, told: Foreseen) -> Successor:
        return Successor(self.order(told.assigned, told.candidate, told.genome), told.losses)

    def limits(self, trial: Trial, genome: str) -> Curve:
        """The losses that a trial must keep below, if it races."""
        if not self.settings.racing or not races(self.population, trial):
            return ()
        return limits(self.population, trial, same_schedules(self.genomes.text(trial.candidate.base), genome))

    def take(self, message: Message | None) -> None:
        """Take in what a machine has to say, if anything, and show how things stand."""
        match message:
            case None:
                pass
            case Answered(lineage, answer):
                self.record(self.proposed(lineage, self.asked.pop(lineage), answer))
            case Trained(trial, done):
                self._in_a_row = 0
                self.record(Finished(trial, done.outcome, done.usage))
            case Cut(trial, reason):
                self._ahead.lose(trial)
                self.record(self.lost(trial, reason))
            case Gone(lineage, reason):
                asked = self.asked.pop(lineage)
                self.record(Declined(lineage, asked.parent, reason, failed=True, stood_in=asked.stand_in))
            case _:
                assert_never(message)
        if self.interrupts and not self._warned:
            self._warned = True
            self.view.say("ending after what is under way; Ctrl-C again ends at once and loses it")
        if (slots := self.backend.slots()) != self._slots:
            self._slots = slots
            self.view.say(f"trials have {slots} of {self.settings.gpus} GPUs now")
        thinking = {name: asked.at for name, asked in self.asked.items()}
        self.view.show(self.population, self.backend.progress(), thinking)

    def proposed(self, name: str, asked: Asked, answer: Answer) -> Proposed | Declined:
        """What a mind's answer comes to; a draft is put into git and numbered."""
        lineage, start = self.population.lineages[name], asked.parent
        reason = None
        if isinstance(answer, NoIdea):
            reason = answer.reason
        elif answer.genome_hash in self.population.hashes:  # since the mind was asked
            reason = f"another lineage was first: {answer.idea}"
        elif lineage.pruned is not None:
            reason = "the lineage has ended"
        if isinstance(answer, NoIdea) or reason is not None:
            failed = isinstance(answer, NoIdea) and answer.failed
            about = asked.errand.about
            return Declined(name, start, reason or "", answer.thought, failed, asked.stand_in, about)
        proposer, task = STAND_IN if asked.stand_in else lineage.proposer, asked.errand
        origin = Origin(name, task.task, proposer, parents=(start,), base=start, about=task.about)
        return Proposed(committed(self.population, answer, origin, self.genomes, self.clock.time()))

    def lost(self, trial: int, reason: str) -> Lost | Finished:
        """The machine failed under a trial: bad luck once, its candidate's doing if it happens again.

        Unless other candidates were lost meanwhile, or since a trial last came to its end: the machine is as
        likely at fault then. Raises MachineFailed when it happens to whatever is tried.
        """
        candidate = self.population.trials[trial].candidate.number
        self._losses.append(candidate)
        self._in_a_row += 1
        if self._in_a_row > LOSSES * self.settings.gpus:
            raise MachineFailed(f"{self._in_a_row} trials in a row were lost: {reason}")
        times = self._losses.count(candidate)
        if times == 1 or (self._others_were_lost(candidate) and times < LOSSES):
            return Lost(trial, reason)
        why = f"lost with its trainer {times} times: {reason}"
        return Finished(trial, Crashed(why), Usage(self.clock.time()))

    def _others_were_lost(self, candidate: int) -> bool:
        """Whether others were since it first was, or since a trial last came to its end."""
        since = min(self._losses.index(candidate), len(self._losses) - self._in_a_row)
        return any(other != candidate for other in self._losses[since:])

    def facts(self) -> Facts:
        now = self.clock.monotonic()
        thinking = {name: now - asked.at for name, asked in self.asked.items()}
        stopping, slots = self.interrupts > 0, self.backend.slots()
        ahead = self._ahead.waiting(self.population.running)
        return Facts(now - self._begun, thinking, stopping, slots, ahead)

    def export(self) -> None:
        """Write what people open: tables, the best genome and its diff."""
        began = self.clock.monotonic()
        self._export(self.population)
        ended = self.clock.monotonic()
        self._export_at = ended + max(EXPORT_EVERY_S, EXPORT_RARELY * (ended - began))

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """First Ctrl-C: end after the trial under way. Second: at once. The loop looks at its next turn."""
        self.interrupts += 1

    def give_up(self) -> None:
        """End at once: the trial under way is lost, and is recorded as such."""
        for trial in [*self.population.running]:
            self.record(Lost(trial, "stopped by hand"))
        self.record(Ended("stopped by hand"))
        self.settle()
        self.backend.close()
