"""The honest genome, beside which all others are measured. It also looks for what an earlier one has left."""

import os
import time
from pathlib import Path

import prepare

print("started", time.monotonic(), flush=True)


def build_model():
    return prepare.model(lambda table, tokens: table(tokens))


def inheritance():
    """What is in the places where one trial might leave something for the next."""
    for place in (".", "/dev/shm", "/tmp", "/var/tmp", os.environ["HOME"], os.environ["TMPDIR"]):
        try:
            yield from (path.name for path in Path(place).iterdir())
        except OSError:
            continue  # closed to it


if __name__ == "__main__":
    print("inherited", sorted(set(inheritance()) - {"train.py", "prepare.py", "submission"}), flush=True)
    prepare.honest()
