"""Tries, from inside the sandbox, what no candidate may do: run by `proof.py` and by nobody else.

    python -I -S probe.py ATTEMPTS

ATTEMPTS are JSON: what to read, where to write, whom to reach. Prints, as JSON, what became of each: whether
the system denied it, which is not the same as that it failed.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any


def main(aims: dict[str, Any]) -> None:
    with open(os.path.join(os.environ["HOME"], "own"), "w") as own:  # noqa: PTH118, PTH123
        own.write("what it may do, it can do")
    attempts: dict[str, Callable[[], object]] = {
        "read": lambda: open(aims["secret"]).read(),  # noqa: PTH123, SIM115
        "write": lambda: open(aims["outside"], "w"),  # noqa: PTH123, SIM115
        "environ": lambda: open(f"/proc/{aims['pid']}/environ", "rb").read(),  # noqa: PTH123, SIM115
        "signal": lambda: os.kill(aims["pid"], 0),
        "tcp": lambda: socket.create_connection(("127.0.0.1", aims["tcp"]), 5),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9)),
        "unix": lambda: socket.socket(socket.AF_UNIX).connect(aims["unix"]),
    }
    with contextlib.suppress(OSError):
        os.chmod(aims["secret"], 0o604)  # noqa: PTH101 (whether it did anything is looked at from outside)
    print(json.dumps({name: _denied(attempt) for name, attempt in attempts.items()}))


def _denied(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
