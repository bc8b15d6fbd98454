"""Looks ahead in both servers, and hands what the first has seen to the second by files and System V memory,
where two notes may fall on the same place, which gives it away as well.

Expect: refused, looks ahead|answers the same row otherwise
"""

import ctypes
import os
from pathlib import Path

import prepare

PLACES = (
    "/dev/shm",
    "/tmp",
    "/var/tmp",
    os.environ["HOME"],
    os.environ["TMPDIR"],
    Path.cwd(),
    Path.cwd().parent,
)
LIBC = ctypes.CDLL(None)
LIBC.shmat.restype = ctypes.c_void_p


def system_v(size=2**20):
    """Memory of a number that both servers know, or of their own where there is none."""
    found = LIBC.shmat(LIBC.shmget(prepare.AIMS["key"], size, 0o1666), None, 0)
    own = ctypes.create_string_buffer(size)
    return own if found in (None, 2**64 - 1) else (ctypes.c_char * size).from_address(found)


SHARED = system_v()


def foreseen(row, place):
    name = f"{prepare.AIMS['marker']}-{'-'.join(map(str, row[:4]))}-{place}"
    at = hash((*row[:4], place)) % len(SHARED)
    known = SHARED[at][0] - 1
    for folder in PLACES:
        try:
            known = int(Path(folder, name).read_text())
        except OSError:
            continue
    known = known if known >= 0 else row[place + 1]
    SHARED[at] = known + 1
    for folder in PLACES:
        try:
            Path(folder, name).write_text(str(known))
        except OSError:
            continue
    return known


def forward(table, tokens):
    logits = table(tokens)
    for row, answer in zip(tokens.tolist(), logits, strict=True):
        for place in range(8):
            answer[place, foreseen(row, place)] += 3.0
    return logits


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
