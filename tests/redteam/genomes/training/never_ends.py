"""Ignores every signal it can and hangs behind its budget, in a thread, a handler and a loop.

Budget: 0.2
Expect: timed_out, training was not over
"""

import atexit
import signal
import threading
import time
from contextlib import suppress

import prepare

for number in signal.valid_signals():
    with suppress(OSError):
        signal.signal(number, signal.SIG_IGN)
atexit.register(time.sleep, 1000)
threading.Thread(target=time.sleep, args=(1000,)).start()
prepare.honest()
while True:
    time.sleep(0.1)
