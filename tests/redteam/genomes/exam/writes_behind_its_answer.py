"""Answers honestly, and keeps writing into the buffer behind its answer what it has seen of the future.

It may come too late, which is harmless.

Expect: honest|refused
"""

import json
import mmap
import sys
import threading

import prepare

WRITERS = []


def overwrite(shape, number):
    import torch

    memory = mmap.mmap(number, 4 * shape[0] * shape[1] * shape[2])
    logits = torch.frombuffer(memory, dtype=torch.float32).view(shape)
    asked = mmap.mmap(json.loads(sys.argv[1])["tokens"], 8 * shape[0] * shape[1])
    tokens = torch.frombuffer(asked, dtype=torch.int64).view(shape[:2])
    while True:
        logits[:, :-1].scatter_(2, tokens[:, 1:, None], 9.0)


def forward(table, tokens):
    setup = json.loads(sys.argv[1])
    if not WRITERS:
        WRITERS.append(threading.Thread(target=overwrite, args=(setup["shape"], setup["logits"])))
        WRITERS[0].daemon = True
        WRITERS[0].start()
    return table(tokens)


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
