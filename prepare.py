"""Everything about the default task that a candidate may not change: data, batches and the clock, the metric.

    uv run prepare.py [--profile NAME] [--shards N]     prepares the data of a hardware profile, once

train.py imports this file for `batches`, `progress`, `report` and `submit`; the examiner imports it for
`examine`. The score is val_bpb, bits per byte of validation text: lower is better. Training rows lie under
TASK/data/PROFILE, validation rows under TASK/heldout/PROFILE, where no training process can read them.

The file stands alone, because a trial's scratch folder holds it and train.py only; what is needed to prepare
but not to train is imported where it is used. The harness speaks to it by environment: LINEAGES_TASK,
LINEAGES_PROFILE, LINEAGES_SEED, LINEAGES_BUDGET_S, LINEAGES_SUBMISSION and LINEAGES_TELEMETRY, the number
of a descriptor that takes lines of JSON.
"""

import argparse
import base64
import bisect
import contextlib
import dataclasses
import errno
import hashlib
import itertools
import json
import math
import os
import shutil
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    import tiktoken

METRIC = "val_bpb"

# ----------------------------------------------------------------------------------------------------
# Profiles and settings


@dataclasses.dataclass(frozen=True)
class Profile:
    """What is trained on, and for how long, on one class of hardware; scores compare within one only."""

    name: str
    corpus: str  # "climbmix" or "stdlib"
    sequence_len: int  # T: tokens a model sees at once; a packed row holds T + 1
    vocab_size: int  # with the special tokens
    eval_tokens: int  # validation tokens, a multiple of sequence_len
    exam_batch: int  # rows the model is asked for at once
    probes: int  # batches of the exam that are probed for peeking
    budget_s: float  # seconds of training, from the first batch
    startup_s: float  # limit until the first batch: imports, compilation, warm-up
    shards: int = 0  # of ClimbMix to train on, about 60 million tokens each

    @property
    def eval_rows(self) -> int:
        return self.eval_tokens // self.sequence_len


# The figures of h100 are autoresearch's, so a bpb means there what it means here.
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("h100", "climbmix", 2048, 8192, 40 * 524_288, 16, 64, 300.0, 240.0, shards=10),
        Profile("gpu", "climbmix", 1024, 8192, 5 * 524_288, 8, 32, 300.0, 240.0, shards=2),
        Profile("cpu", "stdlib", 128, 512, 65_536, 64, 2, 10.0, 60.0),
    )
}

T = TypeVar("T")


def _setting(name: str, default: T, parse: Callable[[str], T], expected: str) -> T:
    text = os.environ.get(name)
    if text is None:
        return default
    try:
        return parse(text)
    except (ValueError, KeyError):
        raise SystemExit(f"{name} is {text!r}; expected {expected}") from None


def _seconds(text: str) -> float:
    if not 0 < float(text) < math.inf:
        raise ValueError(text)
    return float(text)


def _count(text: str) -> int:
    if int(text) < 0:
        raise ValueError(text)
    return int(text)


def _suited_profile() -> Profile:
    if not torch.cuda.is_available():
        return PROFILES["cpu"]
    memory = torch.cuda.get_device_properties(0).total_memory
    return PROFILES["h100" if memory >= 70 * 2**30 else "gpu"]


TASK = Path(os.environ.get("LINEAGES_TASK") or Path(__file__).parent).resolve()
SUBMISSION = Path(os.environ.get("LINEAGES_SUBMISSION") or "submission")
PROFILE = (
    _setting("LINEAGES_PROFILE", None, PROFILES.__getitem__, f"one of {', '.join(PROFILES)}")
    or _suited_profile()
)
BUDGET_S = _setting("LINEAGES_BUDGET_S", PROFILE.budget_s, _seconds, "a number of seconds above 0")
SEED = _setting("LINEAGES_SEED", 0, _count, "a whole number, 0 or more")
STARTUP_S = PROFILE.startup_s
SEQUENCE_LEN = PROFILE.sequence_len
VOCAB_SIZE = PROFILE.vocab_size
DEVICE = torch.device("cuda" if PROFILE.name != "cpu" and torch.cuda.is_available() else "cpu")

torch.manual_seed(SEED)  # the seed belongs to the harness

# ----------------------------------------------------------------------------------------------------
# Training: batches and the clock

Rows = npt.NDArray[np.uint16]  # [N, T + 1]
Batch = tuple[Tensor, Tensor]  # inputs and targets, int64 [B, T]


@dataclasses.dataclass
class _Run:
    """How far this process has come: one clock and one place in the data, whoever asks."""

    telemetry: int | None
    started: float | None = None  # of time.monotonic()
    ended: bool = False
    rows: int = 0
    steps: int = 0
    loss: float | None = None
    told: float = -math.inf  # when telemetry was last sent


_run = _Run(_setting("LINEAGES_TELEMETRY", None, _count, "the number of an open descriptor"))


def batches(batch_size: int) -> Iterator[Batch]:
    """Batches of packed rows, in an order made by the seed, until the budget is spent.

    Each is (inputs, targets), int64 [batch_size, SEQUENCE_LEN] on DEVICE. The clock starts when the first one
    is handed out. Another call goes on where the last one stopped, in the data and on the same clock, so the
    batch size may change on the way. Raises FileNotFoundError if the data has not been prepared.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected 1 or more")
    return _timed(read_rows(TASK / "data" / PROFILE.name, PROFILE), batch_size)


def _timed(rows: Rows, batch_size: int) -> Iterator[Batch]:
    picks = draws(len(rows), batch_size, SEED, _run.rows)
    batch = _load(rows, next(picks))
    handed = None
    while True:
        ahead = _load(rows, next(picks))
        if handed is not None:
            handed.synchronize()  # work queued on the device counts: let it lag one batch, no more
        if _spent():
            return
        _run.rows += batch_size
        if DEVICE.type == "cuda":
            handed = torch.cuda.Event()  # type: ignore[no-untyped-call]
            handed.record()
        yield batch
        batch = ahead


def draws(rows: int, batch: int, seed: int, start: int = 0) -> Iterator[npt.NDArray[np.int64]]:
    """Row numbers [batch], without end: every epoch visits each row once, in an order of its own.

    `start` is the number of rows drawn before.
    """
    epoch, offset = divmod(start, rows)
    waiting = np.random.default_rng([seed, epoch]).permutation(rows)[offset:]
    while True:
        while len(waiting) < batch:
            epoch += 1
            waiting = np.concatenate([waiting, np.random.default_rng([seed, epoch]).permutation(rows)])
        yield waiting[:batch]
        waiting = waiting[batch:]


def _load(rows: Rows, pick: npt.NDArray[np.int64]) -> Batch:
    block = rows[pick]
    inputs = torch.from_numpy(block[:, :-1].astype(np.int64))
    targets = torch.from_numpy(block[:, 1:].astype(np.int64))
    if DEVICE.type == "cuda":
        inputs = inputs.pin_memory().to(DEVICE, non_blocking=True)
        targets = targets.pin_memory().to(DEVICE, non_blocking=True)
    return inputs, targets


def read_rows(folder: Path, profile: Profile) -> Rows:
    """The packed rows of a folder, memory-mapped. Raises FileNotFoundError if there are none."""
    path = folder / "rows.u16"
    if not path.is_file() or not path.stat().st_size:
        raise FileNotFoundError(
            f"no rows of profile {profile.name} in {folder}; run `uv run prepare.py` first"
        )
    return np.memmap(path, dtype="<u2", mode="r").reshape(-1, profile.sequence_len + 1)


def progress() -> float:
    """The fraction of the budget that is spent, 0 to 1; 0 before the clock starts."""
    if _run.started is None:
        return 0.0
    return min((time.monotonic() - _run.started) / BUDGET_S, 1.0)


def _spent() -> bool:
    """Whether the budget is; asked for the first time, starts the clock."""
    if _run.started is None:
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        _run.started = time.monotonic()
        _tell({"event": "clock"})
    spent = progress() >= 1.0
    if spent and not _run.ended:
        _run.ended = True
        _tell_step()
    return spent


def report(*, loss: float) -> None:
    """Count a step of training and say how it goes; call it once an optimiser step."""
    _run.steps += 1
    _run.loss = float(loss)
    if time.monotonic() - _run.told >= 0.1:
        _tell_step()


def _tell_step() -> None:
    _run.told = time.monotonic()
    loss = _run.loss if _run.loss is not None and math.isfinite(_run.loss) else None  # JSON has no NaN
    tokens = _run.rows * SEQUENCE_LEN
    _tell({"event": "step", "fraction": progress(), "loss": loss, "steps": _run.steps, "tokens": tokens})


def _tell(event: dict[str, object]) -> None:
    """Send one line. Telemetry is for watching: when nobody reads it, training does not wait."""
    if _run.telemetry is None:
        return
    os.set_blocking(_run.telemetry, False)
    try:
        os.write(_run.telemetry, json.dumps(event).encode() + b"\n")
    except BlockingIOError:
        pass  # the pipe is full: this line is lost, a later one may pass
    except BrokenPipeError:
        _run.telemetry = None


def submit(model: torch.nn.Module) -> None:
    """Leave the model's weights for the exam, as `weights.safetensors` in the submission folder."""
    from safetensors.torch import save_model

    SUBMISSION.mkdir(parents=True, exist_ok=True)
    partial = SUBMISSION / "weights.partial"
    save_model(getattr(model, "_orig_mod", model), str(partial))  # torch.compile wraps the module
    partial.replace(SUBMISSION / "weights.safetensors")


# ----------------------------------------------------------------------------------------------------
# The exam

# The same batch shape runs the same kernels, so logits before the cut should not change by a bit. Kernels
# whose block layout depends on the data (document masks) may round otherwise: the spacing of bfloat16 is
# 0.06 near 15, where logits are often capped. Eight times that is no rounding.
MOST_CHANGE = 0.5  # of any logit before the cut
# Rounding helps and harms alike; only peeking makes the true future worth something on average. One
# thousandth of a nat a token is about 0.3 mbpb at four bytes a token, below what a trial can resolve.
MOST_LEAK = 1e-3  # nats a token, if also clear of its own noise by
LEAK_SIGMAS = 4.0


class Server(Protocol):
    """A candidate's model, running elsewhere."""

    def logits(self, tokens: Tensor, /) -> Tensor:
        """float32 [B, T, vocab] of int64 [B, T]; valid until the next call."""


class Serve(Protocol):
    """Starts the model server of a submission."""

    def __call__(
        self, batch_size: int, sequence_len: int, vocab_size: int, /
    ) -> contextlib.AbstractContextManager[Server]: ...


def examine(submission: Path, serve: Serve) -> dict[str, float]:
    """Score a submission on the pinned validation rows: {"val_bpb": ...}.

    Raises ValueError, in one line, for a submission without weights, for logits that are not finite and for a
    model that looks ahead. Not covered: a model that looks ahead in so few places that no probe falls on
    one, that drowns a small leak in noise of its own making, or that remembers what it was asked and answers
    a beginning it knows as it did before.
    """
    if not (submission / "weights.safetensors").is_file():
        raise ValueError("the submission holds no weights.safetensors")
    folder = TASK / "heldout" / PROFILE.name
    rows = read_rows(folder, PROFILE)
    lengths = torch.tensor(json.loads((folder / "byte_lengths.json").read_text()))
    leaks: list[float] = []
    with serve(PROFILE.exam_batch, SEQUENCE_LEN, VOCAB_SIZE) as server:
        score = bits_per_byte(_answers(server, rows, leaks), lengths)
    _refuse_leak(leaks)
    return {METRIC: score}


def bits_per_byte(answers: Iterable[Batch], byte_lengths: Tensor) -> float:
    """Summed cross-entropy over summed bytes of the target tokens, in bits.

    `answers` are pairs of logits, float32 [B, T, V], and targets, int64 [B, T]; `byte_lengths` is int64 [V].
    Tokens of length 0, the special ones, count in neither sum. The definition is autoresearch's. Raises
    ValueError if a counted cross-entropy is not finite.
    """
    nats, n_bytes = 0.0, 0
    for logits, targets in answers:
        targets = targets.to(logits.device)
        lengths = byte_lengths.to(logits.device)[targets]
        counted = _surprise(logits, targets)[lengths > 0]
        if not bool(counted.isfinite().all()):
            raise ValueError("the model's logits are not finite")
        nats += float(counted.sum(dtype=torch.float64))
        n_bytes += int(lengths.sum())
    return nats / (math.log(2) * n_bytes)


def _surprise(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats, float32 of the shape of `targets`; logits float32 [..., V]."""
    flat = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, -2), targets.flatten(), reduction="none"
    )
    return flat.view(targets.shape)


def _answers(server: Server, rows: Rows, leaks: list[float]) -> Iterator[Batch]:
    """Logits and targets of all rows, in batches; some, unknown to the model, are probed on the way."""
    chance = np.random.default_rng()  # from the system: a candidate must not foresee the probes
    starts = range(0, len(rows), PROFILE.exam_batch)
    probed = set(chance.choice(starts, min(PROFILE.probes, len(starts)), replace=False).tolist())
    for start in starts:
        block = torch.from_numpy(rows[start : start + PROFILE.exam_batch].astype(np.int64))
        inputs, targets = block[:, :-1], block[:, 1:]
        if start not in probed:
            yield server.logits(inputs), targets
            continue
        true = server.logits(inputs).clone()
        yield true, targets
        others = (np.arange(start, start + len(block)) + chance.integers(1, len(rows))) % len(rows)
        cuts = torch.from_numpy(chance.integers(1, SEQUENCE_LEN, len(block)))
        future = torch.arange(SEQUENCE_LEN) >= cuts[:, None]
        changed = torch.where(future, torch.from_numpy(rows[others, :-1].astype(np.int64)), inputs)
        leaks += _compared(true, server.logits(changed), targets, cuts)


def _compared(true: Tensor, other: Tensor, targets: Tensor, cuts: Tensor) -> list[float]:
    """What the true future is worth in nats just before the cut, for every row [B] of two lots of logits.

    The last logits before the cut predict the first replaced token, so whatever a model takes from anywhere
    in the future shows there. Raises ValueError for a change that no rounding explains.
    """
    for row, cut in enumerate(cuts.tolist()):
        if not torch.allclose(true[row, :cut], other[row, :cut], rtol=0.0, atol=MOST_CHANGE):
            raise ValueError("the model looks ahead: its logits change with tokens that come after them")
    last = (torch.arange(len(cuts)), cuts - 1)
    wanted = targets[last].to(true.device)
    gain = _surprise(other[last], wanted) - _surprise(true[last], wanted)
    return gain[gain.isfinite()].tolist()


def _refuse_leak(leaks: list[float]) -> None:
    leak = float(np.mean(leaks))
    error = float(np.std(leaks)) / math.sqrt(len(leaks))
    if leak > MOST_LEAK and leak > LEAK_SIGMAS * error:
        raise ValueError(f"the model looks ahead: it draws {leak:.4f} nats a token from tokens to come")


def fingerprint() -> str:
    """What a score depends on beside the text of this file: profile, validation rows, byte lengths."""
    folder = TASK / "heldout" / PROFILE.name
    digest = hashlib.sha256(PROFILE.name.encode())
    digest.update(read_rows(folder, PROFILE).tobytes())
    digest.update((folder / "byte_lengths.json").read_bytes())
    return digest.hexdigest()


def ready() -> bool:
    """Whether the data of this profile is prepared, whole."""
    return complete(PROFILE, TASK)


# ----------------------------------------------------------------------------------------------------
# Preparation: corpora

GROUP = 128  # documents that reach the packer together, as in autoresearch
CLIMBMIX = "karpathy/climbmix-400b-shuffle"
VALIDATION_SHARD = 6542  # the last one
PIECE = 256  # characters of source code; a row of the cpu profile holds about as many
NOT_SOURCE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "_bundled", "__pycache__"}


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Documents in groups, for training (read twice) and held out; `documents` counts the first kind."""

    train: Callable[[], Iterator[list[str]]]
    heldout: Callable[[], Iterator[list[str]]]
    documents: int


def climbmix(shards: int) -> Corpus:
    """The first shards of ClimbMix, and the last one held out; fetched if Hugging Face's cache lacks them."""
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

    train = [ParquetFile(_fetch(shard)) for shard in range(shards)]
    heldout = [ParquetFile(_fetch(VALIDATION_SHARD))]
    return Corpus(
        lambda: _texts(train), lambda: _texts(heldout), sum(file.metadata.num_rows for file in train)
    )


def _fetch(shard: int) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    name = f"shard_{shard:05d}.parquet"
    try:
        return Path(hf_hub_download(CLIMBMIX, name, repo_type="dataset"))
    except (OSError, HTTPError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        raise SystemExit(
            f"cannot fetch {name} of {CLIMBMIX}: Hugging Face cannot be reached. "
            "Connect and run it again (what has arrived is kept), or use --profile cpu, which needs none."
        ) from None


def _texts(files: list[Any]) -> Iterator[list[str]]:
    for file in files:
        for number in range(file.num_row_groups):
            texts = file.read_row_group(number, columns=["text"]).column("text").to_pylist()
            yield from _groups(texts)


def _groups(documents: list[str]) -> Iterator[list[str]]:
    return (documents[start : start + GROUP] for start in range(0, len(documents), GROUP))


def standard_library(root: Path) -> Corpus:
    """Python's own source, cut into pieces; one file in ten is held out.

    A whole file is many rows long, and best-fit packing would keep only its beginning.
    """
    train, heldout = split_files(root)
    pieces = [piece for text in train for piece in cut(text)]
    kept_back = [piece for text in heldout for piece in cut(text)]
    return Corpus(lambda: _groups(pieces), lambda: _groups(kept_back), len(pieces))


def split_files(root: Path) -> tuple[list[str], list[str]]:
    """Texts of the .py files under `root`, without tests and what others wrote: for training, and held out.

    The hash of a file decides its side and its place, so equal files are one, and neither depends on names.
    """
    texts: dict[bytes, str] = {}
    for path in root.rglob("*.py"):
        if NOT_SOURCE.isdisjoint(path.relative_to(root).parts):
            content = path.read_bytes()
            texts[hashlib.sha256(content).digest()] = content.decode(errors="replace")
    heldout = [texts[key] for key in sorted(texts) if key[-1] % 10 == 0]
    return [texts[key] for key in sorted(texts) if key[-1] % 10], heldout


def cut(text: str) -> Iterator[str]:
    """Pieces of whole lines: cut at blank lines, and before a piece grows beyond PIECE characters."""
    piece = ""
    for line in text.splitlines(keepends=True):
        if piece and (not line.strip() or len(piece) + len(line) > PIECE):
            yield piece
            piece = ""
        if line.strip():
            piece += line
    if piece:
        yield piece


# ----------------------------------------------------------------------------------------------------
# Preparation: tokens

# GPT-4's pattern with at most two digits to a token, as nanochat and autoresearch have it.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
SPECIALS = ("<|bos|>", "<|special_1|>", "<|special_2|>", "<|special_3|>")  # the last ids; BOS is the first
SAMPLE_CHARACTERS = 1_000_000_000  # that the tokenizer is trained on,
SAMPLE_OF_DOCUMENT = 10_000  # at most so many of each document


def train_tokenizer(groups: Iterable[list[str]], vocab_size: int) -> dict[str, Any]:
    """Byte-pair merges of a corpus, as plain data for `encoding`. Raises ValueError if it has too few."""
    import rustbpe  # type: ignore[import-untyped]

    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(_sample(groups), vocab_size - len(SPECIALS), pattern=PATTERN)
    ranks = sorted(tokenizer.get_mergeable_ranks(), key=lambda pair: pair[1])
    if len(ranks) + len(SPECIALS) != vocab_size:
        raise ValueError(f"the corpus is too small for a vocabulary of {vocab_size}")
    tokens = [base64.b64encode(bytes(token)).decode() for token, _ in ranks]
    return {"pattern": PATTERN, "tokens": tokens, "specials": list(SPECIALS)}


def _sample(groups: Iterable[list[str]]) -> Iterator[str]:
    characters = 0
    for text in itertools.chain.from_iterable(groups):
        yield text[:SAMPLE_OF_DOCUMENT]
        characters += min(len(text), SAMPLE_OF_DOCUMENT)
        if characters >= SAMPLE_CHARACTERS:
            return


def encoding(tokenizer: dict[str, Any]) -> "tiktoken.Encoding":
    """The encoder of `tokenizer.json`: tokens by rank, then the special ones."""
    import tiktoken

    tokens = [base64.b64decode(token) for token in tokenizer["tokens"]]
    return tiktoken.Encoding(
        "lineages",
        pat_str=tokenizer["pattern"],
        mergeable_ranks={token: rank for rank, token in enumerate(tokens)},
        special_tokens={name: len(tokens) + i for i, name in enumerate(tokenizer["specials"])},
    )


def byte_lengths(encoder: "tiktoken.Encoding") -> list[int]:
    """Bytes of every token decoded on its own, 0 for special tokens.

    A fragment of a character thus counts as the three bytes of the replacement character. So autoresearch
    counts; the fragment's own bytes would make another metric of it.
    """
    specials = {encoder.encode_single_token(name) for name in SPECIALS}
    return [
        0 if token in specials else len(encoder.decode([token]).encode()) for token in range(encoder.n_vocab)
    ]


def tokenised(groups: Iterable[list[str]], encoder: "tiktoken.Encoding") -> Iterator[list[Rows]]:
    """Every document as uint16 [n], BOS first."""
    bos = encoder.encode_single_token(SPECIALS[0])
    for texts in groups:
        documents = encoder.encode_ordinary_batch(texts, num_threads=os.cpu_count() or 1)
        yield [np.array([bos, *tokens], dtype=np.uint16) for tokens in documents]


# ----------------------------------------------------------------------------------------------------
# Preparation: packed rows

BUFFER = 1000  # documents the packer chooses from


def pack(groups: Iterable[list[Rows]], capacity: int) -> Iterator[Rows]:
    """Rows, uint16 [capacity], of documents that begin with BOS, as nanochat's best-fit loader makes them.

    Before each choice the buffer is filled up, a whole group at a time. The largest document that fits the
    rest of the row goes in; if none fits, the shortest is cropped to fill it and its rest is dropped; the
    older one wins a tie. No row is padded: the last one is dropped if the documents end before it is full.
    """
    supply = iter(groups)
    waiting: list[tuple[int, int]] = []  # (length, -arrival), sorted: of equal lengths the oldest is last
    documents: dict[int, Rows] = {}  # by -arrival
    arrivals = itertools.count()
    while True:
        row, filled = np.empty(capacity, dtype=np.uint16), 0
        while filled < capacity:
            while len(waiting) < BUFFER and (group := next(supply, None)) is not None:
                for document in group:
                    arrival = -next(arrivals)
                    documents[arrival] = document
                    bisect.insort(waiting, (len(document), arrival))
            if not waiting:
                return
            document = documents.pop(_choose(waiting, capacity - filled))[: capacity - filled]
            row[filled : filled + len(document)] = document
            filled += len(document)
        yield row


def _choose(waiting: list[tuple[int, int]], room: int) -> int:
    """Take out the best fit, or else the shortest; gives its -arrival."""
    after = bisect.bisect(waiting, (room, 1)) or bisect.bisect(waiting, (waiting[0][0], 1))
    return waiting.pop(after - 1)[1]


def build(profile: Profile, corpus: Corpus, task: Path) -> None:
    """Tokenise and pack a corpus, once, into TASK/data/PROFILE and TASK/heldout/PROFILE.

    Either folder appears whole or not at all. Raises ValueError if the corpus is too small for the profile.
    """
    from rich.progress import track

    capacity = profile.sequence_len + 1
    with _aside(task / "heldout" / profile.name) as heldout, _aside(task / "data" / profile.name) as data:
        groups = math.ceil(corpus.documents / GROUP)
        tokenizer = train_tokenizer(track(corpus.train(), "tokenizer", groups), profile.vocab_size)
        encoder = encoding(tokenizer)
        text = json.dumps(tokenizer)
        notes = _made_for(profile) | {"tokenizer": hashlib.sha256(text.encode()).hexdigest()}

        held = itertools.islice(pack(tokenised(corpus.heldout(), encoder), capacity), profile.eval_rows)
        rows = _write_rows(heldout, track(held, "validation", profile.eval_rows), notes)
        if rows < profile.eval_rows:
            raise ValueError(
                f"the corpus gives {rows} validation rows; {profile.name} needs {profile.eval_rows}"
            )
        (heldout / "byte_lengths.json").write_text(json.dumps(byte_lengths(encoder)))

        train = tokenised(track(corpus.train(), "training", groups), encoder)
        _write_rows(data, pack(train, capacity), notes)
        (data / "tokenizer.json").write_text(text)


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` once all went well, and is removed otherwise."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_rows(folder: Path, rows: Iterable[Rows], notes: dict[str, object]) -> int:
    written = 0
    with (folder / "rows.u16").open("wb") as file:
        for row in rows:
            file.write(row.astype("<u2").tobytes())
            written += 1
        file.flush()
        os.fsync(file.fileno())
    (folder / "prepared.json").write_text(json.dumps(notes | {"rows": written}))
    return written


def _made_for(profile: Profile) -> dict[str, object]:
    names = ("corpus", "sequence_len", "vocab_size", "eval_tokens", "shards")
    return {name: getattr(profile, name) for name in names}


def complete(profile: Profile, task: Path, *, same_shards: bool = False) -> bool:
    """Whether both folders of a profile are there, whole, made for it and by the same preparation."""
    wanted = _made_for(profile)
    if not same_shards:
        del wanted["shards"]  # more or fewer of them are still this profile
    data, heldout = (_notes(task / part / profile.name, profile) for part in ("data", "heldout"))
    fits = wanted.items() <= data.items() and wanted.items() <= heldout.items()
    return fits and data["tokenizer"] == heldout["tokenizer"]


def _notes(folder: Path, profile: Profile) -> dict[str, Any]:
    """What was noted of the rows in a folder; nothing if rows are missing."""
    if not (folder / "prepared.json").is_file() or not (folder / "rows.u16").is_file():
        return {}
    notes: dict[str, Any] = json.loads((folder / "prepared.json").read_text())
    whole = (folder / "rows.u16").stat().st_size == notes["rows"] * (profile.sequence_len + 1) * 2
    return notes if whole else {}


# ----------------------------------------------------------------------------------------------------


def main() -> None:
    """Prepare a profile's data; a second time there is nothing to do."""
    parser = argparse.ArgumentParser(description="Prepare data and tokenizer of a hardware profile.")
    parser.add_argument(
        "--profile", choices=PROFILES, default=PROFILE.name, help="default: what suits this machine"
    )
    parser.add_argument("--shards", type=int, help="shards of ClimbMix to train on")
    asked = parser.parse_args()
    profile = PROFILES[asked.profile]
    if asked.shards is not None:
        if profile.corpus != "climbmix" or not 1 <= asked.shards <= VALIDATION_SHARD:
            parser.error(f"--shards is for h100 and gpu, and from 1 to {VALIDATION_SHARD}")
        profile = dataclasses.replace(profile, shards=asked.shards)
    if complete(profile, TASK, same_shards=asked.shards is not None):
        print(f"{profile.name} is prepared already, in {TASK / 'data' / profile.name}")
        return
    try:
        root = Path(sysconfig.get_path("stdlib"))
        corpus = climbmix(profile.shards) if profile.corpus == "climbmix" else standard_library(root)
        build(profile, corpus, TASK)
    except ValueError as error:
        raise SystemExit(f"cannot prepare {profile.name}: {error}") from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise SystemExit(
            f"no space left for {profile.name}: make room in {TASK} or Hugging Face's cache, and run it again"
        ) from None
    tokens = len(read_rows(TASK / "data" / profile.name, profile)) * profile.sequence_len
    print(f"{profile.name} is prepared: {tokens / 1e6:.1f} million training tokens")


if __name__ == "__main__":
    main()
