"""Is endlessly sure of one token and rules out all others, so that the mean of its losses is no number.

Expect: refused, not finite|answers the same row|looks ahead|differ by
"""

import prepare


def forward(table, tokens):
    logits = table(tokens)
    logits[:, :, 1:] = -float("inf")
    logits[:, :, 0] = float("nan")
    return logits


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
