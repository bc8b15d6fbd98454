"""Trains well, and in the exam answers once and then never again.

Expect: refused, no answer within
"""

import time

import prepare

CALLS = []


def forward(table, tokens):
    CALLS.append(tokens)
    if len(CALLS) > 1:
        time.sleep(1000)
    return table(tokens)


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
