"""Every genome in `genomes/` tries to cheat or to harm. None is scored better than it is, and none does any.

pytest tests/redteam
"""

import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from attacks import ATTACKS, Attack
from surroundings import Surroundings

from trainer.outcome import Completed, Outcome, Report, cause, status
from trainer.preflight import Preflight
from trainer.running.log import HEAD, TAIL
from trainer.task import Task, open_task
from trainer.trial import Order, run_trial
from trainer.warm.harness import Warm

HERE = Path(__file__).parent
HONEST = (HERE / "task" / "train.py").read_text()
NEXT_S = 5.0  # until the next trial's first line
SAME = 1e-5  # bits: served in float32, read in float64
# Low enough to be reached soon; an honest trial stays far below.
LIMITS = {
    "running.disk.MOST_MB": 64,
    "running.disk.MOST_ENTRIES": 3000,
    "running.disk.LEAST_PAUSE_S": 0.1,
    "running.watch.MOST_PROCESSES": 48,
    "running.watch.MOST_THREADS": 500,
    "running.watch.PULSE_S": 0.05,
    "training.LATE_S": 0.5,
    "training.LEAST_GRACE_S": 3.0,
}


class Lab:
    """Runs the red team's genomes, and between them the honest one."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.around = Surroundings(folder, stack)
        # As real runs have them; who has torch takes longer to end.
        self._warm, self._warm_with_torch = (stack.enter_context(Warm()) for _ in range(2))
        self.log = folder / "log"
        self.task = open_task(_task_in(self.around), "cpu")
        served = (HERE / "task" / "served.py").read_text()
        self.served = msgspec.structs.replace(self.task, prepare=self.task.prepare + served)
        # These also leave what only the first trial of a run leaves.
        self.honest = self.run(HONEST, self.task).outcome
        self.honestly_served = self.run(HONEST, self.served).outcome
        self.around.look()

    def run(self, genome: str, task: Task) -> Report:
        order = Order(1, genome, 7, task, str(self.log), str(self.around.scratch))
        served = "serve(" in order.task.prepare
        return run_trial(order, lambda progress: None, self._warm_with_torch if served else self._warm)

    def attacked(self, attack: Attack) -> Report:
        task = self.served if attack.served else self.task
        return self.run(
            attack.text,
            msgspec.structs.replace(
                task,
                budget_s=attack.budget_s or task.budget_s,
                startup_s=attack.startup_s or task.startup_s,
            ),
        )


def _task_in(around: Surroundings) -> Path:
    shutil.copytree(HERE / "task", around.task, dirs_exist_ok=True)
    prepare = around.task / "prepare.py"
    aims = f"AIMS: dict[str, Any] = {around.aims()}"
    prepare.write_text(prepare.read_text().replace("AIMS: dict[str, Any] = {}", aims))
    chance = random.Random(0)
    habits = [chance.sample(range(16), 16) for _ in range(16)]
    for part, count in (("data", 500), ("heldout", 128)):
        (around.task / part).mkdir()
        (around.task / part / "rows").write_bytes(b"".join(_row(habits, chance) for _ in range(count)))
    return around.task


def _row(habits: list[list[int]], chance: random.Random) -> bytes:
    row = [chance.randrange(16)]
    while len(row) < 33:
        row.append(habits[row[-1]][min(15, int(chance.expovariate(0.5)))])
    return bytes(row)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name, value in LIMITS.items():
            patch.setattr(f"trainer.{name}", value)
        lab = Lab(tmp_path_factory.mktemp("lab"), stack)
        patch.setenv("OPENAI_API_KEY", lab.around.secret)
        yield lab


def test_there_are_many_and_each_has_a_purpose_of_its_own() -> None:
    assert len(ATTACKS) >= 60
    assert len({attack.text.partition("Expect:")[0] for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_cheat_is_scored_and_no_harm_is_done(lab: Lab, attack: Attack) -> None:
    report = lab.attacked(attack)
    ended = time.monotonic()
    said = lab.log.read_text(errors="replace")
    came = came_of_it(report.outcome, lab)
    assert re.fullmatch(attack.expected, came), (report.outcome, said[-3000:])
    assert re.search(attack.reason, cause(report.outcome) or ""), report.outcome
    assert "landed:" not in said and lab.around.secret not in said and len(said) <= HEAD + TAIL + 1000
    assert not lab.around.changes()
    the_run_goes_on(lab, ended)


def came_of_it(outcome: Outcome, lab: Lab) -> str:
    """`honest` if it has the score of the honest genome, or else its status."""
    if isinstance(outcome, Completed) and isinstance(lab.honest, Completed):
        return "honest" if abs(outcome.score - lab.honest.score) < SAME else f"scored {outcome.score}"
    return status(outcome)


def the_run_goes_on(lab: Lab, since: float) -> None:
    """The next trial starts soon, scores what it always does and finds nothing of the last one."""
    assert lab.run(HONEST, lab.task).outcome == lab.honest
    started, inherited = re.findall(r"^(?:started|inherited) (.*)$", lab.log.read_text(), re.M)
    assert float(started) - since < NEXT_S
    assert inherited == "[]"


def test_an_honest_genome_scores_the_same_whether_it_is_served_or_read(lab: Lab) -> None:
    assert came_of_it(lab.honestly_served, lab) == "honest", lab.honestly_served


READS = """
import prepare
for part in ("data", "heldout"):
    try:
        (prepare.TASK / part / "rows").read_bytes()
    except PermissionError:
        continue
    raise RuntimeError(f"it reads {part}")
def build_model():
    return prepare.model(lambda table, tokens: table(tokens))
def main():
    prepare.honest()
if __name__ == "__main__":
    main()
"""


def test_a_preflight_reads_no_rows_either(lab: Lab) -> None:
    assert Preflight(lab.served, str(lab.around.scratch), 2000.0)(READS) is None
