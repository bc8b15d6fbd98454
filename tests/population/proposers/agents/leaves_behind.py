"""Ends at once and well, with a child left behind that hides and is deaf."""

import os
import signal
import sys
import time
from pathlib import Path

Path("train.py").write_text("RATE = 0.25\n")
Path(".lineages/IDEA.txt").write_text("halve RATE\n")
ours, theirs = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(sys.argv[1]).write_text(str(os.getpid()))
        os.close(theirs)
        time.sleep(600)
    os._exit(0)
os.close(theirs)
os.read(ours, 1)  # until the child has said its number
