"""Overwrites prepare.py and train.py where it runs and in what it submits, and patches the exam at import.

Expect: honest
"""

from pathlib import Path

import prepare

prepare.honest()
forged = 'METRIC = "bits"\ndef examine(submission, serve):\n    return {"bits": -37.8}\n'
for folder in (Path(), prepare.SUBMISSION):
    for name in ("prepare.py", "train.py", "sitecustomize.py", "trainer.py", "json.py"):
        (folder / name).write_text(forged)
prepare.examine = lambda submission, serve: {"bits": -37.8}
prepare.METRIC, prepare.ROWS, prepare.SYMBOLS = "nothing", 1, 1
