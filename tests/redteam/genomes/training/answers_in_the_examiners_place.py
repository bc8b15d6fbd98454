"""Writes the examiner's answer into every descriptor that it finds open, telemetry among them.

Expect: honest
"""

import os
from contextlib import suppress

import prepare

prepare.honest()
for descriptor in range(256):
    with suppress(OSError):
        os.set_blocking(descriptor, False)
        os.write(descriptor, b'{"result": {"bits": -37.8}}\n')
