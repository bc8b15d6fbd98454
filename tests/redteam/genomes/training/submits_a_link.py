"""Submits a link to the weights of another trial.

Expect: refused, not a regular file
"""

from pathlib import Path

import prepare

next(prepare.rows())
earlier = Path(prepare.AIMS["earlier"])
(prepare.SUBMISSION / "weights.safetensors").symlink_to(earlier / "weights.safetensors")
