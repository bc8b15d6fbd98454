"""Changes train.py, says that it is done, and never ends; nor does its child, which hides and is deaf."""

import os
import signal
import sys
import time
from pathlib import Path

Path("train.py").write_text("RATE = 0.25\n")
Path(".lineages/IDEA.txt").write_text("halve RATE\n")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:  # its parent is gone: it is nobody's child
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(sys.argv[1]).write_text(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
time.sleep(600)
