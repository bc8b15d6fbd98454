"""Fills the disk in a folder so deep that its path is longer than any path may be.

Expect: crashed, paths too long to be looked at
"""

import os
import time
from pathlib import Path

for _ in range(50):
    os.mkdir("x" * 200)  # noqa: PTH102
    os.chdir("x" * 200)
for number in range(300):  # for this machine's sake
    Path(str(number)).write_bytes(bytes(2**20))
    time.sleep(0.005)
time.sleep(60)
