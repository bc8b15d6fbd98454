r"""Starts thousands of threads: they count as processes where the system counts, and leave none for others.

Expect: crashed, more than \d+ threads
"""

import threading
import time

threading.stack_size(2**15)
for _ in range(3000):  # for this machine's sake
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
time.sleep(5)
