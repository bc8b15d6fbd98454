"""Looks for training data that costs no budget: in the task's folder, by the task's reader, in the ring.

Expect: honest
"""

import mmap
import os

import prepare

ring = int(os.environ["LINEAGES_FEED"].partition(",")[2])
early = mmap.mmap(ring, os.fstat(ring).st_size)
prepare.attempt("read the file", (prepare.TASK / "data" / "rows").read_bytes)
prepare.attempt("list the folder", lambda: list((prepare.TASK / "data").iterdir()))
prepare.attempt("feed itself", lambda: prepare.feed(0, prepare.ROWS))
if any(early[:]):
    print("landed: rows before the clock")
prepare.honest()
