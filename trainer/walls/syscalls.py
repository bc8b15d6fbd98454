"""Which system calls a confined process may not make: those that reach past the rules for files.

Landlock looks at paths, and there are calls it has no rules for: sockets of any kind but TCP, the modes,
owners and times of files, locks on and watches of files that may only be read, memory and queues of System V,
the limits and priorities of other processes, namespaces in which to have privileges again. A seccomp filter
sees numbers only, so it forbids these altogether. What changes a file's mode, owner or times, locks it, or
binds a thread to a processor seems to succeed and does nothing: compilers and copying tools do it by the way
and would stop if told. New files have the mode they are made with.

Numbers are from the kernel's unistd tables. On processors without a table here nothing is forbidden, which
`trainer.checks.proof` notices.
"""

import ctypes
import errno
import os
import struct

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_KILL = 0x80000000
_ALLOW = 0x7FFF0000
_PRETEND = 0x00050000  # an error code of 0
_DENY = _PRETEND | errno.EPERM
_MISSING = _PRETEND | errno.ENOSYS
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_OTHER_ABI = 0x40000000  # x86 has a second set of numbers above this one

AF_UNIX = 1

IGNORED = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "futimesat", "utimensat", "flock", "sched_setaffinity",
)  # fmt: skip
DENIED = (
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat", "file_setattr", "ptrace", "process_vm_readv", "process_vm_writev", "add_key",
    "request_key", "keyctl", "perf_event_open", "bpf", "userfaultfd", "io_uring_setup", "open_by_handle_at",
    "unshare", "setns", "syslog", "inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init",
    "shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv",
    "msgctl", "mq_open", "mq_unlink",
)  # fmt: skip
# What the arguments of these must be, by their places, so that they are about the caller itself.
ON_ITSELF = {
    "prlimit64": {0: 0}, "getpriority": {0: 0, 1: 0}, "setpriority": {0: 0, 1: 0}, "ioprio_get": {0: 1, 1: 0},
    "ioprio_set": {0: 1, 1: 0}, "sched_getattr": {0: 0}, "sched_setattr": {0: 0}, "sched_getparam": {0: 0},
    "sched_setparam": {0: 0}, "sched_getscheduler": {0: 0}, "sched_setscheduler": {0: 0},
}  # fmt: skip
# Of fcntl: locks of a file's parts, of both kinds, and what others learn of by opening it.
LOCKS = (5, 6, 7, 36, 37, 38)  # F_GETLK to F_OFD_SETLKW
LEASES = (1024, 1025, 1026)  # F_SETLEASE, F_GETLEASE, F_NOTIFY
NAMESPACES = 0x7E020000  # CLONE_NEWNS to CLONE_NEWNET

_NEW = {
    "io_uring_setup": 425, "clone3": 435, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466,
    "file_setattr": 469,
}  # fmt: skip
_X86_64 = _NEW | {
    "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "connect": 42, "clone": 56, "semget": 64,
    "semop": 65, "semctl": 66, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "fcntl": 72,
    "flock": 73, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101,
    "syslog": 103, "utime": 132, "getpriority": 140, "setpriority": 141, "sched_setparam": 142,
    "sched_getparam": 143, "sched_setscheduler": 144, "sched_getscheduler": 145, "setxattr": 188,
    "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    "sched_setaffinity": 203, "semtimedop": 220, "utimes": 235, "mq_open": 240, "mq_unlink": 241,
    "add_key": 248, "request_key": 249, "keyctl": 250, "ioprio_set": 251, "ioprio_get": 252,
    "inotify_init": 253, "inotify_add_watch": 254, "fchownat": 260, "futimesat": 261, "fchmodat": 268,
    "unshare": 272, "utimensat": 280, "inotify_init1": 294, "perf_event_open": 298, "fanotify_init": 300,
    "prlimit64": 302, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "sched_setattr": 314, "sched_getattr": 315, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = _NEW | {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "fcntl": 25, "inotify_init1": 26, "inotify_add_watch": 27, "ioprio_set": 30, "ioprio_get": 31,
    "flock": 32, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88, "unshare": 97,
    "syslog": 116, "ptrace": 117, "sched_setparam": 118, "sched_setscheduler": 119,
    "sched_getscheduler": 120, "sched_getparam": 121, "sched_setaffinity": 122, "setpriority": 140,
    "getpriority": 141, "mq_open": 180, "mq_unlink": 181, "msgget": 186, "msgctl": 187, "msgrcv": 188,
    "msgsnd": 189, "semget": 190, "semctl": 191, "semtimedop": 192, "semop": 193, "shmget": 194,
    "shmctl": 195, "shmat": 196, "socket": 198, "connect": 203, "add_key": 217, "request_key": 218,
    "keyctl": 219, "clone": 220, "perf_event_open": 241, "prlimit64": 261, "fanotify_init": 262,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "sched_setattr": 274, "sched_getattr": 275, "bpf": 280, "userfaultfd": 282,
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
    steps = [
        _step(_LOAD, _MACHINE),
        _step(_EQUAL, machine, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    if machine == _TABLES["x86_64"][0]:
        steps += [_step(_AT_LEAST, _OTHER_ABI, 0, 1), _step(_RETURN, _MISSING)]
    denied = [*DENIED, "connect"] if device == "cuda" else [*DENIED, "socket"]
    # What clone3 is asked for is in memory, which a filter cannot see; libraries then use clone.
    for names, answer in ((IGNORED, _PRETEND), (denied, _DENY), (["clone3"], _MISSING)):
        for name in names:
            if name in numbers:
                steps += _when(numbers[name], [_step(_RETURN, answer)])
    for name, checks in _by_arguments(device).items():
        steps += _when(numbers[name], checks)
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _by_arguments(device: str) -> dict[str, list[bytes]]:
    """What to do about calls whose arguments decide."""
    kinds = [(lock, _PRETEND) for lock in LOCKS] + [(lease, _DENY) for lease in LEASES]
    checks = {
        "clone": [_argument(0), *_if(_ANY_OF, NAMESPACES, _DENY)],
        "fcntl": [_argument(1), *(step for kind, answer in kinds for step in _if(_EQUAL, kind, answer))],
    }
    for name, own in ON_ITSELF.items():
        checks[name] = [step for place, value in own.items() for step in _unless(place, value)]
    return checks | ({"socket": _unless(0, AF_UNIX)} if device == "cuda" else {})


def _when(number: int, then: list[bytes]) -> list[bytes]:
    """What to do about one call; what `then` does not answer is allowed."""
    return [_step(_EQUAL, number, 0, len(then) + 1), *then, _step(_RETURN, _ALLOW)]


def _unless(place: int, allowed: int) -> list[bytes]:
    """Deny a call unless an argument is `allowed`."""
    return [_argument(place), _step(_EQUAL, allowed, 1, 0), _step(_RETURN, _DENY)]


def _if(compare: int, value: int, answer: int) -> list[bytes]:
    """Answer a call if what was loaded last compares with `value` like this."""
    return [_step(compare, value, 0, 1), _step(_RETURN, answer)]


def _argument(place: int) -> bytes:
    """Load an argument's lower half, which is all that the kernel takes of any of these."""
    return _step(_LOAD, _ARGUMENTS + 8 * place)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
