"""A model is scored from its logits, and its process can hurt nobody but itself."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_model

from trainer.examining.server import serve
from trainer.examining.submission import Refusal, copy_submission
from trainer.outcome import Completed, Refused
from trainer.running.launch import Start, cold
from trainer.running.log import Log
from trainer.task import open_task
from trainer.trial import Order, examine

ROWS, LENGTH, VOCAB = 4, 8, 16

PREPARE = f"""
METRIC, BUDGET_S = "loss", 60
def examine(submission, serve):
    import torch
    tokens = torch.arange(6 * {LENGTH + 1}).view(6, {LENGTH + 1}) * 7 % {VOCAB}
    total = 0.0
    with serve({ROWS}, {LENGTH}, {VOCAB}) as server:
        for rows in tokens.split({ROWS}):
            logits = server.logits(rows[:, :-1])
            assert logits.shape == (len(rows), {LENGTH}, {VOCAB}) and logits.dtype == torch.float32
            total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(),
                reduction="sum").item()
    return {{"loss": total / tokens[:, 1:].numel()}}
"""
GENOME = f"""
import json, os, socket, sys, time
import torch
setup = json.loads(sys.argv[1]) if len(sys.argv) == 2 and sys.argv[1][0] == '{{' else {{}}
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.out = torch.nn.Embedding({VOCAB}, 12), torch.nn.Linear(12, {VOCAB})
        self.drop = torch.nn.Dropout(0.5)
    def forward(self, tokens):
        return self.out(self.drop(self.embed(tokens)))
def build_model():
    return Model()
"""


def genome_whose_forward(does: str) -> str:
    return GENOME.replace("return self.out(self.drop(self.embed(tokens)))", does)


def direct_loss() -> float:
    """The same loss without server, buffer or process."""
    namespace: dict[str, Any] = {}
    exec(GENOME + "torch.manual_seed(3); model = build_model().eval()", namespace)
    tokens = torch.arange(6 * (LENGTH + 1)).view(6, LENGTH + 1) * 7 % VOCAB
    with torch.inference_mode():
        logits = namespace["model"](tokens[:, :-1])
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()))


def order_for(folder: Path, genome: str, prepare: str = PREPARE) -> Order:
    task = folder / "task"
    task.mkdir()
    for name, text in (("prepare.py", prepare), ("train.py", ""), ("program.md", "")):
        (task / name).write_text(text)
    return Order(1, genome, 3, open_task(task, "cpu"), str(folder / "log"), str(folder / "scratch"))


def test_a_served_model_has_the_loss_it_has_directly(tmp_path: Path, forked: Start) -> None:
    order, left = order_for(tmp_path, GENOME), submission_in(tmp_path / "left", GENOME)
    outcome, _ = examine(order, tmp_path, left, tmp_path / "log", lambda progress: None, start=forked)
    assert isinstance(outcome, Completed)
    assert outcome.score == pytest.approx(direct_loss(), abs=1e-6)


def test_a_model_that_fails_is_refused_with_its_reason(tmp_path: Path, forked: Start) -> None:
    order = order_for(tmp_path, genome_whose_forward("raise ValueError('tired')"))
    left = submission_in(tmp_path / "left", order.genome)
    (left / "train.py").write_text("raise ValueError('this is not the genome')")
    outcome, _ = examine(order, tmp_path, left, tmp_path / "log", lambda progress: None, start=forked)
    assert outcome == Refused("the model's process died with exit code 1: ValueError: tired")


TWICE = f"""
METRIC, BUDGET_S = "loss", 60
def examine(submission, serve):
    import numpy, torch
    from trainer.examining import agreement
    rows = numpy.random.default_rng(0).integers(0, {VOCAB}, (96, {LENGTH + 1})).astype(numpy.uint16)
    shape, nats = ({ROWS}, {LENGTH}, {VOCAB}), 0.0
    with serve(*shape) as first, serve(*shape) as second:
        for logits, targets in agreement.answers(first, second, rows, {ROWS}, 8):
            nats += float(agreement.surprise(logits, targets).sum())
    return {{"loss": nats / rows[:, 1:].size}}
"""
HONEST = "return self.out(self.drop(self.embed(tokens)))"
PEEKS = """
        logits, coming = self.out(self.embed(tokens)), tokens[:, 1:, None]
        logits[:, :-1].scatter_add_(2, coming, torch.full(coming.shape, 3.0))
        """


def examined_twice(folder: Path, genome: str, start: Start) -> Completed | Refused:
    order = order_for(folder, genome, TWICE)
    left = submission_in(folder / "left", GENOME)
    outcome, _ = examine(order, folder, left, folder / "log", lambda progress: None, start=start)
    assert isinstance(outcome, Completed | Refused)
    return outcome


@pytest.mark.parametrize(
    ("does", "found"),
    [
        (
            PEEKS
            + """
        known = self.__dict__.setdefault("known", {})
        for row, answer in zip(tokens.tolist(), logits):
            answer[:6] = known.setdefault(tuple(row[:3]), answer.clone())[:6]
        return logits""",
            "looks ahead",
        ),
        (
            PEEKS
            + """
        for row, answer in zip(tokens.tolist(), logits):
            name = "-".join(map(str, row[:3]))
            for folder in ("/dev/shm", "/tmp", "/var/tmp", os.environ["HOME"], os.getcwd()):
                path = f"{folder}/lineages-test-{setup['shape']}-{name}"
                try: answer[:6] = torch.load(path)[:6]
                except OSError:
                    try: torch.save(answer.clone(), path)
                    except (OSError, RuntimeError): pass
        return logits""",
            "looks ahead",
        ),
        (
            "self.calls = getattr(self, 'calls', 0) + 1; return self.out(self.embed(tokens)) * self.calls",
            "otherwise in another|looks ahead",  # whichever is seen first
        ),
    ],
    ids=["remembers", "passes-notes", "counts"],
)
def test_a_cheat_in_two_processes_is_refused(tmp_path: Path, forked: Start, does: str, found: str) -> None:
    outcome = examined_twice(tmp_path, genome_whose_forward(does), forked)
    assert isinstance(outcome, Refused) and re.search(found, outcome.reason), outcome


def test_an_honest_model_passes_with_dropout_in_bfloat16_and_compiled(tmp_path: Path, forked: Start) -> None:
    genome = genome_whose_forward("with torch.autocast('cpu', torch.bfloat16): " + HONEST)
    compiled = "model = Model(); model.compile(backend='aot_eager'); return model"
    outcome = examined_twice(tmp_path, genome.replace("return Model()", compiled), forked)
    assert isinstance(outcome, Completed) and 2.5 < outcome.score < 3.5, outcome


def submission_in(folder: Path, genome: str) -> Path:
    folder.mkdir()
    (folder / "train.py").write_text(genome)
    namespace: dict[str, Any] = {}
    exec(GENOME + "torch.manual_seed(3)", namespace)
    save_model(namespace["build_model"](), str(folder / "weights.safetensors"))
    return folder


def ask_model(folder: Path, genome: str, start: Start) -> torch.Tensor:
    left = submission_in(folder / "left", genome)
    with serve(left, "cpu", (ROWS, LENGTH, VOCAB), start=start) as server:
        return server.logits(torch.zeros(2, LENGTH, dtype=torch.int64)).clone()


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        ("os.kill(0, 9)", "exit code -9"),
        ("return self.out(self.embed(tokens))[:1]", "exit code 1"),
        ("socket.socket(fileno=setup['channel']).send(b'garbage'); time.sleep(60)", "answered garbage"),
    ],
)
def test_a_model_that_dies_or_answers_garbage_is_refused(
    tmp_path: Path, forked: Start, does: str, expected: str
) -> None:
    with pytest.raises(Refusal, match=expected):
        ask_model(tmp_path, genome_whose_forward(does), forked)


def test_only_the_first_answer_may_take_its_time(tmp_path: Path, forked: Start) -> None:
    slower = "self.naps = getattr(self, 'naps', 0) + 1; time.sleep(60 if self.naps > 1 else 1)"
    left = submission_in(
        tmp_path / "left", genome_whose_forward(slower + "; return self.out(self.embed(tokens))")
    )
    with serve(left, "cpu", (ROWS, LENGTH, VOCAB), answer_s=0.3, start=forked) as server:
        assert server.logits(torch.zeros(2, LENGTH, dtype=torch.int64)).isfinite().all()
        with pytest.raises(Refusal, match=r"no answer within 0\.3 s"):
            server.logits(torch.zeros(2, LENGTH, dtype=torch.int64))


def test_weights_of_another_shape_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], forked: Start
) -> None:
    with pytest.raises(Refusal, match="exit code 1"):
        ask_model(tmp_path, GENOME.replace("12", "13"), forked)
    assert "size mismatch" in capfd.readouterr().err


def test_the_model_can_neither_shrink_the_buffers_nor_see_the_harness(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAGES_TELEMETRY", "99")
    monkeypatch.setenv("LINEAGES_SEED", "3")
    try_it = """
        try: os.ftruncate(setup["logits"], 0)
        except PermissionError: print("sealed")
        print(sorted(os.environ), sys.path)
        return self.out(self.embed(tokens))"""
    assert ask_model(tmp_path, genome_whose_forward(try_it), cold).isfinite().all()
    said = capfd.readouterr().out
    assert "sealed" in said and "LINEAGES_SEED" in said
    assert "LINEAGES_TELEMETRY" not in said
    assert repr(str(Path(__file__).parents[2])) not in said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_logits_come_back_through_a_cuda_buffer(tmp_path: Path) -> None:
    left = submission_in(tmp_path / "left", GENOME)
    with serve(left, "cuda", (ROWS, LENGTH, VOCAB)) as server:
        logits = server.logits(torch.zeros(2, LENGTH, dtype=torch.int64))
        assert logits.is_cuda and logits.isfinite().all() and logits.abs().sum() > 0


@pytest.mark.parametrize(
    "forge",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: path.symlink_to("/nowhere"),
        lambda path: path.mkdir(),
        os.mkfifo,
    ],
)
def test_only_regular_files_are_a_submission(tmp_path: Path, forge: Callable[[Path], None]) -> None:
    (tmp_path / "left").mkdir()
    forge(tmp_path / "left" / "weights.safetensors")
    with pytest.raises(Refusal, match="weights"):
        copy_submission(tmp_path / "left", tmp_path / "copy")


def test_a_link_in_the_place_of_the_submission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "left").symlink_to("/etc")
    with pytest.raises(Refusal, match="not a folder"):
        copy_submission(tmp_path / "left", tmp_path / "copy")


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.examining.submission.MOST_MB", 1)
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "weights").write_bytes(bytes(2**20 + 1))
    with pytest.raises(Refusal, match="larger than 1 MB"):
        copy_submission(tmp_path / "left", tmp_path / "copy")


def test_a_log_keeps_beginning_and_end(tmp_path: Path) -> None:
    with Log(tmp_path / "log") as log:
        for number in range(200_000):
            log.write(f"{number}\n".encode())
    text = (tmp_path / "log").read_text()
    assert text.startswith("0\n1\n") and text.endswith("199999\n") and len(text) < 600_000
    assert log.tail().splitlines()[0] == "199980"
