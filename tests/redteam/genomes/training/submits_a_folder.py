"""Submits a folder by the name of the weights.

Expect: refused, not a regular file
"""

import prepare

next(prepare.rows())
(prepare.SUBMISSION / "weights.safetensors").mkdir()
