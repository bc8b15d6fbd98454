"""A cluster of Ray's that others started: two machines that share no files, as far as one can show them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

os.environ["RAY_AUTH_TOKEN"] = "a" * 64  # of these tests' clusters, read when one starts

from population.backend import Answered, Cut, Message, Trained
from population.cluster import SLOT, Cluster
from population.lineage import Mind
from population.proposers import Request
from population.proposers.mutate import Mutate
from trainer.errors import BadInput
from trainer.outcome import Completed
from trainer.task import Task, open_task
from trainer.trial import Order

ROOT = Path(__file__).resolve().parents[2]
HILL = ROOT / "benchmarks" / "tasks" / "hill"
FIRST = (HILL / "train.py").read_text()
SLEEPS = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n"


class Machines:
    """Ray's nodes, each with a home, a cache and a temporary folder of its own."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster as Nodes

        self.folder, self._nodes = folder, Nodes()
        self._added: dict[str, Any] = {}

    @property
    def address(self) -> str:
        return str(self._nodes.address)

    def add(self, name: str) -> None:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        own = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        self._added[name] = self._nodes.add_node(
            num_cpus=1, resources={SLOT: 1}, env_vars=own, include_dashboard=False
        )

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
    assert cluster.slots() == 2
    for trial in (1, 2):
        cluster.train(order(task, tmp_path, trial, f"print('this is', {trial})\n{FIRST}"))
    done = [heard(cluster), heard(cluster)]
    assert {message.trial for message in done if isinstance(message, Trained)} == {1, 2}
    assert all(isinstance(m, Trained) and isinstance(m.report.outcome, Completed) for m in done)
    assert [(tmp_path / f"{trial}.log").read_text() for trial in (1, 2)] == ["this is 1\n", "this is 2\n"]
    assert [path.name for path in machines.folder.glob("*/cache/lineages/tasks/*/prepare.py")] == [
        "prepare.py"
    ]
