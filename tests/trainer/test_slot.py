"""A slot starts the next trial up while one trains, and never lets two clocks run."""

import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from tests.waiting import until
from trainer.outcome import Completed, Crashed, Progress, Report
from trainer.slot import Slot
from trainer.task import Task, open_task
from trainer.training import Training
from trainer.trial import Order, Successor, coming, run_trial
from trainer.turn import Turn
from trainer.warm.harness import Warm

PACED = Path(__file__).resolve().parents[2] / "benchmarks" / "tasks" / "paced"
SLOW = "time.sleep(prepare.COMPILING_S)"


@pytest.fixture(scope="module")
def task() -> Task:
    return open_task(PACED, "cpu", budget_s=1.5)


@pytest.fixture
def slot(warm: Warm) -> Iterator[Slot]:
    slot = Slot(partial(run_trial, warm=warm))
    yield slot
    slot.close()


def order(task: Task, folder: Path, trial: int, genome: str | None = None) -> Order:
    text = genome or (PACED / "train.py").read_text()
    return Order(trial, text, trial, task, str(folder / f"{trial}.log"), str(folder / "scratch"))


def next_is(*orders: Order) -> tuple[int, list[Successor]]:
    """What a slot is told of them, if they bear the number after that of the trial under way."""
    return orders[0].trial - 1, [Successor(order) for order in orders]


def begun(folder: Path, trial: int) -> str:
    """What a trial that waits for its turn has printed, and a line more once it has begun."""
    logs = list((folder / "scratch").glob(f"{trial}-*.log"))
    return "".join(log.read_text() for log in logs) + "\n" * len(logs)


def ends(report: Report) -> tuple[float, float]:
    """When the clock started and when the training was over, in unix seconds."""
    began = report.usage.started_at + report.usage.startup_s
    return began, began + report.usage.training_s


@contextmanager
def under_way(slot: Slot, first: Order) -> Iterator[Callable[[], Report]]:
    """A trial whose clock runs; gives what waits for its report."""
    found: list[Report] = []
    phases: list[str] = []

    def watch(progress: Progress) -> None:
        phases.append(progress.phase)

    thread = threading.Thread(target=lambda: found.append(slot.train(first, watch)))
    thread.start()
    until(lambda: "training" in phases)

    def report() -> Report:
        thread.join(60)
        return found[0]

    yield report
    thread.join(60)


def test_what_was_started_ahead_has_its_turn_without_starting_up_again(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    first, second = order(task, tmp_path, 1), order(task, tmp_path, 2)
    with under_way(slot, first) as report:
        slot.ahead(*next_is(second))
        one = report()
    two = slot.train(second, lambda progress: None)
    assert isinstance(one.outcome, Completed) and isinstance(two.outcome, Completed)
    assert one.usage.ahead_s < 0.4 < two.usage.ahead_s
    assert two.usage.started_at < one.usage.started_at + one.usage.wall_s  # beside the exam
    assert ends(two)[0] >= one.usage.started_at + one.usage.wall_s - 0.05  # and its clock after it
    assert ends(two)[1] - ends(two)[0] >= task.budget_s


def test_of_two_that_may_be_next_one_goes_on_and_the_other_is_dropped(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    genome = (PACED / "train.py").read_text()
    one, other = (order(task, tmp_path, 2, genome.replace("WIDTH = 1.0", f"WIDTH = {n}.0")) for n in (8, 3))
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(*next_is(one, other))
        report()
    found = slot.train(other, lambda progress: None)
    assert found.usage.ahead_s > 0.4
    assert isinstance(found.outcome, Completed) and found.outcome.score < 1.3  # as its width says
    assert not any((tmp_path / "scratch").iterdir())


def test_who_follows_is_told_by_the_loss_and_is_the_likeliest_where_none_is_known(
    task: Task, tmp_path: Path
) -> None:
    ranges = [(2.0, math.inf), (1.0, 2.0), (-math.inf, 1.0)]
    several = [Successor(order(task, tmp_path, 2), losses) for losses in ranges]
    assert [coming(several, loss) for loss in (2.0, 1.9, 0.5, None, math.nan)] == [0, 1, 2, 0, 0]


def test_who_is_to_come_by_the_loss_starts_up_on_the_gpu_beside_the_exam(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    genome = (PACED / "train.py").read_text()
    loss = 1.3  # about that of the first, which says how far its constants are from the best
    miss, win = (order(task, tmp_path, 2, genome.replace("WIDTH = 1.0", f"WIDTH = {n}.0")) for n in (8, 3))
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(1, [Successor(miss, (loss, math.inf)), Successor(win, (-math.inf, loss))])
        one = report()
    two = slot.train(win, lambda progress: None)
    assert isinstance(one.outcome, Completed) and one.outcome.score < loss
    assert two.usage.started_at < one.usage.started_at + one.usage.wall_s


def test_who_may_be_next_can_be_told_before_the_one_that_is_now(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    second = order(task, tmp_path, 2)
    slot.ahead(*next_is(second))
    slot.train(order(task, tmp_path, 1), lambda progress: None)
    assert slot.train(second, lambda progress: None).usage.ahead_s > 1.0


def test_no_clock_runs_before_its_turn_however_long_that_takes(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    eager = (PACED / "train.py").read_text().replace("prepare.turn()", "if not WIDTH: prepare.turn()")
    second = order(task, tmp_path, 2, eager)
    slot.ahead(*next_is(second))
    until(lambda: bool(begun(tmp_path, 2)))
    time.sleep(2.0)  # longer than its budget
    began = time.time()
    report = slot.train(second, lambda progress: None)
    assert isinstance(report.outcome, Completed) and ends(report)[0] >= began - 0.05


def test_another_than_the_one_started_ahead_is_started_in_its_place(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    slot.ahead(*next_is(order(task, tmp_path, 1)))
    until(lambda: bool(begun(tmp_path, 1)))
    other = (PACED / "train.py").read_text().replace("WIDTH = 1.0", "WIDTH = 3.0")
    report = slot.train(order(task, tmp_path, 1, other), lambda progress: None)
    usual = slot.train(order(task, tmp_path, 2), lambda progress: None)
    assert isinstance(report.outcome, Completed) and isinstance(usual.outcome, Completed)
    assert report.outcome.score < usual.outcome.score - 0.02
    assert report.usage.ahead_s < 0.4


def test_what_is_dropped_leaves_no_process_behind(slot: Slot, task: Task, tmp_path: Path) -> None:
    says = "import os, pathlib\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    genome = says + (PACED / "train.py").read_text()
    slot.ahead(*next_is(order(task, tmp_path, 1, genome)))
    until(lambda: any(path.read_text() for path in (tmp_path / "scratch").rglob("pid")))
    (path,) = (tmp_path / "scratch").rglob("pid")
    pid = int(path.read_text())
    slot.close()
    assert not psutil.pid_exists(pid)
    assert not any((tmp_path / "scratch").iterdir())


def test_a_genome_that_fails_before_its_turn_is_told_of_when_that_comes(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    broken = order(task, tmp_path, 1, "import prepare\nraise ValueError('no')\nprepare.turn()\n")
    slot.ahead(*next_is(broken))
    until(lambda: "ValueError" in begun(tmp_path, 1))
    report = slot.train(broken, lambda progress: None)
    assert isinstance(report.outcome, Crashed) and "no" in report.outcome.reason
    assert report.usage.startup_s < 0.5 and report.usage.training_s == 0.0


def test_who_has_no_room_for_its_log_is_gone_and_the_next_one_has_its_turn(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    first, second = order(task, tmp_path, 1), order(task, tmp_path, 2)
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        slot.train(replace(first, log=str(tmp_path / "file" / "log")), lambda progress: None)
    assert not list((tmp_path / "scratch").iterdir())
    assert isinstance(slot.train(second, lambda progress: None).outcome, Completed)


def test_where_two_do_not_fit_the_next_waits_for_the_end_of_the_exam(
    warm: Warm, task: Task, tmp_path: Path
) -> None:
    slot = Slot(partial(run_trial, warm=warm), card_mb=1.0)
    second = order(task, tmp_path, 2)
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(*next_is(second))
        one = report()
    two = slot.train(second, lambda progress: None)
    assert two.usage.started_at >= one.usage.started_at + one.usage.wall_s - 0.05
    assert two.usage.ahead_s > 0.4


def test_nothing_is_started_ahead_where_the_harness_has_no_clock_to_hold(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    unfed = replace(task, prepare=task.prepare.replace("def feed(", "def fed("))
    slot.ahead(*next_is(order(unfed, tmp_path, 1)))
    time.sleep(0.5)
    assert not (tmp_path / "scratch").exists()


def test_a_submission_from_before_its_turn_is_examined_in_its_turn(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    hasty = "import prepare\nprepare.submit(prepare.BEST)\nif 0: prepare.turn()\n"
    slot.ahead(*next_is(order(task, tmp_path, 1, hasty)))
    time.sleep(1.5)
    report = slot.train(order(task, tmp_path, 1, hasty), lambda progress: None)
    assert isinstance(report.outcome, Completed) and report.usage.ahead_s < 1.5
    assert report.usage.wall_s > report.usage.exam_s > 0.4


def test_what_computes_for_long_before_its_turn_is_ended(slot: Slot, task: Task, tmp_path: Path) -> None:
    computes = "until = time.time() + 20\nwhile time.time() < until: pass"
    busy = (PACED / "train.py").read_text().replace("time.sleep(prepare.IMPORTS_S)", computes)
    slot.ahead(*next_is(order(replace(task, startup_s=0.5), tmp_path, 1, busy)))
    until(lambda: bool(begun(tmp_path, 1)))
    until(lambda: not list((tmp_path / "scratch").glob("1-*/train.py")), 10.0)


@pytest.mark.parametrize(
    ("fails", "outcome"),
    [("if time.time() - began > 0.6: raise ValueError", Completed), ("raise ValueError", Crashed)],
)
def test_who_fails_to_start_up_on_a_shared_gpu_has_another_try_alone(
    slot: Slot, task: Task, tmp_path: Path, fails: str, outcome: type[Completed | Crashed]
) -> None:
    genome = (PACED / "train.py").read_text().replace("prepare.turn()", f"prepare.turn()\n{fails}")
    second = order(task, tmp_path, 2, f"import time\nbegan = time.time()\n{genome}")
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(*next_is(second))
        report()
    assert isinstance(slot.train(second, lambda progress: None).outcome, outcome)


def test_who_has_another_try_alone_is_alone(slot: Slot, task: Task, tmp_path: Path) -> None:
    fails = "if time.time() - began > 0.6: time.sleep(0.5); raise ValueError"
    genome = (PACED / "train.py").read_text().replace("prepare.turn()", f"prepare.turn()\n{fails}")
    second = order(task, tmp_path, 2, f"import time\nbegan = time.time()\n{genome}")
    third = order(task, tmp_path, 3)
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(*next_is(second))
        report()
    with under_way(slot, second) as report:
        slot.ahead(*next_is(third))
        two = report()
    assert isinstance(two.outcome, Completed)
    assert slot.train(third, lambda progress: None).usage.started_at >= ends(two)[1] - 0.05


def test_an_exam_that_the_machine_fails_beside_a_start_up_is_held_again_alone(
    warm: Warm, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(PACED, tmp_path / "task"))
    full, prepare = folder / "full", folder / "prepare.py"
    full.touch()
    lacks = f"    if os.path.exists({str(full)!r}): raise MemoryError\n"
    begins = "def examine(submission, serve):\n"
    prepare.write_text(prepare.read_text().replace(begins, begins + lacks))
    task = open_task(folder, "cpu", budget_s=1.5)
    slot = Roomy(partial(run_trial, warm=warm))
    slot.full = full
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(*next_is(order(task, tmp_path, 2)))
        assert isinstance(report().outcome, Completed)
    slot.close()


class Roomy(Slot):
    """A slot that has room again as soon as a trial is alone."""

    full: Path

    def alone(self) -> bool:
        was = super().alone()
        self.full.unlink()
        return was


def test_who_is_killed_while_it_waits_has_another_try(slot: Slot, task: Task, tmp_path: Path) -> None:
    says = "import os, pathlib\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    second = order(task, tmp_path, 2, says + (PACED / "train.py").read_text())
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(*next_is(second))
        until(lambda: any(path.read_text() for path in (tmp_path / "scratch").rglob("pid")))
        (path,) = (tmp_path / "scratch").rglob("pid")
        psutil.Process(int(path.read_text())).kill()
        report()
    assert isinstance(slot.train(second, lambda progress: None).outcome, Completed)


def test_what_is_told_twice_or_before_the_trial_it_follows_begins_once_and_is_kept(
    slot: Slot, task: Task, tmp_path: Path
) -> None:
    second, third = order(task, tmp_path, 2), order(task, tmp_path, 3)
    with under_way(slot, order(task, tmp_path, 1)) as report:
        slot.ahead(*next_is(second, second))
        slot.ahead(*next_is(third))
        until(lambda: bool(begun(tmp_path, 2)) and bool(begun(tmp_path, 3)))
        assert begun(tmp_path, 2).count("\n") == 1
        report()
    for later in (second, third):
        assert slot.train(later, lambda progress: None).usage.ahead_s > 0.4


def test_two_slots_of_one_run_do_not_touch_each_others_trials(
    slot: Slot, warm: Warm, task: Task, tmp_path: Path
) -> None:
    other, third = Slot(partial(run_trial, warm=warm)), order(task, tmp_path, 3)
    with under_way(slot, order(task, tmp_path, 1)) as one:
        slot.ahead(*next_is(third))
        until(lambda: bool(begun(tmp_path, 3)))
        with under_way(other, third) as same:
            slot.ahead(*next_is(order(task, tmp_path, 4)))
            assert isinstance(same().outcome, Completed)
        assert isinstance(one().outcome, Completed)


def test_who_has_memory_on_the_card_before_its_turn_is_ended(task: Task, tmp_path: Path) -> None:
    on_card = replace(task, device="cuda")
    with Turn() as turn:
        training = Training(on_card, lambda progress: None, tmp_path, None, turn)
        training.pulse(0.0, 1.0)
        assert training.left_s() > 0
        training.pulse(1.0, 1.0)
        assert training.left_s() == 0
    with Turn() as turn:
        training = Training(on_card, lambda progress: None, tmp_path, None, turn)
        turn.give_gpu()
        training.pulse(1.0, 1.0)
        assert training.left_s() > 0
