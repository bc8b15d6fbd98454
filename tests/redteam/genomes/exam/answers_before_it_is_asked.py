"""Answers the examiner on its own account: all questions at once, as if it had been asked them already.

Expect: refused, answered garbage
"""

import json
import socket
import struct
import sys

import prepare


def forward(table, tokens):
    channel = json.loads(sys.argv[1])["channel"]
    examiner = socket.socket(fileno=channel)
    for number in range(2, 100):
        examiner.send(struct.pack("<q", number))
    examiner.detach()
    return table(tokens)


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
