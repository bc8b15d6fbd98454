"""How the data of a profile is made, once: a corpus, its tokenizer, and packed rows to train and examine on.

Only `prepare.py`, run as a command, imports this; a trial has the rows and not the means to make them.
Corpora come in groups of documents, since the packer takes them a group at a time. Nothing is pickled.
"""

import base64
import bisect
import contextlib
import errno
import hashlib
import itertools
import json
import os
import shutil
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tiktoken
from filelock import FileLock
from rich.progress import track

from trainer.errors import BadInput
from trainer.running.log import one_line

Tokens = npt.NDArray[np.uint16]  # [n]: a document, or a packed row

GROUP = 128  # documents that reach the packer together, as in autoresearch
CLIMBMIX = "karpathy/climbmix-400b-shuffle"
VALIDATION_SHARD = 6542  # the last one, counted from 0
PIECE = 256  # characters of source code; a row of the cpu profile holds about as many
NOT_SOURCE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "_bundled", "__pycache__"}

# GPT-4's pattern with at most two digits to a token, as nanochat and autoresearch have it.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
SPECIALS = ("<|bos|>", "<|special_1|>", "<|special_2|>", "<|special_3|>")  # the last ids; BOS is the first
SAMPLE_CHARACTERS = 1_000_000_000  # that the tokenizer is trained on,
SAMPLE_OF_DOCUMENT = 10_000  # at most so many of each document

BUFFER = 1000  # documents the packer chooses from


class Wanted(Protocol):
    """What is to be made: as much of a Profile as is read here, since prepare.py imports this file."""

    @property
    def name(self) -> str: ...
    @property
    def corpus(self) -> str: ...
    @property
    def shards(self) -> int: ...
    @property
    def sequence_len(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def eval_rows(self) -> int: ...
    def made_for(self) -> dict[str, object]: ...


@dataclass(frozen=True)
class Corpus:
    """Documents in groups, for training (read twice) and held out."""

    train: Callable[[], Iterator[list[str]]]
    heldout: Callable[[], Iterator[list[str]]]


@contextlib.contextmanager
def alone(task: Path) -> Iterator[None]:
    """Wait until no other process prepares data of this task, and keep it so."""
    (task / "data").mkdir(parents=True, exist_ok=True)
    with FileLock(task / "data" / ".preparing.lock"):
        yield


def prepare(profile: Wanted, task: Path) -> int:
    """Make the data of a profile; gives the number of training rows. Raises BadInput if it cannot be made."""
    try:
        root = Path(sysconfig.get_path("stdlib"))
        corpus = climbmix(profile.shards) if profile.corpus == "climbmix" else standard_library(root)
        return build(profile, corpus, task)
    except ValueError as error:
        raise BadInput(f"cannot prepare {profile.name}: {error}") from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise BadInput(
            f"no space left for {profile.name}: make room in {task} or Hugging Face's cache, and run it again"
        ) from None


# --- documents -----------------------------------------------------------------------------------------


def climbmix(shards: int) -> Corpus:
    """The first shards of ClimbMix, and the last one held out; fetched if Hugging Face's cache lacks them."""
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

    train = [ParquetFile(fetch(shard)) for shard in range(shards)]
    heldout = [ParquetFile(fetch(VALIDATION_SHARD))]
    return Corpus(lambda: texts(train), lambda: texts(heldout))


def fetch(shard: int) -> Path:
    """A shard in Hugging Face's cache. Raises BadInput, saying whether it was the connection."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    name = f"shard_{shard:05d}.parquet"
    try:
        return Path(hf_hub_download(CLIMBMIX, name, repo_type="dataset"))
    except (OSError, HTTPError) as error:
        cause = error.__cause__ or error  # what failed, where it only says that the cache does not help
        answered = isinstance(cause, HfHubHTTPError)
        if not answered and isinstance(cause, ConnectionError | TimeoutError | HTTPError):
            raise BadInput(
                f"cannot fetch {name} of {CLIMBMIX}: Hugging Face cannot be reached. "
                "Connect and run it again (what has arrived is kept), or use --profile cpu, which needs none."
            ) from None
        if getattr(cause, "errno", None) == errno.ENOSPC:
            raise
        raise BadInput(f"cannot fetch {name} of {CLIMBMIX}: {one_line(str(cause))}") from None


def texts(files: list[Any]) -> Iterator[list[str]]:
    """Groups of the documents in parquet files, none beyond the end of a row group."""
    for file in files:
        for number in range(file.num_row_groups):
            yield from _groups(file.read_row_group(number, columns=["text"]).column("text").to_pylist())


def _groups(documents: list[str]) -> Iterator[list[str]]:
    return (documents[start : start + GROUP] for start in range(0, len(documents), GROUP))


def standard_library(root: Path) -> Corpus:
    """Python's own source, cut into pieces; one file in ten is held out.

    A whole file is many rows long, and best-fit packing would keep only its beginning.
    """
    train, heldout = split_files(root)
    pieces = [piece for text in train for piece in cut(text)]
    kept_back = [piece for text in heldout for piece in cut(text)]
    return Corpus(lambda: _groups(pieces), lambda: _groups(kept_back))


def split_files(root: Path) -> tuple[list[str], list[str]]:
    """Texts of the .py files under `root`, without tests and what others wrote: for training, and held out.

    The hash of a file decides its side and its place, so equal files are one, and neither depends on names.
    """
    found: dict[bytes, str] = {}
    for path in root.rglob("*.py"):
        if NOT_SOURCE.isdisjoint(path.relative_to(root).parts):
            content = path.read_bytes()
            found[hashlib.sha256(content).digest()] = content.decode(errors="replace")
    heldout = [found[key] for key in sorted(found) if key[-1] % 10 == 0]
    return [found[key] for key in sorted(found) if key[-1] % 10], heldout


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


# --- tokens --------------------------------------------------------------------------------------------


def train_tokenizer(groups: Iterable[list[str]], vocab_size: int) -> dict[str, Any]:
    """Byte-pair merges of a corpus, as plain data for `encoding`. Raises ValueError if it has too few."""
    import rustbpe  # type: ignore[import-untyped]

    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(sample(groups), vocab_size - len(SPECIALS), pattern=PATTERN)
    ranks = sorted(tokenizer.get_mergeable_ranks(), key=lambda pair: pair[1])
    if len(ranks) + len(SPECIALS) != vocab_size:
        raise ValueError(f"the corpus is too small for a vocabulary of {vocab_size}")
    tokens = [base64.b64encode(bytes(token)).decode() for token, _ in ranks]
    return {"pattern": PATTERN, "tokens": tokens, "specials": list(SPECIALS)}


def sample(groups: Iterable[list[str]]) -> Iterator[str]:
    """The beginnings of documents, until the tokenizer has enough."""
    characters = 0
    for text in itertools.chain.from_iterable(groups):
        beginning = text[:SAMPLE_OF_DOCUMENT]
        yield beginning
        characters += len(beginning)
        if characters >= SAMPLE_CHARACTERS:
            return


def encoding(tokenizer: dict[str, Any]) -> tiktoken.Encoding:
    """The encoder of `tokenizer.json`: tokens by rank, then the special ones."""
    tokens = [base64.b64decode(token) for token in tokenizer["tokens"]]
    return tiktoken.Encoding(
        "lineages",
        pat_str=tokenizer["pattern"],
        mergeable_ranks={token: rank for rank, token in enumerate(tokens)},
        special_tokens={name: len(tokens) + i for i, name in enumerate(tokenizer["specials"])},
    )


def byte_lengths(encoder: tiktoken.Encoding) -> list[int]:
    """Bytes of every token decoded on its own, 0 for special tokens.

    A fragment of a character thus counts as the three bytes of the replacement character. So autoresearch
    counts; the fragment's own bytes would make another metric of it.
    """
    specials = {encoder.encode_single_token(name) for name in SPECIALS}
    return [
        0 if token in specials else len(encoder.decode([token]).encode()) for token in range(encoder.n_vocab)
    ]


def tokenised(groups: Iterable[list[str]], encoder: tiktoken.Encoding) -> Iterator[list[Tokens]]:
    """Every document, BOS first."""
    bos = encoder.encode_single_token(SPECIALS[0])
    for group in groups:
        documents = encoder.encode_ordinary_batch(group, num_threads=os.cpu_count() or 1)
        yield [np.array([bos, *tokens], dtype=np.uint16) for tokens in documents]


# --- rows ----------------------------------------------------------------------------------------------


def pack(groups: Iterable[list[Tokens]], capacity: int) -> Iterator[Tokens]:
    """Rows of `capacity` tokens, of documents that begin with BOS, as nanochat's best-fit loader makes them.

    Before each choice the buffer is filled up, a whole group at a time. The largest document that fits the
    rest of the row goes in; if none fits, the shortest is cropped to fill it and its rest is dropped; the
    older one wins a tie. No row is padded: the last one is dropped if the documents end before it is full.
    """
    supply = iter(groups)
    waiting: list[tuple[int, int]] = []  # (length, -arrival), sorted: of equal lengths the oldest is last
    documents: dict[int, Tokens] = {}  # by -arrival
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


def build(profile: Wanted, corpus: Corpus, task: Path) -> int:
    """Tokenise and pack a corpus into TASK/data/PROFILE and TASK/heldout/PROFILE; gives the training rows.

    Both are made aside. The data folder comes last and brings `prepared.json`: without it nothing is used.
    Raises ValueError if the corpus is too small for the profile.
    """
    capacity = profile.sequence_len + 1
    old_data, old_heldout = (task / part / profile.name for part in ("data", "heldout"))
    with _aside(old_data) as data, _aside(old_heldout) as heldout:
        tokenizer = train_tokenizer(track(corpus.train(), "tokenizer"), profile.vocab_size)
        encoder = encoding(tokenizer)
        (data / "tokenizer.json").write_text(json.dumps(tokenizer))
        (heldout / "byte_lengths.json").write_text(json.dumps(byte_lengths(encoder)))

        held = itertools.islice(pack(tokenised(corpus.heldout(), encoder), capacity), profile.eval_rows)
        rows = _write_rows(heldout, track(held, "validation", profile.eval_rows))
        if rows < profile.eval_rows:
            raise ValueError(
                f"the corpus gives {rows} validation rows; {profile.name} needs {profile.eval_rows}"
            )
        rows = _write_rows(data, pack(tokenised(track(corpus.train(), "training"), encoder), capacity))
        (data / "prepared.json").write_text(json.dumps(profile.made_for() | {"rows": rows}))

        for old in (old_data, old_heldout):
            shutil.rmtree(old, ignore_errors=True)
        heldout.rename(old_heldout)
        data.rename(old_data)
    return rows


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, to be moved into its place; removed if it is not."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_rows(folder: Path, rows: Iterable[Tokens]) -> int:
    written = 0
    with (folder / "rows.u16").open("wb") as file:
        for row in rows:
            file.write(row.astype("<u2").tobytes())
            written += 1
        file.flush()
        os.fsync(file.fileno())
    return written
