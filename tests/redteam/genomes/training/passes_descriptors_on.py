"""Sends its own descriptors to the harness, thousands of them, until it can open no more.

Expect: honest
"""

import os
import socket
from contextlib import suppress

import prepare

many = [os.dup(0) for _ in range(200)]
telemetry = socket.socket(fileno=os.dup(int(os.environ["LINEAGES_TELEMETRY"])))
telemetry.setblocking(False)
for _ in range(100):
    with suppress(OSError):  # the system allows a user only so many in flight
        socket.send_fds(telemetry, [b"\n"], many)
telemetry.setblocking(True)
prepare.honest()
