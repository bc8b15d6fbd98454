"""Everything about the default task that a candidate may not change: data, batches and the clock, the metric.

    uv run prepare.py [--profile NAME] [--shards N]     prepares the data of a hardware profile, once

train.py imports this file for `batches`, `progress`, `report` and `submit`; the examiner imports it for
`examine`. The score is val_bpb, bits per byte of validation text: lower is better. Training rows lie under
TASK/data/PROFILE, validation rows under TASK/heldout/PROFILE, where no training process can read them.

The file stands alone, because a trial's scratch folder holds it and train.py only; how the data is made is in
trainer/preparing, which the command alone needs. The harness speaks to it by environment: LINEAGES_TASK,
LINEAGES_PROFILE, LINEAGES_SEED, LINEAGES_BUDGET_S, LINEAGES_SUBMISSION, LINEAGES_TELEMETRY, the number of a
descriptor that takes lines of JSON, and LINEAGES_FEED, the two from which a trial takes its rows. Without the
last, `python train.py` reads them from the files. LINEAGES_FEEDS says that this process hands out rows
(trainer/feed/feeder.py) and computes nothing.

The cpu profile is for trying things out: its corpus lies on every machine where a candidate can read it.
"""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import mmap
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

FEEDS = "LINEAGES_FEEDS" in os.environ
if not FEEDS:  # a feeder starts together with its trial, which would feel the import
    import torch
    from torch import Tensor

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
    probes: int  # batches that are also asked of a second model server
    budget_s: float  # seconds of training, from the first batch
    startup_s: float  # limit until the first batch: imports, compilation, warm-up
    shards: int = 0  # of ClimbMix to train on, about 60 million tokens each

    @property
    def eval_rows(self) -> int:
        return self.eval_tokens // self.sequence_len

    def made_for(self) -> dict[str, object]:
        """What `prepared.json` notes beside the number of training rows. More or fewer shards fit as well."""
        names = ("corpus", "sequence_len", "vocab_size", "eval_tokens")
        return {name: getattr(self, name) for name in names}


MOST_SHARDS = 6542  # of ClimbMix; the one after them is held out

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


def _two_counts(text: str) -> tuple[int, int]:
    one, other = map(_count, text.split(","))
    return one, other


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
FEED = _setting("LINEAGES_FEED", None, _two_counts, "the numbers of two open descriptors")
STARTUP_S = PROFILE.startup_s
SEQUENCE_LEN = PROFILE.sequence_len
VOCAB_SIZE = PROFILE.vocab_size

if not FEEDS:
    DEVICE = torch.device("cuda" if PROFILE.name != "cpu" and torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED)  # the seed belongs to the harness

# ----------------------------------------------------------------------------------------------------
# Training: batches and the clock

Rows = npt.NDArray[np.uint16]  # [N, T + 1]
Picks = npt.NDArray[np.int64]  # [B]: numbers of rows
Batch: TypeAlias = "tuple[Tensor, Tensor]"  # inputs and targets, int64 [B, T]

# What a training may read in the task's folder. Rows are not among it: they are fed.
OPEN = ("data/flash-attn3",)


@dataclasses.dataclass
class _Run:
    """How far this process has come: one clock and one place in the data, whoever asks."""

    telemetry: int | None
    started: float | None = None  # of time.monotonic()
    ended: bool = False
    rows: int = 0
    steps: int = 0
    losses: list[float] = dataclasses.field(default_factory=list)  # since telemetry was last sent
    loss: float | None = None  # their mean, when it was
    told: float = -math.inf  # when telemetry was last sent


_run = _Run(_setting("LINEAGES_TELEMETRY", None, _count, "the number of an open descriptor"))


def turn() -> None:
    """Wait until the GPU is this training's own; until then another one may have it.

    What comes before this call is done while another genome trains, and so costs no time of the GPU. Nothing
    before it may use the GPU.
    """
    if door := os.environ.pop("LINEAGES_TURN", None):
        with socket.socket(fileno=int(door)) as waits:
            waits.recv(1)


def batches(batch_size: int) -> Iterator[Batch]:
    """Batches of packed rows, in an order made by the seed, until the budget is spent.

    Each is (inputs, targets), int64 [batch_size, SEQUENCE_LEN] on DEVICE. The clock starts when the first one
    is handed out. Another call goes on where the last one stopped, in the data and on the same clock, so the
    batch size may change on the way. Raises FileNotFoundError if the data has not been prepared.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected 1 or more")
    if FEED is None:
        _training_rows()
    return _timed(batch_size)


def _timed(batch_size: int) -> Iterator[Batch]:
    handed = None
    while True:
        if _run.started is None and DEVICE.type == "cuda":
            torch.cuda.synchronize()
        # Where in the data is the run's to say: other calls may have drawn since this one did.
        rows = feed(_run.rows, batch_size) if FEED is None else _feeder().take(batch_size)
        if rows is None:
            _end()
            return
        batch = _load(rows)
        if handed is not None:
            handed.synchronize()  # work queued on the device counts: let it lag one batch, no more
        if _run.started is None:
            _start_clock()
        if progress() >= 1.0:
            _end()
            return
        _run.rows += batch_size
        if DEVICE.type == "cuda":
            handed = torch.cuda.Event()  # type: ignore[no-untyped-call]
            handed.record()
        yield batch


def feed(start: int, count: int) -> Rows:
    """The rows of a training from the `start`-th on, [count, T + 1], in the order that the seed makes."""
    rows = _training_rows()
    return rows[drawn(len(rows), SEED, start, count)]


@functools.cache
def _training_rows() -> Rows:
    return read_rows(TASK / "data" / PROFILE.name, PROFILE)


def drawn(rows: int, seed: int, start: int, count: int) -> Picks:
    """Numbers of the rows drawn next, after `start` of them: each epoch visits every row once.

    Epochs have orders of their own, which follow from the seed.
    """
    first, offset = divmod(start, rows)
    last = (start + count - 1) // rows
    orders = [_order(rows, seed, epoch) for epoch in range(first, last + 1)]
    return np.concatenate(orders)[offset : offset + count]


@functools.lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> Picks:
    return np.random.default_rng([seed, epoch]).permutation(rows)


class _Fed:
    """The rows that the harness's feeder puts into a ring of shared memory (trainer/feed/feeder.py), until
    the budget is spent; its first one starts the clock."""

    def __init__(self, asks: int, ring: int) -> None:
        self._feeder = socket.socket(fileno=asks)
        memory = mmap.mmap(ring, os.fstat(ring).st_size, access=mmap.ACCESS_READ)
        size = SEQUENCE_LEN + 1
        self._places = len(memory) // (2 * size)
        self._ring = np.frombuffer(memory, "<u2", self._places * size).reshape(-1, size)
        self._given = self._taken = 0  # rows, since the beginning
        self.started = 0.0  # of time.monotonic()

    def take(self, count: int) -> Rows | None:
        """The next rows [count, T + 1], or None when no more are handed out."""
        if not self._taken:
            self._tell()
        rows = np.empty((count, SEQUENCE_LEN + 1), "<u2")
        filled = 0
        while filled < count:
            with contextlib.suppress(BlockingIOError):
                while self._hear(0 if self._given == self._taken else socket.MSG_DONTWAIT):
                    pass
            if self._given < 0:
                return None
            at = self._taken % self._places
            block = self._ring[at : at + min(count - filled, self._given - self._taken)]
            rows[filled : filled + len(block)] = block
            filled += len(block)
            self._taken += len(block)
            self._tell()
        return rows

    def _tell(self) -> None:
        self._feeder.sendall(struct.pack("<q", self._taken))

    def _hear(self, flags: int) -> bool:
        """Take one answer; whether there may be another. Raises BlockingIOError."""
        answer = self._feeder.recv(16, flags)
        if not answer:
            raise EOFError("the harness hands out no data any more")
        self._given, self.started = struct.unpack("<qd", answer)
        return self._given >= 0


@functools.cache
def _feeder() -> _Fed:
    assert FEED is not None
    return _Fed(*FEED)


def _load(rows: Rows) -> Batch:
    inputs = torch.from_numpy(rows[:, :-1].astype(np.int64))
    targets = torch.from_numpy(rows[:, 1:].astype(np.int64))
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
    if _run.ended:
        return 1.0
    return min((time.monotonic() - _run.started) / BUDGET_S, 1.0)


def _start_clock() -> None:
    _run.started = time.monotonic() if FEED is None else _feeder().started
    _tell({"event": "clock"})


def _end() -> None:
    if not _run.ended:
        _run.ended = True
        _tell_step()


def report(*, loss: float) -> None:
    """Count a step of training and say how it goes; call it once an optimiser step."""
    _run.steps += 1
    _run.losses.append(float(loss))
    if time.monotonic() - _run.told >= 0.1:
        _tell_step()


def _tell_step() -> None:
    _run.told = time.monotonic()
    if _run.losses:
        _run.loss = sum(_run.losses) / len(_run.losses)
        _run.losses.clear()
    loss = _run.loss if _run.loss is not None and math.isfinite(_run.loss) else None  # JSON has no NaN
    tokens = _run.rows * SEQUENCE_LEN
    _tell({"event": "step", "loss": loss, "steps": _run.steps, "tokens": tokens})


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


def submit(model: "torch.nn.Module") -> None:
    """Leave the model's weights for the exam, as `weights.safetensors` in the submission folder."""
    from safetensors.torch import save_file

    SUBMISSION.mkdir(parents=True, exist_ok=True)
    partial = SUBMISSION / "weights.partial"
    save_file(_weights(model), partial)
    partial.replace(SUBMISSION / "weights.safetensors")


def _weights(model: "torch.nn.Module") -> "dict[str, Tensor]":
    """The state dict under the names it has uncompiled; what is tied is in it once, under its first name."""
    kept: dict[object, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else name
        kept.setdefault(place, (name.replace("_orig_mod.", ""), tensor.contiguous()))
    return dict(kept.values())


# ----------------------------------------------------------------------------------------------------
# The exam

# Nothing that learns for minutes comes near: large models of 2025 need half a bit for a byte of web text or
# source code, and the profiles' first genomes 1 to 2.5.
LEAST_BPB = 0.3


class Server(Protocol):
    """A candidate's model, running elsewhere."""

    def logits(self, tokens: "Tensor", /) -> "Tensor":
        """float32 [B, T, vocab] of int64 [B, T]; valid until the next call."""


class Serve(Protocol):
    """Starts the model server of a submission."""

    def __call__(
        self, batch_size: int, sequence_len: int, vocab_size: int, /
    ) -> contextlib.AbstractContextManager[Server]: ...


def examine(submission: Path, serve: Serve) -> dict[str, float]:
    """Score a submission on the pinned validation rows: {"val_bpb": ...}.

    Two servers of it are asked, which cannot talk to each other: the score is the first one's, the second
    shows whether it was come by honestly (`trainer.examining.agreement`, which says what is not covered).
    Raises ValueError, in one line, for a submission without weights, for logits that are not finite, for a
    model that looks ahead or answers anything but the row, and for a score that no model has.
    """
    from trainer.examining import agreement

    if not (submission / "weights.safetensors").is_file():
        raise ValueError("the submission holds no weights.safetensors")
    folder = TASK / "heldout" / PROFILE.name
    rows = read_rows(folder, PROFILE)
    lengths = torch.tensor(json.loads((folder / "byte_lengths.json").read_text()))
    shape = (PROFILE.exam_batch, SEQUENCE_LEN, VOCAB_SIZE)
    with serve(*shape) as first, serve(*shape) as second:
        answers = agreement.answers(first, second, rows, PROFILE.exam_batch, PROFILE.probes)
        score = bits_per_byte(answers, lengths)
    _refuse_implausible(score)
    return {METRIC: score}


def _refuse_implausible(score: float) -> None:
    most = math.log2(VOCAB_SIZE)
    if score > most:
        raise ValueError(
            f"{METRIC} is {score:.3f}: worse than a guess among all tokens for every byte, {most:g}"
        )
    if score < LEAST_BPB:
        raise ValueError(f"{METRIC} is {score:.3f}: below {LEAST_BPB}, which no model can learn in this time")


def bits_per_byte(answers: Iterable[Batch], byte_lengths: "Tensor") -> float:
    """Summed cross-entropy over summed bytes of the target tokens, in bits.

    `answers` are pairs of logits, float32 [B, T, V], and targets, int64 [B, T]; `byte_lengths` is int64 [V].
    Tokens of length 0, the special ones, count in neither sum. The definition is autoresearch's. Raises
    ValueError if a counted cross-entropy is not finite.
    """
    nats, n_bytes = 0.0, 0
    for logits, targets in answers:
        targets = targets.to(logits.device)
        lengths = byte_lengths.to(logits.device)[targets]
        flat = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, -2), targets.flatten(), reduction="none"
        )
        counted = flat.view(targets.shape)[lengths > 0]
        if not bool(counted.isfinite().all()):
            raise ValueError("the model's logits are not finite")
        nats += float(counted.sum(dtype=torch.float64))
        n_bytes += int(lengths.sum())
    return nats / (math.log(2) * n_bytes)


def fingerprint() -> str:
    """What a score depends on beside the text of this file: profile, rows, byte lengths, tokenizer.

    Of the training rows only their number: an exam asks for this, and reading them takes longer than it does.
    """
    data, heldout = TASK / "data" / PROFILE.name, TASK / "heldout" / PROFILE.name
    digest = hashlib.sha256(PROFILE.name.encode())
    digest.update(read_rows(heldout, PROFILE).tobytes())
    digest.update((heldout / "byte_lengths.json").read_bytes())
    digest.update((data / "tokenizer.json").read_bytes())
    digest.update(str(len(read_rows(data, PROFILE))).encode())
    return digest.hexdigest()


def ready() -> bool:
    """Whether the data of this profile is prepared, whole."""
    return complete(PROFILE, TASK)


def complete(profile: Profile, task: Path) -> bool:
    """Whether the data of a profile is there, whole and made for it."""
    data, heldout = task / "data" / profile.name, task / "heldout" / profile.name
    try:
        made = json.loads((data / "prepared.json").read_text())
        sizes = [(folder / "rows.u16").stat().st_size for folder in (data, heldout)]
    except FileNotFoundError:
        return False
    wanted = profile.made_for()
    row_bytes = 2 * (profile.sequence_len + 1)
    return wanted.items() <= made.items() and sizes == [
        made["rows"] * row_bytes,
        profile.eval_rows * row_bytes,
    ]


# ----------------------------------------------------------------------------------------------------
# The command


def main() -> None:
    """Prepare a profile's data; a second time there is nothing to do."""
    from trainer.errors import BadInput
    from trainer.preparing import corpus, kernel

    profile, anew = _asked()
    folder = TASK / "data" / profile.name
    try:
        with corpus.alone(TASK):
            if complete(profile, TASK) and not anew:
                print(f"{profile.name} is prepared already, in {folder}")
            else:
                rows = corpus.prepare(profile, TASK)
                tokens = rows * profile.sequence_len
                print(f"{profile.name} is prepared: {tokens / 1e6:.1f} million training tokens, in {folder}")
            if profile.name != "cpu":
                print(kernel.fetch(TASK / "data"))
    except BadInput as error:
        raise SystemExit(str(error)) from None


def _asked() -> tuple[Profile, bool]:
    """The profile the command line asks for, and whether it is to be prepared whatever is there."""
    parser = argparse.ArgumentParser(description="Prepare data and tokenizer of a hardware profile.")
    parser.add_argument(
        "--profile", choices=PROFILES, default=PROFILE.name, help="default: what suits this machine"
    )
    parser.add_argument("--shards", type=int, help="shards of ClimbMix to train on; prepares anew")
    asked = parser.parse_args()
    profile = PROFILES[asked.profile]
    if asked.shards is None:
        return profile, False
    if profile.corpus != "climbmix" or not 1 <= asked.shards <= MOST_SHARDS:
        parser.error(f"--shards is for h100 and gpu, and from 1 to {MOST_SHARDS}")
    return dataclasses.replace(profile, shards=asked.shards), True


if __name__ == "__main__":
    main()
