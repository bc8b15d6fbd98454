r"""A fork bomb: every process starts others without pause, so that nobody else gets to run.

Expect: crashed, more than \d+ (processes|threads)|killed by SIGKILL
"""

import mmap
import os
import time

started, UNTIL = mmap.mmap(-1, 4096), time.monotonic() + 10  # for this machine's sake, should nobody end it
while time.monotonic() < UNTIL:
    so_far = int.from_bytes(started[:4], "little")
    if so_far < 2500:
        started[:4] = (so_far + 1).to_bytes(4, "little")
        os.fork()
