"""Submits 8 GB of nothing beside its weights, so that whoever notes what came in time is long at it.

Meanwhile it goes on, and replaces the weights before their turn comes.

Budget: 0.2
Expect: refused, came .* s after the budget ended
"""

import os
import time
from itertools import islice

import prepare

kept = list(islice(prepare.rows(), prepare.ROWS))
prepare.submit(prepare.learned(kept[:10]))
with (prepare.SUBMISSION / "a").open("wb") as nothing:
    os.truncate(nothing.fileno(), 8192 * 2**20 - 2**16)
time.sleep(1.2)
prepare.submit(prepare.learned(kept))
(prepare.SUBMISSION / "a").unlink()
(prepare.SUBMISSION / "a").write_text("")
