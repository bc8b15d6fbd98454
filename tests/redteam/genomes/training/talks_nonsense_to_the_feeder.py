"""Asks the feeder for rows before the first and beyond the last, and then for data as if nothing had been.

Expect: crashed, hands out no data any more|Connection reset
"""

import os
import socket

import prepare

feeder = socket.socket(fileno=int(os.environ["LINEAGES_FEED"].partition(",")[0]))
feeder.send(prepare.TAKEN.pack(0))
feeder.recv(100)
for nonsense in (prepare.TAKEN.pack(-1), prepare.TAKEN.pack(2**62), b"x" * 1000):
    try:
        feeder.send(nonsense)
    except BrokenPipeError:
        print("it hung up", flush=True)
prepare.honest()
