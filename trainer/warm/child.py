"""A copy of a fork server: becomes a supervisor, and below it the command, as if both had been executed.

An order is one message of JSON, with the descriptors that the command is to have:

    {"command": [...], "folder": ..., "env": {...}, "numbers": [...]}

where `numbers` are those that the descriptors should have. The answer is the supervisor's process number; the
command's exit code follows when it and all below it have ended.
"""

import builtins
import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import resource
import socket
import struct
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NoReturn

from trainer.running import supervise
from trainer.walls import confine

ROOT = str(Path(__file__).parents[2])
MOST_BYTES = 2**18
MOST_DESCRIPTORS = 64
NUMBER = struct.Struct("<q")

forked = False  # whether this process is the copy of a fork server
found: list[str] = []  # where any Python program finds modules, beside its own


def obey(owner: socket.socket, server: int) -> NoReturn:
    """Carry out the order that comes from `owner`. `server` is the parent, and it all ends with that."""
    global forked
    forked = True
    message, descriptors, _, _ = socket.recv_fds(owner, MOST_BYTES, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if not message:  # the owner has thought better of it
        os._exit(0)
    order = json.loads(message)
    owner = _arrange(owner, descriptors, order["numbers"])
    os.chdir(order["folder"])
    os.setsid()
    _set_environment(order["env"])
    owner.sendall(NUMBER.pack(os.getpid()))

    def become_it(command: list[str], environment: Mapping[str, str]) -> NoReturn:
        owner.close()
        become(command, environment)

    def tell(code: int) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            owner.sendall(NUMBER.pack(code))

    supervise.main(server, order["command"], become_it, tell)


def become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """What os.execve does; but a script of this Python is run here, with what is imported already."""
    match command:
        case [sys.executable, "-I", "-S", confine.__file__, harness, settings, *inner]:
            _set_environment(environment)
            confine.main(int(harness), inner, become=become, **json.loads(settings))
        case [sys.executable, "-P", script, *words]:
            _set_environment(environment)
            _run(script, words, [])
        case [sys.executable, script, *words] if not script.startswith("-"):
            _set_environment(environment)
            _run(script, words, [str(Path(script).resolve().parent)])
        case _:
            os.execve(command[0], command, environment)


def close_all_but(kept: Collection[int]) -> None:
    """Close every descriptor that is not in `kept`."""
    end = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    borders = [-1, *sorted(kept), end]
    for below, above in itertools.pairwise(borders):
        if below + 1 < above:  # an empty range that ends at 0 would be taken for all
            os.closerange(below + 1, above)


def _arrange(owner: socket.socket, descriptors: Sequence[int], numbers: Sequence[int]) -> socket.socket:
    """Give descriptors their numbers and close all others; `owner`, whose number may be among them, moves."""
    free = max(2, *numbers) + 1
    aside = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, free) for fd in [owner.detach(), *descriptors]]
    for fd, number in zip(aside[1:], numbers, strict=True):
        os.dup2(fd, number)
    close_all_but({0, 1, 2, aside[0], *numbers})
    return socket.socket(fileno=aside[0])


def _set_environment(environment: Mapping[str, str]) -> None:
    """Python's and C's."""
    changed = dict(environment)  # which may be os.environ
    os.environ.clear()
    os.environ.update(changed)


def _run(script: str, words: Sequence[str], folders: Sequence[str]) -> NoReturn:
    """Run a script as `python SCRIPT WORDS...` does; modules are found in `folders` first."""
    file = os.path.abspath(script)  # noqa: PTH100 (what Python says in its tracebacks)
    sys.argv = [script, *words]
    sys.path[:] = [*folders, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *found]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.excepthook = _report
    if ROOT not in sys.path:
        _forget_harness()
    _tell_inductor()
    _draw_anew()
    _leave_libraries_to_the_kernel()
    main = ModuleType("__main__")
    vars(main).update(
        __annotations__={},
        __builtins__=builtins,
        __cached__=None,
        __file__=file,
        __loader__=SourceFileLoader("__main__", file),
    )
    sys.modules["__main__"] = main
    exec(compile(Path(file).read_bytes(), file, "exec", dont_inherit=True), vars(main))
    sys.exit()


def _forget_harness() -> None:
    """Whoever does not find these modules by himself shall not have them."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "trainer"]:
        del sys.modules[name]


def _tell_inductor() -> None:
    """The one name in our environments that a library read too early."""
    threads = os.environ.get("TORCHINDUCTOR_COMPILE_THREADS")
    if threads and (config := sys.modules.get("torch._inductor.config")):
        config.__dict__["compile_threads"] = int(threads)


def _draw_anew() -> None:
    """Random numbers that no other copy draws; `random` sees to that itself."""
    if numpy := sys.modules.get("numpy.random"):
        numpy.__dict__["seed"]()
    if torch := sys.modules.get("torch"):
        torch.__dict__["default_generator"].seed()


def _leave_libraries_to_the_kernel() -> None:
    """Skip, at exit, the destructors of the libraries loaded so far: torch's take a fifth of a second.

    Python has ended by then, and what was registered later has had its turn; what C has buffered is written.
    """
    libc = ctypes.CDLL(None)
    libc.on_exit(libc._exit, None)  # is called with the exit code, and so before the destructors
    libc.__cxa_atexit(libc.fflush, None, None)  # and this before that


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error as Python does, without the calls that led to the script."""
    own, trace_left = trace, trace
    while trace_left is not None:
        if trace_left.tb_frame.f_code is _run.__code__:
            own = trace_left.tb_next
        trace_left = trace_left.tb_next
    sys.__excepthook__(kind, error.with_traceback(own), own)
