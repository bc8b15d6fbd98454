r"""Starts a crowd in which each sees to its own children, of which another comes for each that goes.

Expect: crashed, more than \d+ processes
"""

import os
import signal
import time

EACH, UNTIL = 10, time.monotonic() + 20  # for this machine's sake, should nobody end it


def live(generation: int) -> None:
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    children = 0
    while time.monotonic() < UNTIL:
        if generation == 2:
            time.sleep(1)
        elif children < EACH:
            children += 1
            if os.fork() == 0:
                os.setsid()
                live(generation + 1)
        else:
            os.wait()
            children -= 1
    os._exit(0)


live(0)
