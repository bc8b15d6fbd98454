"""One run under way: ask idle minds, decide, record, act, wait.

Effects happen here and nowhere else in this package's pure half: `Search` holds the journal, the branches
and the machines, and changes the population only by recording an event.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from types import FrameType
from typing import Protocol, TypeAlias, assert_never

from population import notebook, runs
from population.backend import Answered, Backend, Gone, Message, Trained
from population.branches import Branches
from population.journal import Journal
from population.lineage import Mind, Reply, draft_of
from population.marks import message
from population.minds import mind
from population.policy import Facts, Rules, decide, parent, wanting
from population.proposers import NoIdea
from population.records import (
    Assigned,
    Candidate,
    Declined,
    Ended,
    Event,
    Finished,
    Founded,
    Lost,
    Proposed,
    Resumed,
    Started,
)
from population.state import Population, apply, replay
from trainer.errors import BadInput
from trainer.outcome import Progress
from trainer.task import genome_path
from trainer.trial import Order, clear_scratch

POLL_S = 0.25  # how often the live view moves
EXPORT_EVERY_S = 5.0
PATIENCE_S = 1.0  # how long the GPU waits for the most promising lineage's idea


class Watcher(Protocol):
    """Whoever is shown the run (see results.terminal)."""

    def tell(self, event: Event, population: Population) -> None: ...
    def say(self, line: str) -> None: ...
    def show(
        self, population: Population, progress: Progress | None, thinking: Mapping[str, float]
    ) -> None: ...


class Search:
    """One run under way. Nothing changes the population but `record`, and nothing moves a branch but it."""

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
        self._export = export
        self.rules = Rules(settings.policy, settings.seed, settings.trials, settings.hours, patience_s)
        self.population = replay(journal.entries)
        self.thinking: dict[str, float] = {}  # lineage -> when it was asked, monotonic seconds
        self.stopping = False
        self._begun = time.monotonic()
        self._exported = 0.0

    def run(self) -> None:
        """Go on until a decision ends the run."""
        for event in opening(self.population, self.settings, self.branches.text):
            self.record(event)
        while self.population.ended is None:
            for lineage in wanting(self.population):
                if lineage not in self.thinking:
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
        entry = self.journal.append(event, time.time())
        apply(self.population, entry)
        self.branches.follow(event, self.population)
        self.view.tell(event, self.population)
        if time.monotonic() - self._exported > EXPORT_EVERY_S:
            self.export()

    def ask(self, name: str) -> None:
        """Ask a lineage's mind for a candidate; the answer comes as a message."""
        lineage = self.population.lineages[name]
        start = self.start(name)
        brief = next(b.text for b in self.settings.briefs if b.name == lineage.brief)
        seed = Random(f"{self.settings.seed} {name} {self.population.entries}").getrandbits(32)
        self.thinking[name] = time.monotonic()
        self.backend.think(
            notebook.request(self.population, lineage, start, self.branches.text(start), brief, seed)
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
        """Take in what a machine has to say."""
        match message:
            case None:
                pass
            case Answered(lineage, reply):
                del self.thinking[lineage]
                self.record(self.proposed(lineage, reply))
            case Trained(trial, done):
                self.record(Finished(trial, done.outcome, done.usage))
            case Gone(None, reason):
                assert self.population.running is not None
                self.record(Lost(self.population.running, reason))
            case Gone(lineage, reason):
                assert lineage is not None
                del self.thinking[lineage]
                self.record(Declined(lineage, self.start(lineage), reason))
            case _:
                assert_never(message)
        self.view.show(self.population, self.backend.progress(), self.thinking)

    def proposed(self, name: str, reply: Reply) -> Proposed | Declined:
        """What a mind's answer comes to; a draft is put into git and numbered."""
        start, proposer = self.start(name), self.population.lineages[name].proposer
        if isinstance(reply, NoIdea):
            return Declined(name, start, reply.reason)
        words = message(reply.idea, name, proposer)
        return Proposed(
            Candidate(
                number=len(self.population.candidates) + 1,
                lineage=name,
                operator="mutate",
                idea=reply.idea,
                commit=self.branches.commit(reply.genome, (start,), words, time.time()),
                parents=(start,),
                genome_hash=reply.genome_hash,
                complexity=reply.complexity,
                knobs=reply.knobs,
                proposer=proposer,
                thought=reply.thought,
            )
        )

    def start(self, name: str) -> str:
        """The commit that a lineage's next candidate starts from."""
        return parent(self.population, self.rules, self.population.lineages[name])

    def facts(self) -> Facts:
        now = time.monotonic()
        thinking = {name: now - asked for name, asked in self.thinking.items()}
        return Facts(now - self._begun, thinking, self.stopping)

    def export(self) -> None:
        """Write what people open: tables, the best genome and its diff."""
        self._export(self.population)
        self._exported = time.monotonic()

    def give_up(self) -> None:
        """End at once: what is under way is lost, and is recorded as such."""
        self.backend.close()
        if self.population.running is not None:
            self.record(Lost(self.population.running, "stopped by hand"))
        if self.population.ended is None:
            self.record(Ended("stopped by hand"))

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """First Ctrl-C: end after the trial under way. Second: at once."""
        if self.stopping:
            raise KeyboardInterrupt
        self.stopping = True
        self.view.say("ending after the trial under way; Ctrl-C again to end at once (that trial is lost)")


Export: TypeAlias = Callable[[Path, Population, Callable[[str], str]], None]  # see results.exports


@contextmanager
def opened(
    folder: runs.RunFolder,
    settings: runs.Settings,
    machines: Callable[[Mapping[str, Mind]], Backend],
    view: Watcher,
    export: Export,
    patience_s: float = PATIENCE_S,
) -> Iterator[Search]:
    """A run's search with all it holds open: the journal's lock, git in step with it, machines that run.

    New and resumed runs are the same here. Raises BadInput if another scheduler has the run.
    """
    with ExitStack() as held:
        journal = held.enter_context(Journal.open(folder.journal))
        task = Path(settings.task.folder)
        branches = Branches.open(task, settings.run, folder.path, genome_path(task))
        population = replay(journal.entries)
        if population.started is not None:
            branches.repair(journal.entries, population)
        clear_scratch(folder.scratch)
        backend = machines({name: mind(proposer) for name, _, proposer in runs.deal(settings)})
        held.callback(backend.close)

        def write(population: Population) -> None:
            export(folder.path, population, branches.text)

        yield Search(folder, settings, journal, branches, backend, view, write, patience_s)


def opening(population: Population, settings: runs.Settings, genome_at: Callable[[str], str]) -> list[Event]:
    """What has to be recorded before the loop: all of it in a new run, what is missing in a resumed one."""
    events: list[Event] = []
    if population.started is None:
        events.append(_started(settings))
    else:
        events.append(Resumed())
        if population.running is not None:
            events.append(Lost(population.running, "the scheduler was stopped while it ran"))
    for name, brief, proposer in runs.deal(settings):
        if name not in population.lineages:
            events.append(Founded(name, brief.name, proposer, settings.baseline, "the run begins"))
    if population.baseline is None:
        events.append(Proposed(_baseline(settings, genome_at(settings.baseline))))
    return events


def _started(settings: runs.Settings) -> Started:
    task = settings.task
    return Started(
        run=settings.run,
        seed=settings.seed,
        policy=settings.policy,
        task=task.folder,
        metric=task.metric,
        budget_s=task.budget_s,
        exam_hash=task.exam_hash,
        profile=task.profile,
        device=task.device,
        head=settings.head,
    )


def _baseline(settings: runs.Settings, text: str) -> Candidate:
    """The genome as it was found, sized to this machine: candidate 1, of the first lineage."""
    draft = draft_of(text, "baseline")
    if isinstance(draft, NoIdea):
        raise BadInput(f"train.py {draft.reason}")
    return Candidate(
        number=1,
        lineage=runs.lineage_name(0),
        operator="baseline",
        idea="baseline",
        commit=settings.baseline,
        parents=(settings.head,),
        genome_hash=draft.genome_hash,
        complexity=draft.complexity,
        knobs=draft.knobs,
        proposer="none",
    )
