"""Tokens per second of `prepare.batches()` beside other loaders, and how long a trial's steps wait for it.

    uv run python benchmarks/loader.py [SECONDS]

Three read the cpu profile's training corpus and give batches of the same shape, for so many seconds each
(default 3), taking turns three times; the best turn of each counts, since the machine may be busy. The first
two are the same rows from the harness's feeder and from the files. The plain loader reads its documents from
memory and looks at its whole buffer before each choice, as the loader of nanochat does. Then a trial of the
profile's first genome, with its sandbox and its feeder, says for how much of its budget it waited in next().
"""

import json
import os
import re
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

os.environ["LINEAGES_PROFILE"] = "cpu"
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

import prepare
from population.genome import rewrite
from trainer.feed.feeding import feeding
from trainer.hardware import detect, sizing
from trainer.preparing import corpus
from trainer.task import Task, open_task
from trainer.trial import Order, run_trial
from trainer.turn import at_once

ROOT = Path(__file__).resolve().parents[1]
BATCH = 16
TURNS = 3
WAITED = """
def waiting(stream):
    import time
    next(stream)  # starts the clock
    waited, began = 0.0, time.perf_counter()
    for batch in stream:
        waited += time.perf_counter() - began
        yield batch
        began = time.perf_counter()
    print(f"waited {waited} s")


"""


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


def fed_batches(task: Task, batch_size: int) -> Iterator[prepare.Batch]:
    """What a trial gets."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        at_once() as turn,
        feeding(task, 0, Path(scratch), turn.doors[1]) as feeder,
    ):
        source = prepare._Fed(*map(os.dup, feeder.inherited))
        while (rows := source.take(batch_size)) is not None:
            yield prepare._load(rows)


def waited_s(task: Task) -> float:
    """Seconds that a trial of the first genome waited for batches."""
    genome = rewrite((ROOT / "trainer" / "train.py").read_text(), sizing("cpu", detect("cpu")))
    genome = genome.replace("in prepare.batches(BATCH_SIZE)", "in waiting(prepare.batches(BATCH_SIZE))")
    genome = genome.replace("def main() ->", WAITED.lstrip() + "def main() ->")
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        run_trial(Order(1, genome, 0, task, str(log), scratch), lambda progress: None)
        found = re.search(r"^waited (\S+) s$", log.read_text(), re.MULTILINE)
        assert found, log.read_text()
    return float(found[1])


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    if not prepare.ready():
        sys.exit("the cpu profile is not prepared; run `uv run prepare.py --profile cpu` first")
    prepare.BUDGET_S = 10 * TURNS * seconds + 60  # the plain loader's turns count on the clock as well
    task = open_task(ROOT, "cpu", prepare.BUDGET_S, "cpu")
    loaders = {
        "batches() of a trial": fed_batches(task, BATCH),
        "batches() from the files": prepare.batches(BATCH),
        "tokenise, pack on the fly": plain_batches(BATCH),
    }
    turns = [[tokens_per_second(loader, seconds) for loader in loaders.values()] for _ in range(TURNS)]
    best = [max(column) for column in zip(*turns, strict=True)]
    for name, speed in zip(loaders, best, strict=True):
        print(f"{name:26}  {speed:14,.0f} tokens/s  {speed / best[-1]:8.1f} times the last")
    task = open_task(ROOT, "cpu", profile="cpu")
    waited = waited_s(task)
    print(f"a trial waited {waited:.4f} s of its {task.budget_s:g} s, {waited / task.budget_s:.3%}")


if __name__ == "__main__":
    main()
