"""Whether the sandbox holds on this machine: found out by trying to get out of it.

No version of the kernel and no list of its features is taken for a proof: a container may withhold what its
kernel has. What is tried is what a candidate would try first; `trainer.sandbox` says what is not covered.
"""

import json
import os
import platform
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from trainer.running.log import one_line
from trainer.sandbox import confined, environment

PROBE = Path(__file__).with_name("probe.py")
PROBE_S = 60.0


class Gap(Struct, frozen=True):
    """Something a candidate should be denied and is not."""

    attempt: str  # what was tried
    means: str  # what it means, and what would close it, in one line
    vital: bool  # whether a stranger's code should not be run like this


VITAL = {
    "read": "it can read any file, the held-out data and your own among them; needs Landlock (Linux 5.13)",
    "write": "it can change any file that you can; needs Landlock (Linux 5.13)",
    "environ": "it can read the keys in this program's environment; needs Landlock (Linux 5.13)",
    "tcp": "it can send what it finds to anyone; needs seccomp, or Landlock of Linux 6.7",
    "unix": "it can ask other programs to act for it, Docker for one; needs seccomp on x86-64 or ARM64",
}
LESSER = {
    "signal": "it can stop the run by killing this program; needs Landlock of Linux 6.12",
    "udp": "it can send datagrams, so also look up names; needs seccomp on x86-64 or ARM64",
    "modes": "it can change modes and owners of your files; needs seccomp on x86-64 or ARM64",
}


class Proof(Struct, frozen=True):
    """What a confined process was really denied here, and what it was not."""

    denied: tuple[str, ...]
    gaps: tuple[Gap, ...]

    @property
    def holds(self) -> bool:
        """Whether a stranger's code can be run."""
        return not any(gap.vital for gap in self.gaps)

    def lines(self) -> list[str]:
        """One line for each thing that is missing."""
        return [f"the sandbox does not deny {gap.attempt!r}: {gap.means}" for gap in self.gaps]


def proof() -> Proof:
    """Start a confined process that tries to get out, and report. Takes a tenth of a second."""
    if sys.platform != "linux":
        return _without(f"{platform.system()} has no Landlock; run this on Linux, or in a virtual machine")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as tcp:
        base = Path(folder)
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(base / "socket"))
            unix.listen()
            return _tried(base, tcp.getsockname()[1])


def _tried(base: Path, port: int) -> Proof:
    secret, scratch = base / "secret", base / "scratch"
    scratch.mkdir()
    secret.touch(0o600)
    aims = {
        "secret": str(secret),
        "outside": str(base / "outside"),
        "pid": os.getpid(),
        "tcp": port,
        "unix": str(base / "socket"),
    }
    command = confined([sys.executable, "-I", "-S", str(PROBE), json.dumps(aims)], "cpu")
    env = environment(str(scratch), "cpu", {})
    try:
        ended = subprocess.run(
            command, cwd=scratch, env=env, capture_output=True, text=True, timeout=PROBE_S, check=True
        )
        found = msgspec.json.decode(ended.stdout, type=dict[str, bool])
    except subprocess.CalledProcessError as failed:
        said = failed.stderr.strip().rpartition("\n")[2]
        return _without(f"a confined process cannot even start: {one_line(said)}")
    except subprocess.TimeoutExpired:
        return _without(f"a confined process said nothing within {PROBE_S:g} s")
    return judged(found | {"modes": stat.S_IMODE(secret.stat().st_mode) == 0o600})


def judged(denied: dict[str, bool]) -> Proof:
    """The proof that follows from which attempts were denied."""
    gaps = [
        Gap(attempt, means, vital)
        for table, vital in ((VITAL, True), (LESSER, False))
        for attempt, means in table.items()
        if not denied.get(attempt)
    ]
    return Proof(tuple(sorted(attempt for attempt, was in denied.items() if was)), tuple(gaps))


def _without(why: str) -> Proof:
    return Proof((), (Gap("anything", why, vital=True),))
