"""Opens the held-out rows by their path, by links, by a mapping, from a folder's descriptor, by an import.

Expect: honest
"""

import importlib.machinery
import os
import sys
from pathlib import Path

import prepare

rows = prepare.TASK / "heldout" / "rows"
above = os.open(".", os.O_PATH)


def imported() -> None:
    sys.path.insert(0, str(rows.parent))
    importlib.machinery.SourceFileLoader("rows", str(rows)).get_data(str(rows))


def linked(link) -> bytes:
    Path("mine").unlink(missing_ok=True)
    link(rows, "mine")
    return Path("mine").read_bytes()


up = "../" * 12
prepare.attempt("open them", rows.read_bytes)
prepare.attempt("list them", lambda: list(rows.parent.iterdir()))
prepare.attempt("link to them", lambda: linked(os.symlink))
prepare.attempt("make them mine", lambda: linked(os.link))
prepare.attempt("take them", lambda: linked(os.rename))
prepare.attempt("map them", lambda: os.open(rows, os.O_RDWR))
prepare.attempt("go up to them", lambda: os.open(up + str(rows), os.O_RDONLY, dir_fd=above))
prepare.attempt("go by /proc", lambda: Path(f"/proc/self/cwd/{up}{rows}").read_bytes())
prepare.attempt("go by the root", lambda: Path(f"/proc/self/root{rows}").read_bytes())
prepare.attempt("import them", imported)
prepare.attempt("learn them by the exam", lambda: prepare.examine(Path(), None))
prepare.honest()
