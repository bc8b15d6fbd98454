"""Asks the kernel for more: other users, capabilities, namespaces in which it would be root, mounts, modules.

Expect: honest
"""

import ctypes
import os
import signal
import time
from pathlib import Path

import prepare

libc = ctypes.CDLL(None, use_errno=True)
name = os.uname().nodename.encode()
CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
CLONE3, NEWUSER, NEWNS = 435, 0x10000000, 0x00020000


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def clone(flags: int) -> None:
    child = checked(libc.syscall(CLONE, flags | signal.SIGCHLD, 0, 0, 0, 0))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def clone3(flags: int) -> None:
    arguments = (ctypes.c_uint64 * 11)(flags, 0, 0, 0, signal.SIGCHLD)
    child = checked(libc.syscall(CLONE3, arguments, ctypes.sizeof(arguments)))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


prepare.attempt("be another user", lambda: os.setuid(1))
prepare.attempt("be of another group", lambda: os.setgroups([1]))
prepare.attempt("be root of a new namespace", lambda: checked(libc.unshare(NEWUSER)))
prepare.attempt("have a child that is", lambda: clone(NEWUSER))
prepare.attempt("have one by the newer call", lambda: clone3(NEWUSER))
prepare.attempt("have mounts of its own", lambda: checked(libc.unshare(NEWNS)))
Path("disk").mkdir()
prepare.attempt("mount", lambda: checked(libc.mount(b"none", b"disk", b"tmpfs", 0, None)))
prepare.attempt("change its root", lambda: os.chroot("."))
prepare.attempt("make a device", lambda: os.mknod("device", 0o60600, os.makedev(8, 0)))
prepare.attempt("name the machine", lambda: checked(libc.sethostname(name, len(name))))
prepare.attempt("set the clock", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
prepare.honest()
