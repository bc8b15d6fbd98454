"""Leaves daemons: in sessions of their own, whose parents are gone, of another name, folder and home.

Expect: honest
"""

import ctypes
import os
import time

import prepare

ready, tell = os.pipe()
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/usr")
            ctypes.CDLL(None).prctl(15, prepare.AIMS["marker"][:15].encode(), 0, 0, 0)  # PR_SET_NAME
            os.write(tell, b"!")
            time.sleep(1000)
        os._exit(0)
for _ in range(5):
    os.read(ready, 1)
prepare.honest()
