"""Sends telemetry without end, some of it in lines without end, for as long as its budget lasts.

Budget: 0.5
Expect: honest
"""

import os
import threading
from itertools import islice

import prepare


def flood(line: bytes) -> None:
    while True:
        os.write(int(os.environ["LINEAGES_TELEMETRY"]), line)


for line in (b'{"event": "step", "loss": 1.0, "steps": 1}\n', b"x" * 2**16):
    threading.Thread(target=flood, args=(line,), daemon=True).start()
rows = prepare.rows()
prepare.submit(prepare.learned(islice(rows, prepare.ROWS)))
for _ in rows:
    pass
