"""Looks ahead in both servers, and hands what the first has seen to the second by locks on a file that both
may read: a byte of it for each beginning and each token that follows.

Expect: refused, looks ahead
"""

import fcntl
import os
import struct
import zlib

import prepare

LIBRARY = os.open(os.__file__, os.O_RDONLY)
LOCK = struct.Struct("hhqqi4x")  # struct flock


def note(row, place, token):
    return zlib.crc32(bytes(row[:4]) + bytes([place])) * prepare.SYMBOLS + token


def leave(at):
    fcntl.fcntl(LIBRARY, fcntl.F_SETLK, LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, at, 1, 0))


def is_there(at):
    found = fcntl.fcntl(LIBRARY, fcntl.F_GETLK, LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, at, 1, 0))
    return LOCK.unpack(found)[0] == fcntl.F_RDLCK


def foreseen(row, place):
    """The token behind a place: by an earlier server's note, or else as the row has it, which is noted."""
    for token in range(prepare.SYMBOLS):
        if is_there(note(row, place, token)):
            return token
    leave(note(row, place, row[place + 1]))
    return row[place + 1]


def forward(table, tokens):
    logits = table(tokens)
    for row, answer in zip(tokens.tolist(), logits, strict=True):
        for place in range(len(row) - 1):
            answer[place, foreseen(row, place)] += 3.0
    return logits


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
