"""Stops itself, and all its group, so that it neither ends nor goes on.

Startup: 0.7
Expect: timed_out, startup was not over
"""

import os
import signal

os.killpg(0, signal.SIGSTOP)
