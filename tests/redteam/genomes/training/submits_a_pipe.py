"""Submits a pipe, from which whoever opens it reads for ever.

Expect: refused, not a regular file
"""

import os

import prepare

next(prepare.rows())
os.mkfifo(prepare.SUBMISSION / "weights.safetensors")
