"""The default task's prepare.py: packed rows, order, clock, metric, and a cache that is whole or absent."""

import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow  # type: ignore[import-untyped]
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from safetensors.torch import load_model

import prepare

SOURCE = Path(prepare.__file__)
TINY = prepare.Profile("tiny", "made", 16, 300, 64, 2, 2, 1.0, 10.0)


def words(seed: int, documents: int) -> list[str]:
    """Documents of 0 to 60 made-up words: shorter and longer than a row, and empty."""
    chance = np.random.default_rng(seed)
    vocabulary = ["".join(chance.choice(list("abcdefgh é"), 5)) for _ in range(200)]
    return [" ".join(chance.choice(vocabulary, chance.integers(0, 61))) for _ in range(documents)]


def corpus(documents: int = 400) -> prepare.Corpus:
    train, heldout = words(1, documents), words(2, documents)
    return prepare.Corpus(lambda: iter([train]), lambda: iter([heldout]), documents)


Load = Callable[..., ModuleType]


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task folder with the real cpu profile, prepared by the command."""
    folder = tmp_path_factory.mktemp("task")
    run_prepare(folder, "--profile", "cpu").check_returncode()
    return folder


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


def run_prepare(task: Path, *arguments: str, **told: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SOURCE, *arguments],
        env=os.environ | {"LINEAGES_TASK": str(task), "LINEAGES_PROFILE": "cpu"} | told,
        capture_output=True,
        text=True,
    )


# Packing


def plainly_packed(groups: list[list[list[int]]], capacity: int) -> list[list[int]]:
    """The definition, word by word: look at every document in the buffer before each choice."""
    coming = list(groups)
    buffer: list[list[int]] = []
    rows: list[list[int]] = []
    while True:
        row: list[int] = []
        while len(row) < capacity:
            while len(buffer) < prepare.BUFFER and coming:
                buffer.extend(coming.pop(0))
            if not buffer:
                return rows
            room = capacity - len(row)
            fitting = [len(document) for document in buffer if len(document) <= room]
            wanted = max(fitting) if fitting else min(len(document) for document in buffer)
            chosen = next(i for i, document in enumerate(buffer) if len(document) == wanted)
            row += buffer.pop(chosen)[:room]
        rows.append(row)


@settings(deadline=None)
@given(
    lengths=st.lists(st.lists(st.integers(1, 40), max_size=30), max_size=20),
    capacity=st.integers(1, 20),
    buffer=st.sampled_from([1, 5, 50, 1000]),
)
def test_packed_rows_are_those_of_the_plain_definition(
    lengths: list[list[int]], capacity: int, buffer: int
) -> None:
    tokens = iter(range(2**16))  # every token its own, so that two documents are never alike
    groups = [[[next(tokens) for _ in range(n)] for n in group] for group in lengths]
    arrays = [[np.array(document, dtype=np.uint16) for document in group] for group in groups]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "BUFFER", buffer)
        packed = [row.tolist() for row in prepare.pack(arrays, capacity)]
        assert packed == plainly_packed(groups, capacity)


def test_rows_of_a_full_buffer_are_those_of_the_plain_definition() -> None:
    chance = np.random.default_rng(0)
    groups = [
        [np.full(n, i % 60_000, np.uint16) for n in chance.geometric(0.02, prepare.GROUP)] for i in range(20)
    ]
    plain = plainly_packed([[document.tolist() for document in group] for group in groups], 129)
    assert [row.tolist() for row in prepare.pack(groups, 129)] == plain


def test_every_row_on_disk_starts_with_bos_and_is_full(task: Path) -> None:
    cpu = prepare.PROFILES["cpu"]
    encoder = prepare.encoding(json.loads((task / "data/cpu/tokenizer.json").read_text()))
    for part in ("data", "heldout"):
        rows = prepare.read_rows(task / part / "cpu", cpu)
        assert (rows[:, 0] == encoder.encode_single_token(prepare.SPECIALS[0])).all()
        assert rows.max() < cpu.vocab_size and rows.shape[1] == cpu.sequence_len + 1
    assert len(rows) == cpu.eval_rows


def test_the_rows_on_disk_decode_to_their_documents(tmp_path: Path) -> None:
    prepare.build(TINY, corpus(), tmp_path)
    encoder = prepare.encoding(json.loads((tmp_path / "data/tiny/tokenizer.json").read_text()))
    documents = words(1, 400)
    for row in prepare.read_rows(tmp_path / "data/tiny", TINY)[:50]:
        pieces = encoder.decode(row.tolist(), errors="ignore").split(prepare.SPECIALS[0])[1:]
        assert all(any(document.startswith(piece) for document in documents) for piece in pieces)


# The corpus and the cache


def test_shards_are_read_in_groups_that_stay_within_a_row_group(tmp_path: Path) -> None:
    texts = [f"document {n}" for n in range(700)]
    parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "shard.parquet", row_group_size=300)
    groups = list(prepare._texts([parquet.ParquetFile(tmp_path / "shard.parquet")]))
    assert [len(group) for group in groups] == [128, 128, 44, 128, 128, 44, 100]
    assert [text for group in groups for text in group] == texts


def test_no_file_is_both_trained_on_and_held_out() -> None:
    train, heldout = prepare.split_files(Path(sysconfig.get_path("stdlib")))
    assert not set(train) & set(heldout)
    assert 0.05 < sum(map(len, heldout)) / sum(map(len, train)) < 0.2


def test_tests_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    for name in (
        "kept.py",
        "test/no.py",
        "a/tests/no.py",
        "site-packages/x/no.py",
        "a/kept_too.py",
        "no.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    train, heldout = prepare.split_files(tmp_path)
    assert sorted(train + heldout) == ["a/kept_too.py", "kept.py"]


@given(st.text(alphabet="ab \n", max_size=2000))
def test_cutting_a_file_loses_nothing_but_blank_lines(text: str) -> None:
    kept = "".join(line for line in text.splitlines(keepends=True) if line.strip())
    assert "".join(prepare.cut(text)) == kept


def test_preparing_twice_does_nothing_the_second_time(
    load: Load, task: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (task / "data/cpu/rows.u16").stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", ["prepare.py"])
    load().main()
    assert "already" in capsys.readouterr().out
    assert (task / "data/cpu/rows.u16").stat().st_mtime_ns == before


def test_the_same_corpus_gives_the_same_rows(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        prepare.build(TINY, corpus(), tmp_path / folder)
    for part in ("data", "heldout"):
        one, two = ((tmp_path / folder / part / "tiny/rows.u16").read_bytes() for folder in ("one", "two"))
        assert one == two


def test_a_preparation_cut_short_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    def cut_short() -> Iterator[list[str]]:
        yield words(2, 50)
        raise KeyboardInterrupt

    whole = corpus()
    with pytest.raises(KeyboardInterrupt):
        prepare.build(TINY, dataclasses.replace(whole, heldout=cut_short), tmp_path)
    assert not prepare.complete(TINY, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    prepare.build(TINY, whole, tmp_path)
    assert prepare.complete(TINY, tmp_path)


def test_half_of_a_cache_is_not_ready(tmp_path: Path) -> None:
    prepare.build(TINY, corpus(), tmp_path)
    rows = tmp_path / "data/tiny/rows.u16"
    rows.write_bytes(rows.read_bytes()[:-2])
    assert not prepare.complete(TINY, tmp_path)
    prepare.build(TINY, corpus(), tmp_path)
    (tmp_path / "heldout/tiny").rename(tmp_path / "elsewhere")
    assert not prepare.complete(TINY, tmp_path)


def test_halves_of_two_preparations_are_not_ready(tmp_path: Path) -> None:
    prepare.build(TINY, corpus(400), tmp_path)
    prepare.build(TINY, corpus(300), tmp_path / "other")
    (tmp_path / "data/tiny").rename(tmp_path / "elsewhere")
    (tmp_path / "other/data/tiny").rename(tmp_path / "data/tiny")
    assert not prepare.complete(TINY, tmp_path)


def test_a_cache_of_other_settings_is_not_ready(tmp_path: Path) -> None:
    prepare.build(TINY, corpus(), tmp_path)
    assert not prepare.complete(dataclasses.replace(TINY, eval_tokens=32), tmp_path)
    more = dataclasses.replace(TINY, shards=3)
    assert prepare.complete(more, tmp_path) and not prepare.complete(more, tmp_path, same_shards=True)


def test_a_corpus_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="validation rows"):
        prepare.build(dataclasses.replace(TINY, eval_tokens=10**7), corpus(), tmp_path)
    with pytest.raises(ValueError, match="too small for a vocabulary"):
        prepare.build(dataclasses.replace(TINY, vocab_size=60_000), corpus(), tmp_path)


def test_no_network_is_one_clear_line(tmp_path: Path) -> None:
    told = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    failed = run_prepare(tmp_path, "--profile", "gpu", **told)
    assert failed.returncode == 1 and failed.stdout == ""
    assert failed.stderr.count("\n") == 1 and "Hugging Face cannot be reached" in failed.stderr


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


@given(rows=st.integers(1, 30), batch=st.integers(1, 70), seed=st.integers(0, 5), start=st.integers(0, 100))
def test_every_epoch_visits_every_row_once(rows: int, batch: int, seed: int, start: int) -> None:
    picks = prepare.draws(rows, batch, seed)
    drawn = np.concatenate([next(picks) for _ in range(3 * rows // batch + 3)])
    for epoch in range(len(drawn) // rows):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    later = next(prepare.draws(rows, batch, seed, start))
    assert later[: len(drawn[start:])].tolist() == drawn[start : start + batch].tolist()


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
    assert steps[-1] == steps[-1] | {"loss": 2.5, "fraction": 1.0, "steps": n + 1}
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


def test_a_compiled_model_with_tied_weights_can_be_loaded_again(load: Load, tmp_path: Path) -> None:
    model, again = Tied(), Tied()
    load().submit(torch.compile(model, backend="eager"))
    assert [path.name for path in (tmp_path / "left").iterdir()] == ["weights.safetensors"]
    load_model(again, tmp_path / "left/weights.safetensors")
    assert torch.equal(again.head.weight, model.embedding.weight)


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
    """Examine with `model` in the place of the model server."""
    folder.mkdir(exist_ok=True)
    (folder / "weights.safetensors").touch()

    @contextlib.contextmanager
    def serve(batch_size: int, sequence_len: int, vocab_size: int) -> Iterator[SimpleNamespace]:
        buffer = torch.empty(batch_size, sequence_len, vocab_size)  # reused, as the real server's is
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


def test_special_tokens_have_no_bytes_and_others_have_their_own(task: Path) -> None:
    encoder = prepare.encoding(json.loads((task / "data/cpu/tokenizer.json").read_text()))
    lengths = json.loads((task / "heldout/cpu/byte_lengths.json").read_text())
    assert len(lengths) == 512 and lengths[-4:] == [0, 0, 0, 0]
    text = "def main(arguments):\n    return 12345\n"
    assert sum(lengths[token] for token in encoder.encode_ordinary(text)) == len(text)
    fragment = encoder.encode_single_token(b"\xc3")
    assert lengths[fragment] == 3  # as autoresearch counts


@pytest.mark.parametrize("model", [peeking(by=5.0), peeking(by=5.0, share=20), peeking(by=0.01)])
def test_a_model_that_looks_ahead_is_refused(load: Load, tmp_path: Path, model: Model) -> None:
    with pytest.raises(ValueError, match="looks ahead"):
        examine(load(), tmp_path, model)


def test_rounding_is_not_mistaken_for_peeking(load: Load, tmp_path: Path) -> None:
    def rough(tokens: torch.Tensor) -> torch.Tensor:
        return bigram(tokens) + 0.01 * torch.randn(*tokens.shape, 512)

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


def test_the_fingerprint_changes_with_the_rows_and_the_byte_lengths(load: Load, tmp_path: Path) -> None:
    seen = set()
    for eval_tokens in (512, 1024):
        small = dataclasses.replace(TINY, name="cpu", sequence_len=128, eval_tokens=eval_tokens)
        prepare.build(small, corpus(), tmp_path)
        seen.add(load(TASK=tmp_path).fingerprint())
    path = tmp_path / "heldout/cpu/byte_lengths.json"
    path.write_text(json.dumps([n * 2 for n in json.loads(path.read_text())]))
    seen.add(load(TASK=tmp_path).fingerprint())
    assert len(seen) == 3


def test_ready_says_whether_the_data_is_there(load: Load, tmp_path: Path) -> None:
    assert load().ready()
    assert not load(TASK=tmp_path).ready()
