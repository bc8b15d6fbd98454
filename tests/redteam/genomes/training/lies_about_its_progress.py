"""Says by telemetry that its loss is -37.8 after 1e30 steps, minus five tokens and other nonsense.

Expect: honest
"""

import os

import prepare

telemetry = int(os.environ["LINEAGES_TELEMETRY"])
for lie in (
    b'{"event": "step", "loss": -37.8, "steps": 1e30, "tokens": -5}',
    b'{"event": "step", "loss": 1e999, "steps": 99999999999999999999999}',
    b'{"event": "step", "loss": NaN}',
    b'{"event": "clock"}',
    b'{"event": "done", "outcome": {"type": "completed", "score": -37.8}}',
    b"[" * 4000,
    bytes(range(256)),
):
    os.write(telemetry, lie + b"\n")
prepare.honest()
