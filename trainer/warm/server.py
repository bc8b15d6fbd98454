"""The fork server: imports once, forks whenever it is asked to, and ends with its owner.

Its owner asks through a channel, a socket, by sending the end of another, the copy's own: what is to be run
comes through that, and goes to the copy alone. A copy that has ended keeps its number until the owner sends
that, to say that it has no more use for it.
"""

import contextlib
import gc
import importlib
import os
import select
import socket
from collections.abc import Sequence
from typing import NoReturn

from trainer.walls.process import hide
from trainer.warm import child

READY = b"r"
FORK = b"f"


def main(owner: int, channel: int, modules: Sequence[str], found: Sequence[str]) -> NoReturn:
    """Import `modules`, say READY, serve the process `owner`. Copies find modules where `found` says.

    Raises whatever an import does, and RuntimeError for what no fork would copy: threads, a card in use.
    """
    hide()
    for name in modules:
        importlib.import_module(name)
    child.found = list(found)
    _stop_threads()
    _check_devices()
    gc.collect()
    gc.freeze()  # so that no collection in a child writes to, and so copies, what all of them share
    with socket.socket(fileno=channel) as asked:
        asked.sendall(READY)
        serve(asked, owner)


def fork_here() -> socket.socket:
    """Fork a server that is a copy of this process as it is now, and ends with it; the channel to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    us = os.getpid()
    if os.fork() == 0:
        child.close_all_but({0, 1, 2, theirs.fileno()})
        ours.detach()
        serve(theirs, us)
    theirs.close()
    return ours


def serve(channel: socket.socket, owner: int) -> NoReturn:
    """Fork for the owner until it hangs up or dies. A copy goes on in `child.obey`."""
    us = os.getpid()
    ended: list[int] = []
    watched = os.pidfd_open(owner)
    if os.getppid() != owner:
        os._exit(0)
    while True:
        ready, _, _ = select.select([channel.fileno(), watched], [], [])
        if watched in ready:
            os._exit(0)
        message, ends, _, _ = socket.recv_fds(channel, child.NUMBER.size, 1, socket.MSG_CMSG_CLOEXEC)
        if not message:
            os._exit(0)
        if not ends:
            ended += child.NUMBER.unpack(message)
        ended = [number for number in ended if not _reaped(number)]
        if ends and os.fork() == 0:
            os.close(watched)
            channel.close()
            child.obey(socket.socket(fileno=ends[0]), us)
        for end in ends:
            os.close(end)


def _reaped(number: int) -> bool:
    """Reap a copy that has told its end, if it has come to that by now."""
    try:
        return os.waitpid(number, os.WNOHANG)[0] == number
    except ChildProcessError:
        return True


def _stop_threads() -> None:
    """OpenBLAS starts threads when it is loaded, and ends them before a fork until they are needed again."""
    trial = os.fork()
    if trial == 0:
        os._exit(0)
    os.waitpid(trial, 0)
    running = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    if running > 1:
        raise RuntimeError(f"after importing, {running} threads are running")


def _check_devices() -> None:
    """CUDA fails in the copies of a process that has so much as counted the cards."""
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(FileNotFoundError):
            file = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
            if file.startswith(("/dev/nvidia", "/dev/dxg")):
                raise RuntimeError(f"importing has opened {file}")
