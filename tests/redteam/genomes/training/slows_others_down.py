"""Makes other processes wait: by nice values, priorities of their I/O, processors, scheduling and limits.

What it asks for all processes of its user is what they have already, should it get through.

Expect: honest
"""

import ctypes
import os
import resource

import prepare

libc = ctypes.CDLL(None, use_errno=True)
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}[os.uname().machine]
bystander = prepare.AIMS["bystander"]
idle = os.sched_param(0)


def io_priority(which: int, who: int, priority: int) -> None:
    if libc.syscall(IOPRIO_SET, which, who, priority) != 0:
        raise OSError(ctypes.get_errno(), "ioprio_set")


def take_processors(pid: int) -> None:
    before = os.sched_getaffinity(pid)
    os.sched_setaffinity(pid, {min(before)})
    if os.sched_getaffinity(pid) == before:
        raise PermissionError("it only seemed to")


prepare.attempt("be nice for it", lambda: os.setpriority(os.PRIO_PROCESS, bystander, 19))
prepare.attempt("be nice for its group", lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(bystander), 0))
prepare.attempt("be nice for all", lambda: os.setpriority(os.PRIO_USER, 0, 0))
prepare.attempt("let it wait for the disk", lambda: io_priority(1, bystander, 3 << 13))
prepare.attempt("let all wait for the disk", lambda: io_priority(3, 0, 0))
prepare.attempt("let it idle", lambda: os.sched_setscheduler(bystander, os.SCHED_IDLE, idle))
prepare.attempt("let it be a batch", lambda: os.sched_setscheduler(bystander, os.SCHED_BATCH, idle))
prepare.attempt("limit its files", lambda: resource.prlimit(bystander, resource.RLIMIT_NOFILE, (3, 3)))
prepare.attempt("leave it one processor", lambda: take_processors(bystander))


prepare.honest()
