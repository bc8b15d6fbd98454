"""Leaves by os._exit, past every handler and flush, as if it had ended well. It has: that is no cheat.

Expect: honest
"""

import atexit
import os
import time

import prepare

atexit.register(time.sleep, 1000)
prepare.honest()
os._exit(0)
