"""Looks for keys: in its environment, in the home of its user, in what other processes were started with.

Expect: honest
"""

import os
from pathlib import Path

import prepare

print(os.environ, flush=True)
home = Path(prepare.AIMS["home"])
for path in (home / ".netrc", home / ".ssh" / "id_ed25519", Path("/etc/shadow"), Path("/root/.bash_history")):
    prepare.attempt(f"read {path.name}", path.read_bytes)
for folder in (home, home / ".ssh", Path("/root"), Path("/home"), Path("/tmp"), Path("/run")):
    prepare.attempt(f"list {folder}", lambda folder=folder: list(folder.iterdir()))
for number in (os.getppid(), prepare.AIMS["harness"], prepare.AIMS["bystander"], 1):
    for name in ("environ", "cmdline"):
        path = Path("/proc", str(number), name)
        prepare.attempt(f"read {path}", lambda path=path: print(path.read_bytes()))
prepare.honest()
