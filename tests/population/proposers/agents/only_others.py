"""Changes everything but train.py."""

from pathlib import Path

Path("prepare.py").write_text("METRIC = 'other'\n")
