"""A whole search in one process: real git, a real journal, real minds, and a function for the training."""

import math
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from population import genome
from population.backend import Backend, Inline, Train
from population.beginning.minds import OPTIMISERS
from population.beginning.opening import opened, opening
from population.branches import Branches
from population.journal import Journal, read
from population.keeping import runs
from population.lineage import Mind
from population.policy import PolicyName
from population.proposals import Proposal, Reply, Request
from population.records import Event
from population.repository.genomes import Shelf
from population.search import Search
from population.state import Population
from trainer.outcome import Completed, Outcome, Progress, Report, Usage
from trainer.task import Task
from trainer.trial import Order

TRAIN = "import json\n\nX = 3.0  # -10 to 10\nRATE = 0.5  # 0.0001 to 1, log\nprint(json.dumps([X, RATE]))\n"
MUTATE = ("mutate/tpe", "mutate/cma")
KNOBS = "".join(f"K{n} = 0.0  # -20 to 20\n" for n in range(8)) + "print(K0, K1, K2, K3, K4, K5, K6, K7)\n"
PREPARE = "METRIC = 'loss'\nBUDGET_S = 5\n\n\ndef examine(submission, serve):\n    return {}\n"


class Silent:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, event: Event, population: Population) -> None:
        self.lines.append(type(event).__name__)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def show(
        self, population: Population, progress: Mapping[int, Progress], thinking: Mapping[str, float]
    ) -> None:
        pass


def valley(text: str) -> Outcome:
    """Stands for a training: a smooth loss of the genome's constants."""
    knobs = genome.knobs(text)
    x, rate = float(knobs["X"]), float(knobs["RATE"])
    return Completed(1 + (x - 1) ** 2 / 40 + (math.log10(rate) + 2) ** 2 / 10)


def make_task(folder: Path, train: str = TRAIN) -> Path:
    """A task in a git repository of its own, committed."""
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(train)
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "program.md").write_text("Find the lowest point.\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "task")
    return folder


def make_run(
    home: Path,
    task: Path,
    policy: PolicyName = "promise",
    lineages: int = 3,
    trials: int = 12,
    seed: int = 0,
    proposers: tuple[str, ...] = MUTATE,
) -> runs.RunFolder:
    """A run that has not begun."""
    folder = runs.new_folder(home, f"run{seed}")
    branches = Branches.open(task, folder.name, folder.path)
    head = branches.head()
    baseline = branches.commit(branches.text(head), (head,), "Baseline", 1e9)
    runs.save(
        folder, settings_of(folder.name, str(task), head, baseline, policy, lineages, trials, seed, proposers)
    )
    return folder


def settings_of(
    run: str,
    task: str,
    head: str,
    baseline: str,
    policy: PolicyName,
    lineages: int,
    trials: int,
    seed: int,
    proposers: tuple[str, ...],
) -> runs.Settings:
    """What a run on the task of this file is started with."""
    return runs.Settings(
        run=run,
        created_at=1e9,
        task=Task(task, PREPARE, "loss", 5.0, None, "exam", "cpu", "cpu"),
        briefs=(runs.Brief("one", "Look."),),
        proposers=proposers,
        lineages=lineages,
        policy=policy,
        seed=seed,
        trials=trials,
        hours=None,
        head=head,
        baseline=baseline,
    )


def training(train: Callable[[str], Outcome]) -> Train:
    """A function of the genome in the place of a training process."""
    return lambda order, watch: Report(train(order.genome), Usage(started_at=0.0, wall_s=1.0))


def rugged(order: Order, watch: Callable[[Progress], None]) -> Report:
    """Stands for a training with noise: every constant counts for itself, most of them for little."""
    values = [float(value) for value in genome.knobs(order.genome).values()]
    loss = 1 + sum(0.004 * (value - n) ** 2 for n, value in enumerate(values)) / len(values)
    noise = Random(f"{order.genome} {order.seed}").gauss(0.0, 0.006)
    return Report(Completed(loss + noise), Usage(started_at=0.0, wall_s=1.0))


class Tinker:
    """A proposer that moves one constant at a time, which leaves room to combine."""

    def propose(self, request: Request) -> Reply:
        rng = Random(request.seed)
        name, value = rng.choice(sorted(genome.knobs(request.genome).items()))
        moved = round(float(value) + rng.choice([-3.0, -1.0, 1.0, 3.0]) * rng.uniform(0.5, 2.0), 3)
        return Proposal(genome.rewrite(request.genome, {name: moved}), f"{name} {value} -> {moved}")


def mind_of(lineage: str, brief: str, proposer: str) -> Mind:
    return Mind(Tinker() if proposer == "tinker" else OPTIMISERS[proposer]())


@contextmanager
def begun(
    folder: runs.RunFolder,
    train: Callable[[str], Outcome] = valley,
    machines: Callable[[], Backend] | None = None,
    export: Callable[[Population], None] = lambda population: None,
) -> Iterator[Search]:
    """The run's search on the inline backend, with a function in the place of the training process."""

    with opened(
        folder,
        runs.load(folder),
        machines or (lambda: Inline(training(train))),
        Silent(),
        lambda path, population, genome_of: export(population),
        patience_s=math.inf,
        mind_of=mind_of,
    ) as search:
        yield search


def searched(folder: runs.RunFolder, train: Callable[[str], Outcome] = valley) -> Search:
    """Run (or resume) to the end."""
    with begun(folder, train) as search:
        search.run()
    return search


class Traced(Shelf):
    """A shelf that knows where each genome comes from, as git does."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: dict[str, tuple[str, ...]] = {}

    def commit(self, genome: str, parents: Sequence[str], message: str, at: float) -> str:
        name = super().commit(genome, parents, message, at)
        self.parents[name] = tuple(parents)
        return name

    def behind(self, commit: str) -> set[str]:
        """The ancestors of a commit."""
        found: set[str] = set()
        waiting = [commit]
        while waiting:
            new = set(self.parents.get(waiting.pop(), ())) - found
            found |= new
            waiting += new
        return found


class Shelved:
    """A run with its genomes in memory, which takes no git and so a tenth of the time."""

    def __init__(
        self,
        home: Path,
        policy: PolicyName = "promise",
        lineages: int = 3,
        trials: int = 12,
        seed: int = 0,
        train: str = TRAIN,
        proposers: tuple[str, ...] = MUTATE,
    ) -> None:
        self.shelf = Traced()
        self.folder = runs.new_folder(home, "shelved")
        self.folder.path.mkdir(parents=True, exist_ok=True)
        baseline = self.shelf.commit(train, ("head",), "Baseline", 1e9)
        self.settings = settings_of(
            "shelved", "", "head", baseline, policy, lineages, trials, seed, proposers
        )

    @contextmanager
    def begun(
        self,
        train: Train | None = None,
        machines: Backend | None = None,
        patience_s: float = math.inf,
    ) -> Iterator[Search]:
        """The search, ready for its loop; one that was cut off goes on."""
        with closing(Journal.open(self.folder.journal)) as journal:
            backend = machines or Inline(train or training(valley))
            search = Search(
                self.settings, self.folder, journal, self.shelf, backend, Silent(), lambda population: None,
                patience_s, mind_of,
            )  # fmt: skip
            for event in opening(search.population, self.settings, self.shelf.text):
                search.record(event)
            yield search

    def searched(self, train: Train | None = None) -> Population:
        """Run (or resume) to the end."""
        with self.begun(train) as search:
            search.run()
        return search.population


def events_of(folder: runs.RunFolder) -> list[Event]:
    """What is in a run's journal."""
    return [entry.event for entry in read(folder.journal)]


def refs(task: Path, run: str) -> dict[str, str]:
    """The run's refs in the task's repository."""
    patterns = f"refs/lineages/{run}", f"refs/heads/lineages/{run}"
    listed = git(task, "for-each-ref", "--format=%(refname) %(objectname)", *patterns).splitlines()
    return dict(line.split(" ") for line in listed)


def git(folder: Path, *arguments: str) -> str:
    """What git prints, in `folder`."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
