"""Trains well, and in the exam kills itself and all it can reach in the middle of an answer.

Expect: refused, model's process died
"""

import os
import signal

import prepare


def forward(table, tokens):
    os.killpg(0, signal.SIGKILL)
    return table(tokens)


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
