"""The default task's prepare.py: the command, the order of rows, the clock, the metric and the exam."""

import contextlib
import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_model

import prepare
from trainer.preparing import corpus

SOURCE = Path(prepare.__file__)

Load = Callable[..., ModuleType]


Processes = list[tuple[int, str]]  # exit code, and what was said


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Processes]:
    """A task folder with the real cpu profile, prepared by the command: twice, at the same time."""
    folder = tmp_path_factory.mktemp("task")
    both = [start_prepare(folder, "--profile", "cpu") for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    return folder, [(process.returncode, text) for process, text in zip(both, said, strict=True)]


@pytest.fixture(scope="session")
def task(prepared: tuple[Path, Processes]) -> Path:
    return prepared[0]


@pytest.fixture
def load(task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports prepare.py anew, as a new process would, with the harness's settings."""

    def fresh(**told: object) -> ModuleType:
        told = {"TASK": task, "PROFILE": "cpu", "SUBMISSION": tmp_path / "left"} | told
        for name, value in told.items():
            monkeypatch.setenv(f"LINEAGES_{name}", str(value))
        spec = importlib.util.spec_from_file_location("fresh_prepare", SOURCE)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return fresh


def start_prepare(task: Path, *arguments: str, **told: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SOURCE, *arguments],
        env=os.environ | {"LINEAGES_TASK": str(task), "LINEAGES_PROFILE": "cpu"} | told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# The command


def test_of_two_preparations_at_once_one_waits_and_finds_it_done(prepared: tuple[Path, Processes]) -> None:
    task, ended = prepared
    assert [code for code, _ in ended] == [0, 0], ended
    said = sorted(text.splitlines()[-1] for _, text in ended)
    assert "cpu is prepared already" in said[0] and "million training tokens" in said[1]
    assert prepare.complete(prepare.PROFILES["cpu"], task)


def test_a_prepared_profile_is_let_be(load: Load, task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (task / "data/cpu/rows.u16").stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", ["prepare.py"])
    load().main()
    assert (task / "data/cpu/rows.u16").stat().st_mtime_ns == before


def test_a_trial_needs_no_more_than_this_file(task: Path, tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path / "prepare.py")
    trial = "import prepare, sys; next(prepare.batches(2)); sys.exit('trainer' in sys.modules)"
    told = {"LINEAGES_TASK": str(task), "LINEAGES_PROFILE": "cpu"}
    subprocess.run([sys.executable, "-c", trial], cwd=tmp_path, env=os.environ | told, check=True)


def test_every_row_on_disk_starts_with_bos_and_is_full(task: Path) -> None:
    cpu = prepare.PROFILES["cpu"]
    encoder = corpus.encoding(json.loads((task / "data/cpu/tokenizer.json").read_text()))
    for part in ("data", "heldout"):
        rows = prepare.read_rows(task / part / "cpu", cpu)
        assert (rows[:, 0] == encoder.encode_single_token(corpus.SPECIALS[0])).all()
        assert rows.max() < cpu.vocab_size and rows.shape[1] == cpu.sequence_len + 1
    assert len(rows) == cpu.eval_rows


def test_special_tokens_have_no_bytes_and_others_have_their_own(task: Path) -> None:
    encoder = corpus.encoding(json.loads((task / "data/cpu/tokenizer.json").read_text()))
    lengths = json.loads((task / "heldout/cpu/byte_lengths.json").read_text())
    assert len(lengths) == 512 and lengths[-4:] == [0, 0, 0, 0]
    text = "def main(arguments):\n    return 12345\n"
    assert sum(lengths[token] for token in encoder.encode_ordinary(text)) == len(text)
    fragment = encoder.encode_single_token(b"\xc3")
    assert lengths[fragment] == 3  # as autoresearch counts


def failed_fetch(folder: Path, **told: str) -> str:
    """All that is said when the shards of ClimbMix cannot be had."""
    process = start_prepare(folder, "--profile", "gpu", HF_HOME=str(folder / "hf"), **told)
    said = process.communicate()[0]
    assert process.returncode == 1 and said.count("\n") == 1, said
    return said


def test_no_network_is_one_clear_line(tmp_path: Path) -> None:
    assert "Hugging Face cannot be reached" in failed_fetch(tmp_path, HF_HUB_OFFLINE="1")


def test_a_refusal_is_not_called_a_lack_of_network(tmp_path: Path) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        said = failed_fetch(tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "403" in said and "reached" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [("PROFILE", "tpu"), ("BUDGET_S", "-1"), ("BUDGET_S", "nan"), ("SEED", "x"), ("TELEMETRY", "")],
)
def test_a_bad_setting_is_one_clear_line(load: Load, name: str, value: str) -> None:
    with pytest.raises(SystemExit, match=f"LINEAGES_{name} is '{value}'; expected") as refusal:
        load(**{name: value})
    assert "\n" not in str(refusal.value)


# Batches and the clock


def test_batches_are_inputs_and_their_next_tokens(load: Load) -> None:
    fresh = load()
    inputs, targets = next(fresh.batches(4))
    assert inputs.shape == targets.shape == (4, fresh.SEQUENCE_LEN)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_the_seed_decides_the_order(load: Load) -> None:
    first, same, other = (next(load(SEED=seed).batches(8))[0] for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_importing_seeds_torch(load: Load) -> None:
    drawn = []
    for seed in (1, 1, 2):
        load(SEED=seed)
        drawn.append(torch.rand(()).item())
    assert drawn[0] == drawn[1] != drawn[2]


@given(
    rows=st.integers(1, 30),
    seed=st.integers(0, 5),
    counts=st.lists(st.integers(1, 70), min_size=1, max_size=9),
)
def test_every_epoch_visits_every_row_once(rows: int, seed: int, counts: list[int]) -> None:
    starts = [sum(counts[:i]) for i in range(len(counts))]
    drawn = np.concatenate([prepare.drawn(rows, seed, *pair) for pair in zip(starts, counts, strict=True)])
    assert len(drawn) == sum(counts)
    for epoch in range(len(drawn) // rows):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    assert drawn.tolist() == prepare.drawn(rows, seed, 0, sum(counts)).tolist()


def test_the_budget_ends_the_batches(load: Load) -> None:
    fresh = load(BUDGET_S=0.3)
    assert fresh.progress() == 0.0
    began = time.monotonic()
    fractions = [fresh.progress() for _ in fresh.batches(4)]
    assert time.monotonic() - began >= 0.3
    assert fractions == sorted(fractions) and fractions[0] < 1.0 and fresh.progress() == 1.0


def test_time_before_the_first_batch_is_free(load: Load) -> None:
    fresh = load(BUDGET_S=0.2)
    stream = fresh.batches(4)
    time.sleep(0.3)
    assert fresh.progress() == 0.0
    assert len(list(stream)) > 0


def test_asking_again_goes_on_with_the_same_clock_and_data(load: Load) -> None:
    fresh, whole = load(BUDGET_S=30), load(BUDGET_S=30)
    first = next(fresh.batches(2))[0]
    at_first = fresh.progress()
    second = next(fresh.batches(2))[0]
    assert fresh.progress() > at_first > 0.0
    assert torch.equal(torch.cat([first, second]), next(whole.batches(4))[0])
    spent = load(BUDGET_S=0.1)
    assert list(spent.batches(4)) and not list(spent.batches(4))


def test_two_callers_at_once_share_the_data_between_them(load: Load) -> None:
    fresh, whole = load(BUDGET_S=30), load(BUDGET_S=30)
    one, other = fresh.batches(2), fresh.batches(2)
    taken = [next(stream)[0] for stream in (one, other, one, other)]
    assert torch.equal(torch.cat(taken), next(whole.batches(8))[0])


def test_missing_rows_are_named(load: Load, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"run `uv run prepare\.py` first"):
        load(TASK=tmp_path).batches(4)


def test_telemetry_tells_the_clock_the_steps_and_the_end(load: Load) -> None:
    read, write = os.pipe()
    fresh = load(BUDGET_S=0.5, TELEMETRY=write)
    for n, _ in enumerate(fresh.batches(4)):
        fresh.report(loss=float("nan") if n == 0 else 2.5)
    os.close(write)
    with os.fdopen(read) as pipe:
        clock, *steps = [json.loads(line) for line in pipe]
    assert clock == {"event": "clock"} and all(step["event"] == "step" for step in steps)
    assert steps[0] == steps[0] | {"loss": None, "steps": 1, "tokens": 4 * fresh.SEQUENCE_LEN}
    assert steps[-1] == steps[-1] | {"loss": 2.5, "steps": n + 1}
    assert len(steps) <= 7  # ten a second, and the last


def test_training_goes_on_when_nobody_listens(load: Load) -> None:
    for close in (True, False):  # a broken pipe, and one that is full
        read, write = os.pipe()
        os.set_blocking(write, False)
        with contextlib.suppress(BlockingIOError):
            while not close:
                os.write(write, b"x" * 4096)
        if close:
            os.close(read)
        fresh = load(BUDGET_S=0.1, TELEMETRY=write)
        for _ in fresh.batches(4):
            fresh.report(loss=1.0)
        assert fresh.progress() == 1.0


# The submission and the exam


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(8, 4)
        self.head = torch.nn.Linear(4, 8, bias=False)
        self.head.weight = self.embedding.weight


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("compiled", [(), ("head",), ("embedding", "head")])
def test_a_model_compiled_in_parts_and_with_tied_weights_can_be_loaded_again(
    load: Load, tmp_path: Path, compiled: tuple[str, ...], whole: bool
) -> None:
    model = Tied()
    weight = model.head.weight
    for part in compiled:
        setattr(model, part, torch.compile(model.get_submodule(part), backend="eager"))
    load().submit(torch.compile(model, backend="eager") if whole else model)
    assert [path.name for path in (tmp_path / "left").iterdir()] == ["weights.safetensors"]
    again = Tied()
    load_model(again, tmp_path / "left/weights.safetensors")
    assert torch.equal(again.head.weight, weight)


Model = Callable[[torch.Tensor], torch.Tensor]
BIGRAMS = torch.randn(512, 512, generator=torch.Generator().manual_seed(0))


def bigram(tokens: torch.Tensor) -> torch.Tensor:
    """Logits that depend on the last token only."""
    return BIGRAMS[tokens]


def peeking(by: float, share: int = 1) -> Model:
    """A bigram model that, at every `share`th position, raises the logit of the token to come."""

    def model(tokens: torch.Tensor) -> torch.Tensor:
        logits = bigram(tokens)
        places = torch.arange(0, tokens.shape[1] - 1, share)
        known = tokens[:, places + 1, None]
        logits[:, places] = logits[:, places].scatter_add(-1, known, torch.full(known.shape, by))
        return logits

    return model


def examine(fresh: ModuleType, folder: Path, model: Model) -> float:
    """Examine with `model` in the place of both model servers."""
    return examine_apart(fresh, folder, lambda: model)


def examine_apart(fresh: ModuleType, folder: Path, start: Callable[[], Model]) -> float:
    """Examine with what `start` gives in the place of a model server, which thus has a memory of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "weights.safetensors").touch()

    @contextlib.contextmanager
    def serve(batch_size: int, sequence_len: int, vocab_size: int) -> Iterator[SimpleNamespace]:
        buffer = torch.empty(batch_size, sequence_len, vocab_size)  # reused, as the real server's is
        model = start()
        yield SimpleNamespace(logits=lambda tokens: buffer[: len(tokens)].copy_(model(tokens)))

    score: float = fresh.examine(folder, serve)[fresh.METRIC]
    return score


def plain_bits_per_byte(rows: np.ndarray, model: Model, lengths: list[int]) -> float:
    nats, n_bytes = 0.0, 0
    for row in torch.from_numpy(rows.astype(np.int64)):
        chances = torch.softmax(model(row[None, :-1])[0].double(), dim=-1)
        true = chances[torch.arange(len(row) - 1), row[1:]]
        for chance, target in zip(true.tolist(), row[1:].tolist(), strict=True):
            if lengths[target]:
                nats -= math.log(chance)
                n_bytes += lengths[target]
    return nats / n_bytes / math.log(2)


def test_bits_per_byte_is_the_definition() -> None:
    rows = np.random.default_rng(0).integers(0, 512, (4, 33))
    lengths = [n % 5 for n in range(512)]
    block = torch.from_numpy(rows)
    answers = [(bigram(block[i : i + 2, :-1]), block[i : i + 2, 1:]) for i in (0, 2)]
    measured = prepare.bits_per_byte(answers, torch.tensor(lengths))
    assert measured == pytest.approx(plain_bits_per_byte(rows, bigram, lengths), abs=1e-6)


def test_the_exam_measures_the_validation_rows(load: Load, task: Path, tmp_path: Path) -> None:
    rows = prepare.read_rows(task / "heldout/cpu", prepare.PROFILES["cpu"])
    lengths = json.loads((task / "heldout/cpu/byte_lengths.json").read_text())
    plain = plain_bits_per_byte(rows, bigram, lengths)
    assert examine(load(), tmp_path, bigram) == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("model", [peeking(by=5.0), peeking(by=5.0, share=20), peeking(by=0.01)])
def test_a_model_that_looks_ahead_is_refused(load: Load, tmp_path: Path, model: Model) -> None:
    with pytest.raises(ValueError, match="looks ahead"):
        examine(load(), tmp_path, model)


def test_rounding_is_not_mistaken_for_peeking(load: Load, tmp_path: Path) -> None:
    def rough(tokens: torch.Tensor) -> torch.Tensor:
        return bigram(tokens) + 0.004 * torch.randn(*tokens.shape, 512)

    assert math.isfinite(examine(load(), tmp_path, rough))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_refused(load: Load, tmp_path: Path, bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        examine(load(), tmp_path, lambda tokens: torch.full((*tokens.shape, 512), bad))


def test_special_tokens_may_be_ruled_out(load: Load, tmp_path: Path) -> None:
    def ruling_out(tokens: torch.Tensor) -> torch.Tensor:
        logits = bigram(tokens)
        logits[..., -4:] = -math.inf
        return logits

    assert examine(load(), tmp_path, ruling_out) < examine(load(), tmp_path, bigram)


def test_a_submission_without_weights_is_refused(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no weights\.safetensors"):
        load().examine(tmp_path, None)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("heldout/cpu/rows.u16", lambda old: old[:-1] + bytes([old[-1] ^ 1])),
        ("heldout/cpu/byte_lengths.json", lambda old: old.replace(b"1", b"2", 1)),
        ("data/cpu/tokenizer.json", lambda old: old.replace(b"special_1", b"special_9")),
        ("data/cpu/rows.u16", lambda old: old[: -2 * 129]),
    ],
    ids=["validation", "byte-lengths", "tokenizer", "training"],
)
def test_the_fingerprint_changes_with_what_a_score_depends_on(
    load: Load, task: Path, tmp_path: Path, path: str, change: Callable[[bytes], bytes]
) -> None:
    copy = shutil.copytree(task, tmp_path / "copy")
    before = load(TASK=copy).fingerprint()
    (copy / path).write_bytes(change((copy / path).read_bytes()))
    assert load().fingerprint() == before != load(TASK=copy).fingerprint()


def test_ready_says_whether_the_data_is_there(load: Load, tmp_path: Path) -> None:
    assert load().ready()
    assert not load(TASK=tmp_path).ready()
