"""Fails in the middle of its work; with an argument, after it has said that it is done."""

import sys
from pathlib import Path

Path("train.py").write_text("RATE = 0.25\n")
if len(sys.argv) > 1:
    Path(".lineages/IDEA.txt").write_text("halve RATE\n")
sys.exit("no credit left")
