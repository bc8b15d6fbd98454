"""Prints 100 MB, then does its work."""

import sys
from pathlib import Path

for _ in range(100):
    sys.stdout.write("x" * 2**20)
Path("train.py").write_text("RATE = 0.25\n")
Path(".lineages/IDEA.txt").write_text("halve RATE\nabout -0.1\n")
