"""Attaches to other processes, reads and writes their memory, and takes their descriptors.

Expect: honest
"""

import ctypes
import os

import prepare

libc = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD, ATTACH, SEIZE = 438, 16, 0x4206
buffer = ctypes.create_string_buffer(64)


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


here = ctypes.byref(Vector(ctypes.addressof(buffer), 64))
for pid in (prepare.AIMS["bystander"], prepare.AIMS["harness"], os.getppid()):
    prepare.attempt("attach", lambda pid=pid: checked(libc.ptrace(ATTACH, pid, None, None)))
    prepare.attempt("seize", lambda pid=pid: checked(libc.ptrace(SEIZE, pid, None, None)))
    prepare.attempt("read", lambda pid=pid: checked(libc.process_vm_readv(pid, here, 1, here, 1, 0)))
    prepare.attempt("write", lambda pid=pid: checked(libc.process_vm_writev(pid, here, 1, here, 1, 0)))
    prepare.attempt("take", lambda pid=pid: checked(libc.syscall(PIDFD_GETFD, os.pidfd_open(pid), 0, 0)))
prepare.honest()
