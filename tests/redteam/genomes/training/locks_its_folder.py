"""Makes its folder hard to remove: closed, unchangeable, a thousand folders deep, and busy until the end.

Expect: honest
"""

import array
import fcntl
import os
from contextlib import suppress
from pathlib import Path

import prepare

SETFLAGS, IMMUTABLE_AND_APPEND = 0x40086602, 0x30
for path in (Path(), prepare.SUBMISSION):
    path.chmod(0)
    with suppress(OSError):
        fcntl.ioctl(os.open(path, os.O_RDONLY), SETFLAGS, array.array("l", [IMMUTABLE_AND_APPEND]))
prepare.honest()
for _ in range(1200):
    os.mkdir("d")  # noqa: PTH102
    os.chdir("d")
