"""Data reaches a candidate only from the clock on, only while the budget lasts, and the same rows as ever."""

import contextlib
import hashlib
import json
import mmap
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import prepare
from trainer.feed.feeder import CLOCK, ENDED, GIVEN, TAKEN, Ring, serve
from trainer.feed.feeding import FeederFailed, is_fed, open_to_training
from trainer.outcome import Completed, Crashed, Refused, Report, TimedOut
from trainer.task import Task
from trainer.trial import Order, run_trial
from trainer.warm.harness import Warm

ROWS = np.arange(50, dtype=np.uint16).repeat(4).reshape(50, 4)


def numbered(start: int, count: int) -> np.ndarray:
    return ROWS[np.arange(start, start + count) % 50]


class Line:
    """A candidate's end of a feeder that runs in a thread."""

    def __init__(self, budget_s: float, shut: bool, stack: contextlib.ExitStack) -> None:
        self.memory = mmap.mmap(-1, 8 * ROWS[0].nbytes)
        self.ring = Ring(self.memory, numbered)
        pairs = [socket.socketpair(type=socket.SOCK_SEQPACKET) for _ in range(2)]
        (self.asks, asked), (self.harness, tells) = pairs
        self.door, door = socket.socketpair()
        for end in (*pairs[0], *pairs[1], self.door, door):
            stack.enter_context(end)
        if not shut:
            self.door.close()
        self.asks.settimeout(20), self.harness.settimeout(20)
        self.thread = threading.Thread(target=serve, args=(self.ring, asked, tells, door, budget_s))
        self.thread.start()
        stack.callback(self.hang_up)

    def ask(self, taken: int) -> int:
        self.asks.sendall(TAKEN.pack(taken))
        return int(GIVEN.unpack(self.asks.recv(GIVEN.size))[0])

    def rows(self) -> list[int]:
        return [int(number) for number in np.frombuffer(self.memory, np.uint16).reshape(-1, 4)[:, 0]]

    def hang_up(self) -> None:
        self.asks.close(), self.door.close()
        self.thread.join(20)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def line(budget_s: float = 60.0, shut: bool = False) -> Iterator[Line]:
    with contextlib.ExitStack() as stack:
        yield Line(budget_s, shut, stack)


def test_no_row_is_there_before_the_first_request_which_starts_the_clock() -> None:
    with line() as fed:
        assert not any(fed.rows())
        before = time.monotonic()
        assert fed.ask(0) == 8
        assert before <= CLOCK.unpack(fed.harness.recv(CLOCK.size))[0] <= time.monotonic()
        assert fed.rows() == list(range(8))


def test_the_clock_does_not_start_before_its_turn_whoever_asks() -> None:
    with line(shut=True) as fed:
        fed.asks.sendall(TAKEN.pack(0))
        fed.harness.settimeout(0.2)
        with pytest.raises(TimeoutError):
            fed.harness.recv(CLOCK.size)
        assert not any(fed.rows())
        opened = time.monotonic()
        fed.door.close()
        fed.harness.settimeout(20)
        assert CLOCK.unpack(fed.harness.recv(CLOCK.size))[0] >= opened


def test_a_place_is_filled_again_only_when_its_row_was_taken() -> None:
    with line() as fed:
        assert [fed.ask(0), fed.ask(3), fed.ask(3)] == [8, 11, 11]
        assert fed.rows() == [8, 9, 10, 3, 4, 5, 6, 7]
        assert fed.ask(11) == 19 and fed.rows() == [16, 17, 18, 11, 12, 13, 14, 15]


def test_after_the_budget_no_row_comes() -> None:
    with line(budget_s=0.2) as fed:
        fed.ask(0)
        time.sleep(0.25)
        assert fed.ask(8) == fed.ask(8) == ENDED
        assert fed.rows() == list(range(8))


@pytest.mark.parametrize("nonsense", [b"x", b"x" * 9, TAKEN.pack(-1), TAKEN.pack(9), TAKEN.pack(2**62)])
def test_a_candidate_that_talks_nonsense_is_fed_no_more(nonsense: bytes) -> None:
    with line() as fed:
        fed.ask(0)
        fed.asks.send(nonsense)
        fed.thread.join(20)
        assert not fed.thread.is_alive()


def test_a_candidate_that_asks_and_does_not_listen_or_writes_into_the_ring_harms_only_itself() -> None:
    with line() as fed:
        fed.memory[:] = b"\xff" * len(fed.memory)
        for _ in range(5000):
            fed.asks.sendall(TAKEN.pack(0))
        assert fed.ring.given == 8 and fed.thread.is_alive()


# Trials of the real task, of a model that is a table


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """The default task with made-up rows of the cpu profile."""
    folder = tmp_path_factory.mktemp("task")
    profile = prepare.PROFILES["cpu"]
    chance = np.random.default_rng(0)
    for part, rows in (("data", 3000), ("heldout", profile.eval_rows)):
        (folder / part / "cpu").mkdir(parents=True)
        made = chance.integers(0, 512, (rows, profile.sequence_len + 1), dtype=np.uint16)
        made.astype("<u2").tofile(folder / part / "cpu" / "rows.u16")
        (folder / part / "cpu" / "byte_lengths.json").write_text(json.dumps([2] * 512))
        (folder / part / "cpu" / "tokenizer.json").write_text("{}")
    text = Path(prepare.__file__).read_text()
    return Task(str(folder), text, "val_bpb", 1.0, 60.0, "", "cpu", "cpu")


GENOME = """
import hashlib, mmap, os, pathlib, sys, time
import torch
import prepare
class Table(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(512, 512)
        torch.nn.init.zeros_(self.table.weight)
    def forward(self, tokens):
        return self.table(tokens)
def build_model():
    return Table()
def main():
    {does}
if __name__ == "__main__":
    main()
"""


class Lab:
    """Runs trials, and keeps what was printed."""

    def __init__(self, folder: Path, task: Task, warm: Warm | None) -> None:
        self.task, self.folder, self.warm = task, folder, warm

    def run(self, *does: str, **changed: object) -> Report:
        genome = GENOME.format(does="\n    ".join(does))
        order = Order(
            1, genome, 7, msgspec.structs.replace(self.task, **changed), str(self.log), str(self.folder)
        )
        return run_trial(order, lambda progress: None, self.warm)

    @property
    def log(self) -> Path:
        return self.folder / "log"


@pytest.fixture
def lab(tmp_path: Path, task: Task, warm: Warm) -> Lab:
    return Lab(tmp_path, task, warm)


def test_a_trial_is_fed_the_rows_of_the_files_in_the_order_of_its_seed(lab: Lab) -> None:
    sizes = [3, 16, 1, 20_000, 20_000]  # more than the ring holds
    lab.run(
        "found = hashlib.sha256()",
        f"for size in {sizes}:",
        "    inputs, targets = next(prepare.batches(size))",
        "    found.update(torch.cat([inputs, targets[:, -1:]], 1).numpy().astype('<u2').tobytes())",
        "    assert 0 < prepare.progress() < 1",
        "print(found.hexdigest())",
        budget_s=60.0,
    )
    rows = np.fromfile(Path(lab.task.folder) / "data/cpu/rows.u16", "<u2").reshape(-1, 129)
    expected = hashlib.sha256(rows[prepare.drawn(len(rows), 7, 0, sum(sizes))].tobytes())
    assert lab.log.read_text().splitlines()[-1] == expected.hexdigest()


def test_no_file_of_the_data_can_be_read_and_no_settings_of_its_own_lengthen_the_budget(lab: Lab) -> None:
    report = lab.run(
        "for part in ('data', 'heldout'):",
        "    try: (prepare.TASK / part / 'cpu' / 'rows.u16').read_bytes()",
        "    except PermissionError: print('denied', part)",
        "try: prepare.feed(0, 1)",
        "except PermissionError: print('denied feed')",
        "prepare.BUDGET_S = 1e9",
        "began = time.monotonic()",
        "for batch in prepare.batches(64): pass",
        "assert time.monotonic() - began < 10",
        "print('ended at', prepare.progress())",
    )
    assert report.outcome == Crashed("left no submission", lab.log.read_text().strip())
    assert lab.log.read_text().split() == [
        "denied",
        "data",
        "denied",
        "heldout",
        "denied",
        "feed",
        "ended",
        "at",
        "1.0",
    ]


def test_a_clock_that_only_the_candidate_started_is_none(lab: Lab) -> None:
    tells = """os.write(int(os.environ["LINEAGES_TELEMETRY"]), b'{{"event": "clock"}}\\n')"""
    genome = f"import os, time; {tells.replace('{{', '{').replace('}}', '}')}; time.sleep(60)"
    task = msgspec.structs.replace(lab.task, startup_s=1.0)
    order = Order(1, genome, 7, task, str(lab.log), str(lab.folder))
    assert run_trial(order, lambda progress: None, lab.warm).outcome == TimedOut("startup", 1.0)


IN_TIME = ("next(prepare.batches(1))", "prepare.submit(build_model())")


@pytest.mark.parametrize(
    "does",
    [
        ("next(prepare.batches(1))", "time.sleep(2.5)", "prepare.submit(build_model())"),
        (
            *IN_TIME,
            "file = open(prepare.SUBMISSION / 'weights.safetensors', 'r+b')",
            "memory = mmap.mmap(file.fileno(), 0)",
            "memory[-1] = 1",
            "time.sleep(2.5)",
            "memory[-1] = 2",
        ),
    ],
    ids=["came", "changed"],
)
def test_a_submission_that_comes_late_or_is_changed_late_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, does: tuple[str, ...]
) -> None:
    monkeypatch.setattr("trainer.training.LATE_S", 0.5)
    outcome = lab.run(*does).outcome
    assert isinstance(outcome, Refused), outcome
    late_s = re.fullmatch(r"the submission came ([\d.]+) s after the budget ended", outcome.reason)
    assert late_s and 0.5 <= float(late_s[1]) < 10


def test_a_late_submission_is_refused_though_nobody_looked_when_it_was_due(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.training.LATE_S", 0.5)
    monkeypatch.setattr("trainer.training.Training.left_s", lambda training: 60.0)
    outcome = lab.run("next(prepare.batches(1))", "time.sleep(2.5)", "prepare.submit(build_model())").outcome
    assert isinstance(outcome, Refused) and "after the budget ended" in outcome.reason
    assert isinstance(lab.run(*IN_TIME, "time.sleep(2.5)").outcome, Completed)


@pytest.mark.slow
def test_an_honest_trial_is_scored_and_may_end_later_than_its_submission(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.training.LATE_S", 0.2)
    report = lab.run("prepare.report(loss=6.2)", *IN_TIME, "time.sleep(2.5)")
    assert isinstance(report.outcome, Completed), report.outcome
    assert report.outcome.score == pytest.approx(4.5)  # a uniform guess among 512 tokens of two bytes
    assert report.usage.training_s > 2.5 and report.usage.steps == 1


LEARNS = (
    "model = build_model()",
    "torch.nn.init.normal_(model.table.weight, std=0.01)",
    "optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)",
    "for _ in range(5):",
    "    inputs, targets = next(prepare.batches(16))",
    "    torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).backward()",
    "    optimiser.step(); optimiser.zero_grad()",
    "prepare.submit(model)",
    "print(hashlib.sha256(model.table.weight.detach().numpy().tobytes()).hexdigest())",
)


@pytest.mark.slow
def test_a_forked_trial_learns_and_scores_to_the_last_bit_what_a_started_one_does(lab: Lab) -> None:
    found = []
    for warm in (lab.warm, None):
        lab.warm = warm
        outcome = lab.run(*LEARNS, budget_s=60.0).outcome
        assert isinstance(outcome, Completed), outcome
        found.append((outcome.score, lab.log.read_text()))
    assert found[0] == found[1] and found[0][0] != pytest.approx(4.5)


def test_a_feeder_that_fails_is_not_the_candidates_fault(lab: Lab) -> None:
    with pytest.raises(FeederFailed, match="no rows of profile cpu"):
        lab.run("next(prepare.batches(1))", folder="/nowhere")


def test_only_what_is_open_of_a_fed_task_can_be_read_and_all_data_of_another(task: Task) -> None:
    assert is_fed(task) and open_to_training(task) == [Path(task.folder) / "data/flash-attn3"]
    other = msgspec.structs.replace(task, prepare="METRIC = 'loss'")
    assert not is_fed(other) and open_to_training(other) == [Path(task.folder) / "data"]
