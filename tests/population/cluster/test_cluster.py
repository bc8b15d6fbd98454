"""Ray for real: minds and the trainer are processes, and processes die."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from population.backend import Answered, Cut, Gone, Message, Trained
from population.cluster.backend import Cluster
from population.lineage import Mind
from population.making.drafting import Draft
from population.proposals import Request
from tests.population.odd import Odd
from trainer.outcome import Completed
from trainer.task import open_task
from trainer.trial import Order

ROOT = Path(__file__).resolve().parents[3]
HILL = ROOT / "benchmarks" / "tasks" / "hill"
SLEEPS = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n"
ALONE = "from population.cluster.backend import Cluster; Cluster(); print('up', flush=True); input()"


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On a disk: what lies in memory is hidden from trials."""
    return tmp_path_factory.mktemp("trial")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    for lineage in ("amber", "birch"):
        cluster.enrol(lineage, Mind(Odd()))
    yield cluster
    cluster.close()
    cluster.close()


def heard(cluster: Cluster) -> Message:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if (message := cluster.wait(0.2)) is not None:
            return message
    raise AssertionError("no message came")


def asked(brief: str, lineage: str = "amber") -> Request:
    return Request(lineage, brief, "c0", "X = 1\n", 1.0, (), frozenset(), 7)


def order(tmp_path: Path, genome: str) -> Order:
    return Order(1, genome, 1, open_task(HILL, "cpu"), str(tmp_path / "log"), str(tmp_path / "scratch"))


def test_each_mind_is_a_process_of_its_own(cluster: Cluster) -> None:
    cluster.think(asked("work", "amber")), cluster.think(asked("work", "birch"))
    first, second = heard(cluster), heard(cluster)
    assert isinstance(first, Answered) and isinstance(second, Answered)
    assert {first.lineage, second.lineage} == {"amber", "birch"}
    assert first.answer != second.answer  # each wrote its process's number


def test_a_mind_computes_only_when_no_trial_on_the_same_processor_wants_to(cluster: Cluster) -> None:
    cluster.think(asked("rank"))
    message = heard(cluster)
    assert isinstance(message, Answered) and isinstance(message.answer, Draft)
    assert message.answer.genome == f"X = {os.SCHED_IDLE}, 19\n"


def test_a_mind_that_dies_is_told_of_and_built_again(cluster: Cluster) -> None:
    cluster.think(asked("die"))
    gone = heard(cluster)
    assert isinstance(gone, Gone) and gone.lineage == "amber"
    cluster.think(asked("work"))
    assert isinstance(heard(cluster), Answered)


def test_a_mind_can_join_while_the_others_work(cluster: Cluster) -> None:
    cluster.think(asked("work", "amber"))
    cluster.enrol("cedar", Mind(Odd()))
    cluster.think(asked("work", "cedar"))
    heard_of = {
        message.lineage for message in (heard(cluster), heard(cluster)) if isinstance(message, Answered)
    }
    assert heard_of == {"amber", "cedar"}


def test_what_an_actor_raises_is_raised_here_as_it_was(cluster: Cluster) -> None:
    cluster.think(asked("fail"))
    with pytest.raises(OSError, match="No space left") as error:
        heard(cluster)
    assert (type(error.value), error.value.errno, error.value.filename) == (OSError, 28, "/full")


def test_a_trial_is_trained_and_examined(cluster: Cluster, tmp_path: Path) -> None:
    cluster.train(order(tmp_path, (HILL / "train.py").read_text()))
    done = heard(cluster)
    assert isinstance(done, Trained) and isinstance(done.report.outcome, Completed)


def test_a_trainer_that_dies_takes_its_trial_along_and_is_built_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.train(order(tmp_path, SLEEPS))
    pid = _written(tmp_path / "scratch")
    trainer = next(one for one in psutil.Process(pid).parents() if one.name().startswith("ray::Trainer"))
    trainer.kill()
    assert isinstance(heard(cluster), Cut)
    assert _ends(pid)
    cluster.train(order(tmp_path, (HILL / "train.py").read_text()))
    assert isinstance(heard(cluster), Trained)


def _written(scratch: Path) -> int:
    """The process number that a trial left in its folder."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for path in scratch.rglob("pid"):
            if text := path.read_text():
                return int(text)
        time.sleep(0.05)
    raise AssertionError("the trial did not begin")


def _ends(pid: int) -> bool:
    """Whether a process is over, or will be soon: the kernel kills it when it has the time."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_when_ray_itself_dies_all_of_it_is_built_again_and_what_was_under_way_is_told_of(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.train(order(tmp_path, SLEEPS))
    pid = _written(tmp_path / "scratch")
    daemon = next(child for child in psutil.Process().children() if child.name() == "raylet")
    daemon.kill()
    assert isinstance(heard(cluster), Cut)
    assert _ends(pid)
    cluster.think(asked("work"))
    assert isinstance(heard(cluster), Answered)


def test_nothing_of_ray_outlives_a_scheduler_that_is_killed(tmp_path: Path) -> None:
    scheduler = subprocess.Popen([sys.executable, "-c", ALONE], cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert scheduler.stdout is not None and scheduler.stdout.readline() == b"up\n"
    family = psutil.Process(scheduler.pid).children(recursive=True)
    assert any(child.name() == "raylet" for child in family)
    scheduler.kill()
    scheduler.communicate()
    assert all(_ends(child.pid) for child in family)  # half of the minute that Ray would take


def test_a_ray_that_takes_too_long_to_start_is_told_of_in_one_line_with_what_to_do() -> None:
    impatient = os.environ | {"RAY_gcs_server_port_wait_time_s": "0"}
    ended = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, env=impatient, stderr=PIPE, text=True)
    told = ended.stderr.splitlines()[-1]
    assert told.startswith("population.search.MachineFailed: Ray did not start on this machine: Timed out")
    assert told.endswith("; see that its processor, memory and /tmp have room, then begin again")
