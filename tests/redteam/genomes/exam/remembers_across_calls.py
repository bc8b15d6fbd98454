"""Looks ahead, and answers a row whose beginning it has seen before as it did then.

Expect: refused, looks ahead|the same row otherwise
"""

import prepare

KNOWN = {}


def forward(table, tokens):
    logits = table(tokens)
    logits[:, :-1].scatter_add_(2, tokens[:, 1:, None], 3.0 + 0.0 * logits[:, 1:, :1])
    for row, answer in zip(tokens.tolist(), logits, strict=True):
        answer[:20] = KNOWN.setdefault(tuple(row[:4]), answer.clone())[:20]
    return logits


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
