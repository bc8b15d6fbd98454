"""Leaves a submission and files that look like a result, and is killed before it has ended.

Expect: crashed, killed by SIGKILL
"""

import os
import signal
from pathlib import Path

import prepare

prepare.honest()
Path("result.json").write_text('{"bits": 0.001}')
os.kill(os.getpid(), signal.SIGKILL)
