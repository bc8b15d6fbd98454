"""A cluster of Ray's that others started: two machines that share no files, as far as one can show them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

os.environ["RAY_AUTH_TOKEN"] = "a" * 64  # of these tests' clusters, read when one starts

from population.backend import Answered, Cut, Message, Trained
from population.cluster.backend import Cluster
from population.cluster.machines import SLOT
from population.lineage import Mind
from population.making.drafting import Draft
from population.proposals import Proposal, Request
from trainer.cards import CHOSEN
from trainer.errors import BadInput
from trainer.outcome import Completed
from trainer.task import Task, open_task
from trainer.trial import Order

ROOT = Path(__file__).resolve().parents[3]
HILL = ROOT / "benchmarks" / "tasks" / "hill"
FIRST = (HILL / "train.py").read_text()
ALONE = """
import sys
from pathlib import Path
from population.cluster.backend import Cluster
from trainer.task import open_task
from trainer.trial import Order

_, address, hill, run, genome = sys.argv
task = open_task(Path(hill), "cpu", 300.0)
cluster = Cluster("cpu", 2, address, task)
for trial in (1, 2):
    cluster.train(Order(trial, genome, 1, task, f"{run}/log", f"{run}/scratch"))
while True:
    cluster.wait(1.0)
"""
LASTS = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(5)\n" + FIRST


IMPATIENT = {
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}  # who does not answer is gone


class Machines:
    """Ray's nodes, each with a home, a cache and a temporary folder of its own."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster as Nodes

        self.folder, self._nodes = folder, Nodes()
        self._first: dict[str, Any] = {"_system_config": IMPATIENT}
        self._added: dict[str, Any] = {}

    @property
    def address(self) -> str:
        return str(self._nodes.address)

    def add(self, name: str) -> None:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        own = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        self._added[name] = self._nodes.add_node(
            num_cpus=1, resources={SLOT: 1}, env_vars=own, include_dashboard=False, **self._first
        )

        self._first = {}

    def kill(self, name: str) -> None:
        """As when somebody pulls the plug: all of the node's processes, at once."""
        mark, ours = f"HOME={self.folder / name}", []
        for process in psutil.process_iter():
            try:
                if mark in {f"{key}={value}" for key, value in process.environ().items()}:
                    ours.append(process)
            except psutil.Error:
                continue
        for process in ours:
            process.kill()

    def close(self) -> None:
        self._nodes.shutdown()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    machines = Machines(tmp_path_factory.mktemp("nodes"))
    machines.add("one"), machines.add("two")
    yield machines
    machines.close()


@pytest.fixture(scope="module")
def task() -> Task:
    return open_task(HILL, "cpu")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On a disk: what lies in memory is hidden from trials."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def cluster(machines: Machines, task: Task) -> Iterator[Cluster]:
    cluster = Cluster("cpu", 2, machines.address, task)
    yield cluster
    cluster.close()


def written(machines: Machines) -> list[int]:
    """The process numbers that trials away from the run have left in their folders."""
    return [int(path.read_text() or 0) for path in machines.folder.glob("*/lineages-*/*/pid")]


def left(machines: Machines) -> list[Path]:
    """What is on them beside the task in the cache, and locks, which are files that mean nothing."""
    kept = ("cache", ".cache", ".ray")
    found = [path for home in machines.folder.iterdir() for path in home.iterdir() if path.name not in kept]
    return [path for path in found if path.suffix != ".lock"]


def within(limit_s: float, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < until, f"not within {limit_s:g} s"
        time.sleep(0.05)


def order(task: Task, run: Path, trial: int, genome: str = FIRST) -> Order:
    return Order(trial, genome, 1, task, str(run / f"{trial}.log"), str(run / "scratch"))


def heard(cluster: Cluster) -> Message:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if (message := cluster.wait(0.2)) is not None:
            return message
    raise AssertionError("no message came")


def test_two_machines_train_at_once_and_what_they_printed_comes_back(
    cluster: Cluster, machines: Machines, task: Task, tmp_path: Path
) -> None:
    for trial in (1, 2):
        cluster.train(order(task, tmp_path, trial, f"print('this is', {trial})\n{FIRST}"))
    done = [heard(cluster), heard(cluster)]
    assert {message.trial for message in done if isinstance(message, Trained)} == {1, 2}
    assert all(isinstance(m, Trained) and isinstance(m.report.outcome, Completed) for m in done)
    assert {message.report.usage.gpu for message in done if isinstance(message, Trained)} == {0, 1}
    assert [(tmp_path / f"{trial}.log").read_text() for trial in (1, 2)] == ["this is 1\n", "this is 2\n"]
    sent = [*machines.folder.glob("*/cache/lineages/tasks/*/prepare.py")]
    assert len(sent) == 1  # the other machine is the run's own


def test_minds_stay_where_the_run_is_and_know_its_keys(
    cluster: Cluster, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spoken:  # in here, where it travels with its code
        def propose(self, request: Request) -> Proposal:
            return Proposal("X = 2\n", f"{os.environ['SOME_API_KEY']} in {os.environ['TMPDIR']}")

    monkeypatch.setenv("SOME_API_KEY", "abc")
    cluster.enrol("amber", Mind(Spoken()))
    cluster.think(Request("amber", "brief", "c0", "X = 1\n", 1.0, (), frozenset(), 7))
    message = heard(cluster)
    assert isinstance(message, Answered) and isinstance(message.answer, Draft)
    assert message.answer.idea == f"abc in {machines.folder / 'one'}"


def test_a_machine_that_dies_loses_its_trial_alone_and_is_used_again_when_it_is_back(
    cluster: Cluster, machines: Machines, task: Task, tmp_path: Path
) -> None:
    for trial in (1, 2):
        cluster.train(order(task, tmp_path, trial, LASTS))
    within(30, lambda: len(written(machines)) == 1)
    machines.kill("two")
    cut = heard(cluster)
    assert isinstance(cut, Cut) and cluster.slots() == 1
    other = heard(cluster)
    assert isinstance(other, Trained) and {cut.trial, other.trial} == {1, 2}
    machines.add("two")
    within(60, lambda: cluster.wait(0.2) is None and cluster.slots() == 2)
    for trial in (3, 4):
        cluster.train(order(task, tmp_path, trial))
    assert all(isinstance(heard(cluster), Trained) for _ in range(2))


def test_a_cluster_outlives_a_run_and_a_killed_scheduler_leaves_nothing_in_it(
    machines: Machines, task: Task, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-c",
        ALONE,
        machines.address,
        str(HILL),
        str(tmp_path),
        f"{LASTS}time.sleep(200)",
    ]
    scheduler = subprocess.Popen(command, cwd=ROOT)
    within(60, lambda: len(written(machines)) == 1 and (tmp_path / "scratch").exists())
    pids = written(machines)
    scheduler.kill()
    scheduler.wait()
    within(30, lambda: not any(map(psutil.pid_exists, pids)))
    again = Cluster("cpu", 2, machines.address, task)
    assert written(machines) == [] and len(left(machines)) == 1  # its own
    again.close()
    assert left(machines) == []


def test_a_place_is_left_out_when_two_trials_in_a_row_cannot_be_carried_out_there(
    cluster: Cluster, task: Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def lose(number: int) -> None:
        """A trial whose files have names that no disk takes."""
        trial, genome = 10**300 + number, f"# {number}\n{FIRST}"
        cluster.train(Order(trial, genome, 1, task, str(tmp_path / "log"), str(tmp_path / "scratch")))
        cut = heard(cluster)
        assert isinstance(cut, Cut) and cut.trial == trial and "File name too long" in cut.reason
        within(60, lambda: cluster.wait(0.1) is None and cluster.slots() == 2 - len(caplog.records))

    lose(1), lose(2)  # one at each place, and then none
    for trial in (3, 4):
        cluster.train(order(task, tmp_path, trial))
    assert all(isinstance(heard(cluster), Trained) for _ in range(2))
    lose(5), lose(6)
    assert cluster.slots() == 2
    lose(7)
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        "GPU 0 is left out until the run is resumed"
    ]
    cluster.train(order(task, tmp_path, 8))
    assert isinstance(heard(cluster), Trained)


def test_each_trial_sees_a_card_of_its_own(tmp_path: Path) -> None:
    task, cluster = open_task(HILL, "cuda"), Cluster("cuda", 2)  # cards that are not there, and only counted
    for trial in (1, 2):
        cluster.train(order(task, tmp_path, trial, f"import os\nprint(os.environ['{CHOSEN}'])\n{FIRST}"))
    done = [heard(cluster), heard(cluster)]
    cluster.close()
    assert all(isinstance(message, Trained) for message in done), done
    assert {(tmp_path / f"{trial}.log").read_text() for trial in (1, 2)} == {"0\n", "1\n"}


def test_more_slots_than_a_cluster_has_are_refused_in_one_line(machines: Machines, task: Task) -> None:
    with pytest.raises(
        BadInput, match=r"--gpus 3: the cluster has 2 machines started with --res.* and 2 of them"
    ):
        Cluster("cpu", 3, machines.address, task)
