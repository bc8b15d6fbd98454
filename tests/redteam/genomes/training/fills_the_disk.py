r"""Writes without end, in many files, until something stops it.

Expect: crashed, takes more than \d+ MB
"""

import time
from pathlib import Path

for number in range(300):  # for this machine's sake
    Path(str(number)).write_bytes(bytes(2**20))
    time.sleep(0.005)
time.sleep(60)
