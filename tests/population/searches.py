"""A whole search in one process: real git, a real journal, real minds, and a function for the training."""

import math
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from population import genome, runs
from population.backend import Backend, Inline
from population.branches import Branches
from population.lineage import Mind
from population.opening import opened
from population.policy import PolicyName
from population.records import Event
from population.search import Search
from population.state import Population
from trainer.outcome import Completed, Outcome, Progress, Report, Usage
from trainer.task import Task
from trainer.trial import Order

TRAIN = "import json\n\nX = 3.0  # -10 to 10\nRATE = 0.5  # 0.0001 to 1, log\nprint(json.dumps([X, RATE]))\n"
PREPARE = "METRIC = 'loss'\nBUDGET_S = 5\n\n\ndef examine(submission, serve):\n    return {}\n"


class Silent:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, event: Event, population: Population) -> None:
        self.lines.append(type(event).__name__)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def show(self, population: Population, progress: Progress | None, thinking: Mapping[str, float]) -> None:
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
    home: Path, task: Path, policy: PolicyName = "promise", lineages: int = 3, trials: int = 12, seed: int = 0
) -> runs.RunFolder:
    """A run that has not begun."""
    folder = runs.new_folder(home, f"run{seed}")
    branches = Branches.open(task, folder.name, folder.path)
    head = branches.head()
    settings = runs.Settings(
        run=folder.name,
        created_at=1e9,
        task=Task(str(task), (task / "prepare.py").read_text(), "loss", 5.0, None, "exam", "", "cpu"),
        briefs=(runs.Brief("one", "Look."),),
        proposers=("mutate/tpe", "mutate/cma"),
        lineages=lineages,
        policy=policy,
        seed=seed,
        trials=trials,
        hours=None,
        head=head,
        baseline=branches.commit(branches.text(head), (head,), "Baseline", 1e9),
    )
    runs.save(folder, settings)
    return folder


@contextmanager
def begun(
    folder: runs.RunFolder,
    train: Callable[[str], Outcome] = valley,
    machines: Callable[[Mapping[str, Mind]], Backend] | None = None,
    export: Callable[[Population], None] = lambda population: None,
) -> Iterator[Search]:
    """The run's search on the inline backend, with a function in the place of the training process."""

    def trained(order: Order, watch: Callable[[Progress], None]) -> Report:
        return Report(train(order.genome), Usage(started_at=0.0, wall_s=1.0))

    with opened(
        folder,
        runs.load(folder),
        machines or (lambda minds: Inline(minds, trained)),
        Silent(),
        lambda path, population, genome_of: export(population),
        patience_s=math.inf,
    ) as search:
        yield search


def searched(folder: runs.RunFolder, train: Callable[[str], Outcome] = valley) -> Search:
    """Run (or resume) to the end."""
    with begun(folder, train) as search:
        search.run()
    return search


def refs(task: Path, run: str) -> dict[str, str]:
    """The run's refs in the task's repository."""
    patterns = f"refs/lineages/{run}", f"refs/heads/lineages/{run}"
    listed = git(task, "for-each-ref", "--format=%(refname) %(objectname)", *patterns).splitlines()
    return dict(line.split(" ") for line in listed)


def git(folder: Path, *arguments: str) -> str:
    """What git prints, in `folder`."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
