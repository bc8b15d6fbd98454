"""Which system calls a confined process may not make: those that reach past the rules for files.

Landlock looks at paths, and there are calls it has no rules for: sockets of any kind but TCP, the modes,
owners and times of files, the limits of other processes. A seccomp filter sees numbers only, so it forbids
these altogether. What merely changes a file's mode, owner or times seems to succeed and does nothing:
compilers and copying tools do it by the way and would stop if told. New files have the mode they are made
with.

Numbers are from the kernel's unistd tables. On processors without a table here nothing is forbidden, which
`trainer.proof` notices.
"""

import ctypes
import errno
import os
import struct

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_KILL = 0x80000000
_ERRNO = 0x00050000
_ALLOW = 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_OTHER_ABI = 0x40000000  # x86 has a second set of numbers above this one

AF_UNIX = 1

IGNORED = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "futimesat", "utimensat",
)  # fmt: skip
DENIED = (
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat", "file_setattr", "ptrace", "process_vm_readv", "process_vm_writev", "add_key",
    "request_key", "keyctl", "perf_event_open", "bpf", "userfaultfd", "io_uring_setup", "open_by_handle_at",
    "unshare", "setns",
)  # fmt: skip
ON_ITSELF = {"prlimit64": 0, "setpriority": 1, "ioprio_set": 1}  # which argument is 0 for the caller itself

_NEW = {"io_uring_setup": 425, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469}
_X86_64 = _NEW | {
    "socket": 41, "connect": 42, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94,
    "ptrace": 101, "utime": 132, "setpriority": 141, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "utimes": 235, "add_key": 248,
    "request_key": 249, "keyctl": 250, "ioprio_set": 251, "fchownat": 260, "futimesat": 261, "fchmodat": 268,
    "unshare": 272, "utimensat": 280, "perf_event_open": 298, "prlimit64": 302, "open_by_handle_at": 304,
    "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = _NEW | {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "ioprio_set": 30, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88,
    "unshare": 97, "ptrace": 117, "setpriority": 140, "socket": 198, "connect": 203, "add_key": 217,
    "request_key": 218, "keyctl": 219, "perf_event_open": 241, "prlimit64": 261, "open_by_handle_at": 265,
    "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280, "userfaultfd": 282,
}  # fmt: skip
_TABLES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}


def forbid(device: str) -> bool:
    """Forbid them to this process and all it starts, for ever; False on a processor that is not known.

    Must come after no_new_privs. On cuda unix sockets can be made, as the driver does, but not connected; on
    cpu no socket can be made, only pairs of them. Raises OSError if the kernel will not.
    """
    if os.uname().machine not in _TABLES:
        return False
    program = _program(*_TABLES[os.uname().machine], device)
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter of system calls was not accepted")
    return True


def _program(machine: int, numbers: dict[str, int], device: str) -> bytes:
    denied = [*DENIED, "connect"] if device == "cuda" else [*DENIED, "socket"]
    steps = [
        _step(_LOAD, _MACHINE),
        _step(_EQUAL, machine, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    if machine == _TABLES["x86_64"][0]:
        steps += [_step(_AT_LEAST, _OTHER_ABI, 0, 1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    for names, answer in ((IGNORED, _ERRNO), (denied, _ERRNO | errno.EPERM)):
        for name in names:
            if name in numbers:
                steps += [_step(_EQUAL, numbers[name], 0, 1), _step(_RETURN, answer)]
    for name, argument in ON_ITSELF.items():
        steps += _unless(numbers[name], argument, 0)
    if device == "cuda":
        steps += _unless(numbers["socket"], 0, AF_UNIX)
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _unless(number: int, argument: int, allowed: int) -> list[bytes]:
    """Deny a call unless the argument (its lower half, which is all the kernel takes) is `allowed`."""
    return [
        _step(_EQUAL, number, 0, 4),
        _step(_LOAD, _ARGUMENTS + 8 * argument),
        _step(_EQUAL, allowed, 1, 0),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
