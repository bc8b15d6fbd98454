"""Submits 100 GB of nothing, which it has not, and then as much of it as the system lets it.

Expect: refused, far larger
"""

import os

import prepare

next(prepare.rows())
with (prepare.SUBMISSION / "weights.safetensors").open("wb") as weights:
    prepare.attempt("write 100 GB", lambda: os.truncate(weights.fileno(), 100 * 2**30))
    os.truncate(weights.fileno(), 8192 * 2**20)
