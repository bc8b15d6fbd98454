"""Submits a pickle that would run a command where it is loaded.

Expect: refused
"""

import os
import pickle

import prepare


class Bomb:
    def __reduce__(self):
        return os.system, (f"touch /tmp/{prepare.AIMS['marker']}",)


next(prepare.rows())
(prepare.SUBMISSION / "weights.safetensors").write_bytes(pickle.dumps(Bomb()))
