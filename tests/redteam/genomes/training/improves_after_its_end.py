"""Ends, and leaves a child that would then replace the submission, while it is examined.

Expect: honest
"""

import os
import signal
import time

import prepare

alive, ends = os.pipe()  # whose other side tells when this process has ended
prepare.honest()
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    if os.fork() == 0:
        os.close(ends)
        os.read(alive, 1)
        for _ in range(1000):
            time.sleep(0.1)
            prepare.submit([[30.0 * (one == other) for one in range(16)] for other in range(16)])
    os._exit(0)
