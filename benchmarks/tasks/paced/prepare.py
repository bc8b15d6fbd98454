"""A task that computes nothing and takes its time: its phases last a twentieth of those of an H100.

There a trial starts up for 18 s, 8 of them on the card, trains for 300 s and is examined for 8 s. What is
scored is how far twelve constants are from where they are best; the loss of the training says so too, with as
much noise of its own as the score has.
"""

import json
import os
import socket
import struct
import time
import zlib
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
NOISE = 0.002
TELLINGS = 40  # of the loss, in a training


def feed(start, count):
    """Rows of data [count, 1], for the sake of the clock that comes with them."""
    return np.zeros((count, 1), np.uint16)


def turn():
    """Wait until the GPU is this training's own."""
    if door := os.environ.pop("LINEAGES_TURN", None):
        with socket.socket(fileno=int(door)) as waits:
            waits.recv(1)


def pass_the_budget(values):
    """Take the first rows, which starts the clock, and sleep until the budget is spent, telling the loss."""
    budget_s = float(os.environ["LINEAGES_BUDGET_S"])
    step = {"event": "step", "loss": _measured(values, "training")}
    with socket.socket(fileno=int(os.environ["LINEAGES_FEED"].split(",")[0])) as feeder:
        feeder.sendall(struct.pack("<q", 0))
        _, started = struct.unpack("<qd", feeder.recv(16))
        for telling in range(1, TELLINGS + 1):
            os.write(int(os.environ["LINEAGES_TELEMETRY"]), json.dumps(step).encode() + b"\n")
            time.sleep(max(0.0, started + budget_s * telling / TELLINGS - time.monotonic()))


def submit(values):
    (Path(os.environ["LINEAGES_SUBMISSION"]) / "values.json").write_text(json.dumps(values))


def examine(submission, serve):
    values = json.loads((submission / "values.json").read_text())
    time.sleep(EXAM_S)
    return {"loss": _measured(values, "exam")}


def _measured(values, where):
    """How far the constants are from the best, and the luck that these have with this seed in this place."""
    apart = sum((float(values[name]) - best) ** 2 for name, best in BEST.items())
    chance = zlib.crc32(f"{where} {sorted(values.items())}".encode())
    luck = np.random.default_rng([int(os.environ["LINEAGES_SEED"]), chance]).normal(0.0, NOISE)
    return 1.0 + apart / 100 + luck
