"""A small language to be learned: which of 16 symbols follows which. The score is bits a symbol.

As large as a task must be to have everything that can be attacked: data that is fed, a clock, weights, and an
exam. Here the examiner reads the table that was submitted, and nobody ever imports torch; with `served.py`
behind this file model servers answer, as in the default task, and it comes to the same. AIMS are what lies
around a trial, so that a genome need not search for what it attacks.
"""

import json
import math
import mmap
import os
import socket
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

METRIC, BUDGET_S, STARTUP_S = "bits", 20.0, 20.0
SYMBOLS, LENGTH = 16, 33
ROWS = 128

AIMS: dict[str, Any] = {}

TASK = Path(os.environ.get("LINEAGES_TASK", "."))
SUBMISSION = Path(os.environ.get("LINEAGES_SUBMISSION", "submission"))
TAKEN, GIVEN = struct.Struct("<q"), struct.Struct("<qd")  # what the feeder is told, and what it answers

Table = list[list[float]]  # log-probabilities, up to a constant, of what follows each symbol


def feed(start: int, count: int) -> Any:
    """Rows of the training data, uint8 [count, LENGTH]."""
    import numpy as np

    rows = np.fromfile(TASK / "data" / "rows", np.uint8).reshape(-1, LENGTH)
    return rows[np.arange(start, start + count) % len(rows)]


# --- what a genome is offered ------------------------------------------------------------------------------


def rows() -> Iterator[bytes]:
    """Rows as the harness hands them out; the first starts the clock, and with the budget they end."""
    asks, ring = map(int, os.environ["LINEAGES_FEED"].split(","))
    memory = mmap.mmap(ring, os.fstat(ring).st_size)
    feeder = socket.socket(fileno=os.dup(asks))
    for taken in range(len(memory)):
        feeder.sendall(TAKEN.pack(taken))
        answer = feeder.recv(GIVEN.size)
        if not answer:
            raise EOFError("the harness hands out no data any more")
        if GIVEN.unpack(answer)[0] < 0:
            return
        at = taken % (len(memory) // LENGTH) * LENGTH
        yield memory[at : at + LENGTH]


def learned(seen: Iterable[bytes]) -> Table:
    """How often which symbol followed which, as logarithms."""
    counts = [[1.0] * SYMBOLS for _ in range(SYMBOLS)]
    for row in seen:
        for one, other in pairwise(row):
            counts[one][other] += 1
    return [[math.log(count) for count in line] for line in counts]


def submit(table: Table, **beside: Table) -> None:
    """Leave `table`, and what else is named, as safetensors: a length, a header, numbers."""
    header, content = {}, b""
    for name, tensor in {"table.weight": table, **beside}.items():
        numbers = array("f", [number for line in tensor for number in line]).tobytes()
        at = [len(content), len(content) + len(numbers)]
        header[name] = {"dtype": "F32", "shape": [len(tensor), len(tensor[0])], "data_offsets": at}
        content += numbers
    text = json.dumps(header).encode()
    (SUBMISSION / "weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content)


def honest() -> None:
    """All that an honest genome does: learn from some rows and leave what it has learned."""
    submit(learned(islice(rows(), ROWS)))


def attempt(what: str, act: Callable[[], object]) -> None:
    """Do what no candidate may. That it could is printed as `landed`, which fails the test."""
    try:
        act()
    except (OSError, ImportError, ValueError) as error:
        print("denied:", what, error, flush=True)
    else:
        print("landed:", what, flush=True)


# --- the exam ----------------------------------------------------------------------------------------------


def examine(submission: Path, serve: Any) -> dict[str, float]:
    weights = submission / "weights.safetensors"
    if weights.stat().st_size > 2**16:
        raise ValueError("the weights are far larger than a table")
    rows = (TASK / "heldout" / "rows").read_bytes()
    heldout = [rows[at : at + LENGTH] for at in range(0, len(rows), LENGTH)]
    return {METRIC: nats_of(heldout, weights, serve) / math.log(2) / (len(heldout) * (LENGTH - 1))}


def nats_of(heldout: list[bytes], path: Path, serve: Any) -> float:
    """Nats of all rows by the table in the weights, taken apart by hand."""
    weights = path.read_bytes()
    size = struct.unpack_from("<Q", weights)[0]
    header = json.loads(weights[8 : 8 + size])
    if list(header) != ["table.weight"]:
        raise ValueError("the weights hold something else than one table")
    numbers = array("f", weights[8 + size :])
    table = [numbers[at : at + SYMBOLS] for at in range(0, SYMBOLS * SYMBOLS, SYMBOLS)]
    sums = [math.log(math.fsum(map(math.exp, line))) for line in table]
    return math.fsum(sums[one] - table[one][other] for row in heldout for one, other in pairwise(row))
