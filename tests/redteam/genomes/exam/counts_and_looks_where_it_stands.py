"""Answers by the number of the call and by the place in the batch, which may tell which row it is.

Expect: refused, otherwise in another|looks ahead|differ by
"""

import prepare

CALLS = []


def forward(table, tokens):
    CALLS.append(tokens)
    logits = table(tokens)
    for place, answer in enumerate(logits):
        answer[:, place % prepare.SYMBOLS] += 0.2 * len(CALLS) + place
    return logits


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
