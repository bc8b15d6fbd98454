"""Plays one search on one world: the loop, journal and minds of a real run, with no git and no process.

Trainings are a world's, minds are its proposers, and time is counted, not waited for. What is measured is
what the search would report, and what of that is true. `carried_out` takes any backend, a real one too.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from heapq import heappop, heappush
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.world import Raced, World
from population import evidence
from population.backend import Answered, Backend, Message, Trained
from population.beginning.opening import PATIENCE_S, opening
from population.journal import Journal
from population.keeping import runs
from population.lineage import Mind
from population.policy import PolicyName
from population.proposals import Request
from population.reckoning.claim import claim
from population.records import Candidate, Completed, Event, Judged, Outcome, Stopped
from population.repository.genomes import Shelf
from population.search import Clock, MindOf, Search, Watcher
from population.state import Population, Trial
from trainer.curve import PARTS, Curve, behind, final
from trainer.outcome import Progress, Report, Usage
from trainer.task import Task
from trainer.trial import Order, Successor, alike, coming

_MEMORY: Final = Path("/dev/shm")  # a journal that nobody needs afterwards
_BEGUN: Final = 1e9  # unix seconds at which every search begins

# What a trial on an H100 takes besides its training; and what is between two trials of a pipeline.
IMPORT_S: Final = 10.0  # of start-up without the card
COMPILE_S: Final = 8.0  # and on it
EXAM_S: Final = 8.0
BETWEEN_S: Final = 1.0


class Arm(Struct, frozen=True):
    """One way to search. A single lineage is serial by nature: its next idea waits for the last verdict."""

    name: str
    policy: PolicyName
    lineages: int = 1
    trial_s: float = 300.0  # the GPU's time a trial, start-up and exam included
    failed_s: float = 30.0  # and one that fails
    think_s: float = 0.0  # a mind's time a proposal
    gpus: int = 1
    overlaps: bool = False  # trials start up while others train, on one GPU
    racing: bool = True  # in a world whose trainings can be watched

    @property
    def training_s(self) -> float:
        """What of a trial can be saved by stopping it."""
        return self.trial_s - IMPORT_S - COMPILE_S - EXAM_S


class Played(Struct, frozen=True):
    """What came of one search; scores in the world's units.

    What a plain optimiser does not say is None. The sequences have one item a trial; a true score is infinite
    as long as nothing has one.
    """

    trials: int
    score: float  # true score of the genome finally reported
    gain: float  # how far that is below the first genome's
    claimed: float | None = None  # the gain that is reported
    sd: float | None = None  # of the gain that is reported
    advanced: int | None = None  # changes that advanced a lineage
    false: int | None = None  # of these, how many were no gain
    truths: tuple[float, ...] = ()  # true score of what would be reported after it
    ended_s: tuple[float, ...] = ()  # when it was judged, since the run began
    gpu_s: float | None = None  # that the GPU had trials
    raced: int | None = None  # trials that had a parent's losses to keep up with
    stopped: int | None = None  # of these
    saved: float | None = None  # share of the training time of all trials that stopping them saved
    improvements: int | None = None  # raced trials whose true score is better than their base's
    killed: int | None = None  # improvements that were stopped


class Place(Struct, frozen=True):
    """A GPU that a trial has left: what started up there, and which of that was on the card in its exam."""

    begun: tuple[Order, ...] = ()
    beside: Order | None = None

    def has(self, order: Order) -> bool:
        return any(alike(order, other) for other in self.begun)


class Simulated:
    """A backend whose trials and thoughts take counted time; it is the clock as well."""

    def __init__(self, world: World, arm: Arm) -> None:
        self._world, self._arm = world, arm
        self.overlaps = arm.overlaps
        self._ahead: dict[int, Sequence[Successor]] = {}  # what starts up, by the trial that it may follow
        self._free: list[Place] = []
        self._minds: dict[str, Mind] = {}
        # With the time at which they are ready, soonest first, and of several the one that began first.
        self._thoughts: list[tuple[float, Request]] = []
        self._trials: list[tuple[float, int, Trained]] = []
        self._now = _BEGUN
        self.worked_s = 0.0  # that GPUs had trials, all of them together
        self.world_s = 0.0  # that minds and trainings really took, which is not the search's own time

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def enrol(self, lineage: str, mind: Mind) -> None:
        self._minds[lineage] = mind

    def think(self, request: Request) -> None:
        self._thoughts.append((self._now + self._arm.think_s, request))

    def slots(self) -> int:
        return self._arm.gpus

    def train(self, order: Order) -> None:
        with self._aside():
            outcome, curve = _raced(self._world, order)
        wall_s = self._wall_s(outcome) - self._hidden_s(order)
        report = Report(outcome, Usage(self._now, wall_s=wall_s, curve=curve))
        self.worked_s += wall_s
        heappush(self._trials, (self._now + wall_s, order.trial, Trained(order.trial, report)))

    def ahead(self, after: int, successors: Sequence[Successor]) -> list[bool]:
        self._ahead[after] = successors
        return [True for _ in successors]

    def wait(self, timeout_s: float) -> Message | None:
        """What happens next; a thought before a trial that ends at the same moment.

        While a trial runs nobody looks at the clock, and no time-out is kept.
        """
        thought = self._thoughts[0][0] if self._thoughts else math.inf
        ended = self._trials[0][0] if self._trials else math.inf
        if ended < thought:
            self._now, _, message = heappop(self._trials)
            self._free.append(_left_by(message.report, self._ahead.pop(message.trial, ())))
            return message
        if not self._trials and thought > self._now + timeout_s:
            self._now += timeout_s
            return None
        self._now, request = self._thoughts.pop(0)
        with self._aside():
            return Answered(request.lineage, self._minds[request.lineage].think(request))

    def _wall_s(self, outcome: Outcome) -> float:
        """What a trial takes by itself."""
        match outcome:
            case Completed():
                return self._arm.trial_s
            case Stopped(fraction):
                return IMPORT_S + COMPILE_S + fraction * self._arm.training_s
            case _:
                return self._arm.failed_s

    def _hidden_s(self, order: Order) -> float:
        """What of that went on while the last trial trained and was examined, if this one was foreseen."""
        self._free.sort(key=lambda place: not place.has(order))
        place = self._free.pop(0) if self._free else Place()
        if not place.has(order):
            return 0.0
        beside = place.beside is not None and alike(order, place.beside)
        return IMPORT_S + (min(COMPILE_S, EXAM_S) if beside else 0.0) - BETWEEN_S

    @contextmanager
    def _aside(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self.world_s += time.process_time() - began

    def progress(self) -> Mapping[int, Progress]:
        return {}

    def close(self) -> None:
        pass


def _left_by(ended: Report, successors: Sequence[Successor]) -> Place:
    """The GPU of a trial that has ended."""
    orders = tuple(one.order for one in successors)
    if not orders or not isinstance(ended.outcome, Completed):
        return Place(orders)
    return Place(orders, orders[coming(successors, final(ended.usage.curve))])


def _raced(world: World, order: Order) -> tuple[Outcome, Curve]:
    """What becomes of a trial that is watched as trainer/training.py does, and its losses until then."""
    outcome = world.train(order.genome, order.seed)
    if not isinstance(world, Raced) or not isinstance(outcome, Completed):
        return outcome, ()
    curve = world.curve(order.genome, order.seed)
    for part in range(1, PARTS):
        if found := behind(curve[:part], order.limits):
            return Stopped(part / PARTS, f"the loss is {found[0]:.3f}, above {found[1]:.3f}"), curve[:part]
    return outcome, curve


class Course:
    """A watcher that keeps the true score of what would be reported after each trial, and when that was."""

    def __init__(self, truth: Callable[[str], float]) -> None:
        """`truth` of a commit."""
        self._truth = truth
        self.truths: list[float] = []
        self.ended_s: list[float] = []

    def tell(self, event: Event, population: Population) -> None:
        if isinstance(event, Judged):
            found = evidence.best(population)
            self.truths.append(math.inf if found is None else self._truth(found))
            self.ended_s.append(population.elapsed_s)

    def say(self, line: str) -> None:
        pass

    def show(
        self, population: Population, progress: Mapping[int, Progress], thinking: Mapping[str, float]
    ) -> None:
        pass


class Unwatched(Course):
    """A watcher that looks at nothing, which is faster."""

    def tell(self, event: Event, population: Population) -> None:
        pass


def play(
    world: World,
    arm: Arm,
    trials: int | None,
    seed: int,
    hours: float | None = None,
    profile: str = "h100",
    curve: bool = False,
    machine: Simulated | None = None,
) -> Played:
    """Search a world to the end of the trials, or of the hours; `curve` notes what is found on the way.

    Who brings the `machine`, new and of the same world and arm, can ask it afterwards what was used.
    """
    shelf = Shelf()
    baseline = shelf.commit(world.genome, ("head",), "Baseline", _BEGUN)
    task = Task("", "", "score", arm.trial_s, None, "", profile, "")
    briefs = tuple(runs.Brief(name, name) for name in world.briefs)
    settings = settings_of(arm, task, briefs, ("world",), baseline, seed, trials, hours)
    truth = lru_cache(None)(lambda commit: world.truth(shelf.text(commit)))
    watcher, machine = (Course if curve else Unwatched)(truth), machine or Simulated(world, arm)
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as home:
        population = carried_out(
            settings,
            runs.RunFolder(Path(home)),
            shelf,
            machine,
            watcher,
            lambda lineage, brief, proposer: Mind(world.proposer(brief)),
            machine,
        )
    return replace(_played(population, truth, watcher), gpu_s=machine.worked_s)


def settings_of(
    arm: Arm,
    task: Task,
    briefs: tuple[runs.Brief, ...],
    proposers: tuple[str, ...],
    baseline: str,
    seed: int,
    trials: int | None,
    hours: float | None = None,
) -> runs.Settings:
    """What a run of `arm` is started with, on a shelf whose first genome is `baseline`."""
    return runs.Settings(
        run="arena",
        created_at=_BEGUN,
        task=task,
        briefs=briefs,
        proposers=proposers,
        lineages=arm.lineages,
        gpus=arm.gpus,
        policy=arm.policy,
        seed=seed,
        trials=trials,
        hours=hours,
        head="head",
        baseline=baseline,
        racing=arm.racing,
    )


def carried_out(
    settings: runs.Settings,
    folder: runs.RunFolder,
    shelf: Shelf,
    backend: Backend,
    watcher: Watcher,
    mind_of: MindOf,
    clock: Clock,
) -> Population:
    """The population at the end of a run that is as `settings` say and leaves nothing but its journal."""
    with closing(Journal.open(folder.journal)) as journal:
        search = Search(
            settings,
            folder,
            journal,
            shelf,
            backend,
            watcher,
            lambda population: None,
            PATIENCE_S,
            mind_of,
            clock,
        )
        for event in opening(search.population, settings, shelf.text):
            search.record(event)
        search.run()
        return search.population


def kept(population: Population) -> list[Candidate]:
    """The changes that advanced a lineage."""
    advanced = [trial.candidate for trial in population.trials.values() if trial.verdict == "advance"]
    return [candidate for candidate in advanced if candidate.operator != "baseline"]


def _played(population: Population, truth: Callable[[str], float], course: Course) -> Played:
    found, baseline, claimed = evidence.best(population), population.baseline, claim(population)
    assert found is not None and baseline is not None and claimed is not None, "the baseline has a score"
    steps = kept(population)
    played = Played(
        trials=population.finished,
        score=truth(found),
        gain=truth(baseline) - truth(found),
        claimed=claimed.gain,
        sd=claimed.sd,
        advanced=len(steps),
        false=sum(truth(step.commit) >= truth(step.base) for step in steps),
        truths=tuple(course.truths),
        ended_s=tuple(course.ended_s),
    )
    return _with_races(played, population, truth)


def _with_races(played: Played, population: Population, truth: Callable[[str], float]) -> Played:
    """With what came of racing, where trainings were watched."""
    trials = [trial for trial in population.trials.values() if trial.usage and trial.usage.curve]
    if not trials:
        return played
    raced = [trial for trial in trials if not trial.again and trial.operator != "baseline"]
    improvements = [t for t in raced if truth(t.candidate.commit) < truth(t.candidate.base)]
    return replace(
        played,
        raced=len(raced),
        stopped=sum(map(_was_stopped, raced)),
        saved=sum(1 - t.outcome.fraction for t in trials if isinstance(t.outcome, Stopped)) / len(trials),
        improvements=len(improvements),
        killed=sum(map(_was_stopped, improvements)),
    )


def _was_stopped(trial: Trial) -> bool:
    return isinstance(trial.outcome, Stopped)
