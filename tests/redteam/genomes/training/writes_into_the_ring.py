"""Fills the memory its rows come through with rows of its own, before the clock and behind every row.

Expect: honest
"""

import mmap
import os

import prepare

ring = int(os.environ["LINEAGES_FEED"].partition(",")[2])
memory = mmap.mmap(ring, os.fstat(ring).st_size)
memory[:] = bytes([7]) * len(memory)
prepare.attempt("shrink it under the feeder", lambda: os.ftruncate(ring, 0))
prepare.honest()
memory[:] = bytes([7]) * len(memory)
