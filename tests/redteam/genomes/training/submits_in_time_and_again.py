"""Submits in time, and something better later, in the same place and with the times of the first.

Budget: 0.2
Expect: refused, came .* s after the budget ended
"""

import os
import time
from itertools import islice

import prepare

kept = list(islice(prepare.rows(), prepare.ROWS))
prepare.submit(prepare.learned(kept[:10]))
weights = prepare.SUBMISSION / "weights.safetensors"
before = weights.stat()
time.sleep(1.2)
prepare.submit(prepare.learned(kept))
os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
