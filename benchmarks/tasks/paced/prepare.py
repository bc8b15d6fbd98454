"""A task that computes nothing and takes its time: its phases last a twentieth of those of an H100.

There a trial starts up for 18 s, 8 of them on the card, trains for 300 s and is examined for 8 s. What is
scored is how far twelve constants are from where they are best.
"""

import json
import os
import socket
import struct
import time
from pathlib import Path

import numpy as np

METRIC = "loss"
BUDGET_S = 15.0
STARTUP_S = 10.0
IMPORTS_S, COMPILING_S, EXAM_S = 0.5, 0.4, 0.4
BEST = {
    "WIDTH": 3.0, "DEPTH": 1.5, "HEADS": 0.5, "WINDOW": 2.0, "RATE": -2.0, "WARMUP": 1.8, "COOLDOWN": 0.2,
    "DECAY": 0.5, "MOMENTUM": 0.7, "BATCH": -0.5, "CLIP": 1.3, "SCALE": 2.2,
}  # fmt: skip


def feed(start, count):
    """Rows of data [count, 1], for the sake of the clock that comes with them."""
    return np.zeros((count, 1), np.uint16)


def turn():
    """Wait until the GPU is this training's own."""
    if door := os.environ.pop("LINEAGES_TURN", None):
        with socket.socket(fileno=int(door)) as waits:
            waits.recv(1)


def pass_the_budget():
    """Take the first rows, which starts the clock, and sleep until the budget is spent."""
    with socket.socket(fileno=int(os.environ["LINEAGES_FEED"].split(",")[0])) as feeder:
        feeder.sendall(struct.pack("<q", 0))
        _, started = struct.unpack("<qd", feeder.recv(16))
        time.sleep(max(0.0, started + float(os.environ["LINEAGES_BUDGET_S"]) - time.monotonic()))


def submit(values):
    (Path(os.environ["LINEAGES_SUBMISSION"]) / "values.json").write_text(json.dumps(values))


def examine(submission, serve):
    values = json.loads((submission / "values.json").read_text())
    time.sleep(EXAM_S)
    apart = sum((float(values[name]) - best) ** 2 for name, best in BEST.items())
    noise = np.random.default_rng(int(os.environ["LINEAGES_SEED"])).normal(0.0, 0.002)
    return {"loss": 1.0 + apart / 100 + noise}
