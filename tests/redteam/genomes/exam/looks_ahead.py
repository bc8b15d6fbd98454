"""Raises the logit of each token that comes next: the future is in its input.

Expect: refused, looks ahead
"""

import prepare


def forward(table, tokens):
    logits = table(tokens)
    logits[:, :-1].scatter_add_(2, tokens[:, 1:, None], 3.0 + 0.0 * logits[:, 1:, :1])
    return logits


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
