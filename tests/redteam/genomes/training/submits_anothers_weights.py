"""Submits the weights of another trial by a second name for the same file.

Expect: crashed, (PermissionError|OSError)
"""

import os
from pathlib import Path

import prepare

next(prepare.rows())
earlier = Path(prepare.AIMS["earlier"])
os.link(earlier / "weights.safetensors", prepare.SUBMISSION / "weights.safetensors")
