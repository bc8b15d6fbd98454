"""Which files, sockets and processes a confined process may reach: the rules the kernel holds it to.

Rules name what is allowed; all else is denied, to the process and to all it will ever start, even as root.
What the kernel is too old for is left out here and noticed by `trainer.checks.proof`. A path that does not
exist is skipped by itself; any other failure raises OSError, so that nothing starts with half of its rules.
"""

import contextlib
import glob
import os
import stat
from collections.abc import Iterable, Sequence

from landlockpy import AccessFS, Ruleset, Scope, UnsupportedError

READ = AccessFS.EXECUTE | AccessFS.READ_FILE | AccessFS.READ_DIR
DEVICE = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.WRITE_FILE | AccessFS.IOCTL_DEV
OWN = (
    READ
    | AccessFS.WRITE_FILE
    | AccessFS.TRUNCATE
    | AccessFS.REFER  # links and moves between its own folders; from elsewhere, both ends must allow them
    | AccessFS.REMOVE_DIR
    | AccessFS.REMOVE_FILE
    | AccessFS.MAKE_DIR
    | AccessFS.MAKE_REG
    | AccessFS.MAKE_SOCK
    | AccessFS.MAKE_FIFO
    | AccessFS.MAKE_SYM
)
PEERS = AccessFS.READ_FILE | AccessFS.WRITE_FILE | AccessFS.MAKE_REG | AccessFS.REMOVE_FILE
ON_FILES = (
    AccessFS.EXECUTE | AccessFS.READ_FILE | AccessFS.WRITE_FILE | AccessFS.TRUNCATE | AccessFS.IOCTL_DEV
)  # the kernel refuses a rule that gives a file what only a folder has

LIBRARIES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt")
SETTINGS = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives",
    "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/localtime", "/etc/os-release", "/etc/nvidia",
)  # fmt: skip
# Not /proc itself: other processes' command lines are there.
MACHINE = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/version",
    "/proc/filesystems", "/proc/devices", "/proc/modules", "/proc/sys", "/proc/driver",
    "/sys/devices", "/sys/bus", "/sys/class", "/sys/module", "/sys/fs/cgroup",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Without every one of them cuInit fails with 304, however content nvidia-smi is. dxg is WSL's.
GPU_DEVICES = ("/dev/nvidia*", "/dev/dxg")


def restrict(reads: Sequence[str], own: Sequence[str], device: str, peers: Sequence[str] = ()) -> bool:
    """Bind this process to the rules for ever; False if the kernel knows nothing of such rules.

    It may read and execute `reads` and what any program needs, and do in the folders `own` as it likes; in
    the folders `peers` it may read, write and make files. `device` is cpu or cuda.
    """
    with contextlib.ExitStack() as stack:
        try:
            rules = stack.enter_context(Ruleset(scoped=Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL))
        except UnsupportedError:
            return False
        _allow(rules, (*LIBRARIES, *SETTINGS, *MACHINE, *reads), READ)
        _allow(rules, DEVICES, DEVICE)
        _allow(rules, own, OWN)
        _allow(rules, peers, PEERS)
        _allow_itself(rules, READ | AccessFS.WRITE_FILE | AccessFS.TRUNCATE if device == "cuda" else READ)
        if device == "cuda":
            _allow(rules, [path for pattern in GPU_DEVICES for path in glob.glob(pattern)], DEVICE)  # noqa: PTH207
        rules.restrict()
    return True


def _allow(rules: Ruleset, paths: Iterable[str], access: AccessFS) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            folder = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
            rules.allow_path(path, access if folder else access & ON_FILES)


def _allow_itself(rules: Ruleset, access: AccessFS) -> None:
    """What /proc says of this process, whose number stays when it becomes the command.

    CUDA names its threads there, so it must be able to write. The descriptor stays open: without it the
    kernel may forget the folder that the rule is about, and make another.
    """
    itself = os.open("/proc/self", os.O_PATH)
    os.set_inheritable(itself, True)
    rules.allow_path("/proc/self", access)
