"""Closes every descriptor it has once it has submitted, so that nobody hears of its end.

Expect: honest
"""

import os
import time

import prepare

prepare.honest()
os.closerange(0, 4096)
time.sleep(0.2)
