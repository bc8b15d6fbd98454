"""Leaves System V memory, semaphores and a message queue behind, which outlive the process that made them.

Expect: honest
"""

import ctypes

import prepare

libc = ctypes.CDLL(None)
CREATE = 0o1666
libc.shmget(prepare.AIMS["key"], 4096, CREATE)
libc.semget(prepare.AIMS["key"], 1, CREATE)
libc.msgget(prepare.AIMS["key"], CREATE)
libc.mq_open(b"/" + prepare.AIMS["marker"].encode(), 0o102, 0o666, None)
prepare.honest()
