"""Answers honestly, and writes into the buffer behind its answer what it has seen of the future.

Expect: refused, looks ahead|otherwise in another|differ by
"""

import json
import mmap
import sys
import threading

import prepare


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
    if threading.active_count() == 1:
        threading.Thread(target=overwrite, args=(setup["shape"], setup["logits"]), daemon=True).start()
    return table(tokens)


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
