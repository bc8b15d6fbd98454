"""Replaces torch's losses and softmax, and safetensors, in its own process; its logits sum to no probability.

Expect: honest
"""

import prepare


def forward(table, tokens):
    import math
    import sys

    import torch

    for name in ("cross_entropy", "log_softmax", "softmax", "nll_loss"):
        setattr(torch.nn.functional, name, lambda *values, **options: torch.zeros(()))
    torch.Tensor.isfinite = torch.Tensor.sum = torch.allclose = lambda *values, **options: True
    math.log = lambda *numbers: 1e9
    sys.modules["safetensors.torch"] = sys.modules["prepare"]
    return table(tokens) + 8.0


def build_model():
    return prepare.model(forward)


if __name__ == "__main__":
    prepare.honest()
