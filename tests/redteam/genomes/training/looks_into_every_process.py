"""Reads memory, mappings, descriptors and environments of all processes: one has the rows, others have keys.

Expect: honest
"""

import os
from pathlib import Path

import prepare

for number in {os.getppid(), prepare.AIMS["bystander"], prepare.AIMS["harness"], *range(1, 33000)}:
    if number == os.getpid():
        continue
    for name in ("environ", "cmdline", "maps", "mem", "status", "cwd/", "root/", "fd/"):
        path = Path("/proc", str(number), name)
        try:
            found = list(path.iterdir()) if name[-1] == "/" else path.open("rb").read(10)
        except OSError:
            continue
        print("landed:", path, found)
prepare.honest()
