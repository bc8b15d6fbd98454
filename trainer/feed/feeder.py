"""The feeder: a process of its own that hands a training its data, and with the first of it starts the clock.

    python -P feeder.py PREPARE CANDIDATE RING CLOCK DOOR BUDGET_S

It is trusted: it runs the pinned prepare.py, whose `feed(start, count)` says which rows come when, and puts
them into a ring of memory that the candidate can read. CANDIDATE, RING, CLOCK and DOOR are numbers of
descriptors: a socket to the candidate, the ring, a socket to the harness, which is told when the clock
starts, and one from the harness, which closes it when the clock may (see `trainer.turn`). Before the clock
starts, with the first request, no row is in the ring, and after the budget none is put there.

The candidate sends how many rows it has taken since the beginning (TAKEN), first of all 0. It is answered
how many have been put into the ring (GIVEN), of which the last as many as the ring has room for are there:
row i at place i modulo that number; and when the clock started. ENDED in the place of a number says that the
budget is spent. Nothing else of the candidate's is read, not even the ring: a candidate that sends nonsense
or writes there spoils its own data.
"""

import contextlib
import mmap
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from trainer.exam import load_prepare
from trainer.walls.process import hide

TAKEN = struct.Struct("<q")
GIVEN = struct.Struct("<qd")  # rows, and time.monotonic() of the first request
CLOCK = struct.Struct("<d")
ENDED = -1

Rows: TypeAlias = Any  # numpy [n, ...]; the harness imports this module, and numpy is not its own
Feed: TypeAlias = Callable[[int, int], Rows]  # of a start and a count


class Ring:
    """The last rows that were put into shared memory."""

    def __init__(self, memory: mmap.mmap, feed: Feed) -> None:
        self._row_bytes = len(feed(0, 1).tobytes())
        self.places = len(memory) // self._row_bytes
        if not self.places:
            raise ValueError(f"a row takes {self._row_bytes} bytes; the ring has {len(memory)}")
        memory[:] = bytes(len(memory))  # so that the kernel has found the memory before the clock starts
        self._memory, self._feed = memory, feed
        self._ahead: Rows | None = feed(0, self.places)  # nobody's before the clock
        self.given = 0

    def fill(self, taken: int) -> None:
        """Put in as many rows as there is room for when `taken` of them are no longer needed."""
        room = taken + self.places - self.given
        if room <= 0:
            return
        rows = self._feed(self.given, room) if self._ahead is None else self._ahead
        self._ahead = None
        at = self.given % self.places
        self._put(rows[: self.places - at], at)
        self._put(rows[self.places - at :], 0)
        self.given += room

    def _put(self, rows: Rows, at: int) -> None:
        content = rows.tobytes()
        begin = at * self._row_bytes
        self._memory[begin : begin + len(content)] = content


def serve(
    ring: Ring, candidate: socket.socket, harness: socket.socket, door: socket.socket, budget_s: float
) -> None:
    """Answer the candidate until it hangs up or talks nonsense."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it hung up
        _serve(ring, candidate, harness, door, budget_s)


def _serve(
    ring: Ring, candidate: socket.socket, harness: socket.socket, door: socket.socket, budget_s: float
) -> None:
    started, taken = 0.0, 0
    while True:
        asked = candidate.recv(TAKEN.size + 1)
        if not started:
            door.recv(1)
        now = time.monotonic()
        if len(asked) != TAKEN.size or not taken <= TAKEN.unpack(asked)[0] <= ring.given:
            return
        taken = TAKEN.unpack(asked)[0]
        if not started:
            started = now
            harness.sendall(CLOCK.pack(started))
        spent = now >= started + budget_s
        if not spent:
            ring.fill(taken)
        with contextlib.suppress(BlockingIOError):  # it asks and does not listen
            candidate.send(GIVEN.pack(ENDED if spent else ring.given, started), socket.MSG_DONTWAIT)


def main(prepare: Path, budget_s: float, candidate: int, ring: int, clock: int, door: int) -> None:
    hide()
    feed: Feed = load_prepare(prepare).feed
    shared = mmap.mmap(ring, os.fstat(ring).st_size)
    ring_of_rows = Ring(shared, feed)
    with (
        socket.socket(fileno=candidate) as asks,
        socket.socket(fileno=clock) as listens,
        socket.socket(fileno=door) as opens,
    ):
        serve(ring_of_rows, asks, listens, opens, budget_s)


if __name__ == "__main__":
    _, path, *numbers, seconds = sys.argv
    main(Path(path), float(seconds), *map(int, numbers))
