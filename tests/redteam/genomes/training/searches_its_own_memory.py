"""Searches its own memory, environment and modules for what the process it was forked from may have known.

Expect: honest
"""

import gc
import re
import socket
from pathlib import Path

import prepare

KEY = re.compile(rb"sk-[0-9a-f]{24}")
places = re.findall(r"^(\w+)-(\w+) r", Path("/proc/self/maps").read_text(), re.M)
found = set(KEY.findall(Path("/proc/self/environ").read_bytes()))
with Path("/proc/self/mem").open("rb", buffering=0) as memory:
    for begin, end in places:
        try:
            memory.seek(int(begin, 16))
            found |= set(KEY.findall(memory.read(min(int(end, 16) - int(begin, 16), 2**24))))
        except (OSError, OverflowError, ValueError):
            continue  # what the kernel maps for itself
sockets = [thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() >= 0]
if found or sockets:
    print("landed:", found, sockets)
prepare.honest()
