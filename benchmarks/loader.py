"""Tokens per second of `prepare.batches()` beside a loader that tokenises and packs on the fly.

    uv run python benchmarks/loader.py [SECONDS]

Both read the cpu profile's training corpus and give batches of the same shape, for so many seconds each
(default 3), taking turns three times; the best turn of each counts, since the machine may be busy. The plain
loader reads its documents from memory and looks at its whole buffer before each choice, as the loader of
nanochat does.
"""

import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

os.environ["LINEAGES_PROFILE"] = "cpu"
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

import prepare
from trainer import corpus

BATCH = 16
TURNS = 3


def plain_batches(batch_size: int) -> Iterator[prepare.Batch]:
    """The same best-fit rows, made when they are asked for."""
    tokenizer = json.loads((prepare.TASK / "data/cpu/tokenizer.json").read_text())
    source = corpus.standard_library(Path(sysconfig.get_path("stdlib")))
    supply = corpus.tokenised(cycle(list(source.train())), corpus.encoding(tokenizer))
    buffer: list[list[int]] = []
    while True:
        rows = [plain_row(buffer, supply, prepare.SEQUENCE_LEN + 1) for _ in range(batch_size)]
        block = torch.tensor(rows)
        yield block[:, :-1].contiguous(), block[:, 1:].contiguous()


def plain_row(buffer: list[list[int]], supply: Iterator[list[corpus.Tokens]], capacity: int) -> list[int]:
    row: list[int] = []
    while (room := capacity - len(row)) > 0:
        while len(buffer) < corpus.BUFFER:
            buffer.extend(document.tolist() for document in next(supply))
        fitting = [i for i, document in enumerate(buffer) if len(document) <= room]
        if fitting:
            best = max(fitting, key=lambda i: len(buffer[i]))
        else:
            best = min(range(len(buffer)), key=lambda i: len(buffer[i]))
        row += buffer.pop(best)[:room]
    return row


def tokens_per_second(stream: Iterator[prepare.Batch], seconds: float) -> float:
    next(stream)
    tokens, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        tokens += next(stream)[0].numel()
    return tokens / elapsed


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    if not prepare.ready():
        sys.exit("the cpu profile is not prepared; run `uv run prepare.py --profile cpu` first")
    prepare.BUDGET_S = 10 * TURNS * seconds + 60  # the plain loader's turns count on the clock as well
    packed, plain = prepare.batches(BATCH), plain_batches(BATCH)
    turns = [(tokens_per_second(packed, seconds), tokens_per_second(plain, seconds)) for _ in range(TURNS)]
    fast, slow = (max(column) for column in zip(*turns, strict=True))
    print(f"prepare.batches()           {fast:14,.0f} tokens/s")
    print(f"tokenise, pack on the fly   {slow:14,.0f} tokens/s")
    print(f"ratio                       {fast / slow:14.1f}")


if __name__ == "__main__":
    main()
