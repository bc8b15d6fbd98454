"""How a run is begun or taken up again: all it holds open, and what is recorded before its loop."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from population.backend import Backend
from population.beginning.minds import mind
from population.branches import Branches
from population.journal import Journal
from population.keeping import runs
from population.making.candidates import Origin, candidate
from population.making.drafting import draft_of
from population.names import lineage_name
from population.proposals import NoIdea
from population.records import Candidate, Event, Founded, Lost, Proposed, Resumed, Started
from population.search import MindOf, Search, Watcher
from population.state import Population
from trainer.errors import BadInput
from trainer.task import genome_path
from trainer.trial import clear_scratch

PATIENCE_S = 1.0  # how long the GPU waits for the idea of the lineage whose turn it is

Export: TypeAlias = Callable[[Path, Population, Callable[[str], str]], None]  # see results.exports


@contextmanager
def opened(
    folder: runs.RunFolder,
    settings: runs.Settings,
    machines: Callable[[], Backend],
    view: Watcher,
    export: Export,
    patience_s: float = PATIENCE_S,
    mind_of: MindOf | None = None,
) -> Iterator[Search]:
    """A run ready for its loop: the journal locked, git in step with it, machines up, its opening recorded.

    New and resumed runs are the same here. Minds are put together as their names say, without preflight, if
    `mind_of` does not do it. Raises BadInput if another scheduler has the run.
    """
    with ExitStack() as held:
        journal = held.enter_context(Journal.open(folder.journal))
        task = Path(settings.task.folder)
        branches = Branches.open(task, settings.run, folder.path, genome_path(task))
        clear_scratch(folder.scratch)
        backend = machines()
        held.callback(backend.close)

        def write(population: Population) -> None:
            export(folder.path, population, branches.text)

        minds = mind_of or (lambda lineage, brief, proposer: mind(lineage, proposer, settings, folder, None))
        search = Search(settings, folder, journal, branches, backend, view, write, patience_s, minds)
        if search.population.started is not None:
            branches.repair(journal.entries, search.population)
        for event in opening(search.population, settings, branches.text):
            search.record(event)
        yield search


def opening(population: Population, settings: runs.Settings, genome_at: Callable[[str], str]) -> list[Event]:
    """What has to be recorded before the loop: all of it in a new run, what is missing in a resumed one."""
    events: list[Event] = []
    if population.started is None:
        events.append(_started(settings))
    else:
        events.append(Resumed(settings.gpus))
        events += [Lost(trial, "the scheduler was stopped while it ran") for trial in population.running]
    for name, brief, proposer in runs.deal(settings):
        if name not in population.lineages:
            events.append(Founded(name, brief.name, proposer, settings.baseline, "the run begins"))
    waiting = any(line.ready for line in population.lineages.values()) or population.running
    if population.baseline_score is None and not waiting:  # or it failed, and may not fail again
        events.append(Proposed(_baseline(population, settings, genome_at(settings.baseline))))
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
        gpus=settings.gpus,
    )


def _baseline(population: Population, settings: runs.Settings, text: str) -> Candidate:
    """The genome as it was found, sized to this machine, for the first lineage to try."""
    draft = draft_of(text, "baseline")
    if isinstance(draft, NoIdea):
        raise BadInput(f"train.py {draft.reason}")
    origin = Origin(lineage_name(0), "baseline", "none", parents=(settings.head,), base=settings.head)
    return candidate(population, draft, origin, settings.baseline)
