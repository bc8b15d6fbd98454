"""Asks for all the memory there is, and more.

Expect: crashed, MemoryError
"""

import os

bytearray(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
