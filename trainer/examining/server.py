"""Asks a candidate's model for logits without letting any of its code near the exam.

The model runs in a second, confined process (`served.py`). Tokens go to it through one shared buffer, logits
come back through another; both are made here, and nothing but two counters travels beside them. The examiner
never sends a target, never unpickles and never executes what comes back. Imported by `trainer.exam` only
when a task calls `serve`, because it imports torch.

A task may serve a submission twice: no server can read or write what another can write. Not covered:

- What passes for a note between them without being written, as `trainer.sandbox` names it.
- On CUDA the logits buffer is shared by the allocator's segment, so the little that the segment holds beyond
  the buffer can be read by the model's process; buffers below 10 MB may lie in one segment.
"""

import contextlib
import fcntl
import json
import math
import mmap
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from trainer.examining.submission import Refusal
from trainer.running.launch import Process, Start, cold
from trainer.sandbox import Sandbox, confined, environment

SERVED = Path(__file__).with_name("served.py")
START_S = 120.0  # importing torch and the genome, building the model, reading its weights
ANSWER_S = 60.0  # one batch; the first may also have to compile, and is given START_S
DYING_S = 10.0  # from hanging up to having exited, on a busy machine
ASK = struct.Struct("<qq")  # number of the request, rows
ANSWER = struct.Struct("<q")  # number of the request; 0 when the model is ready

Shape = tuple[int, int, int]  # batch_size, sequence_len, vocab_size


class Server:
    """The examiner's end of a running model."""

    def __init__(
        self,
        process: Process,
        channel: socket.socket,
        tokens: torch.Tensor,
        logits: torch.Tensor,
        answer_s: float,
    ) -> None:
        self._process, self._channel = process, channel
        self._tokens, self._shared = tokens, logits
        self._logits = torch.empty_like(logits)
        self._answer_s = answer_s
        self._asked = 0
        self._until = time.monotonic() + START_S  # when the model must be ready

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits float32 [b, T, V] of integer tokens [b, T], b at most batch_size, on the examiner's device.

        The result is valid until the next call. It is a copy: the model's process could still write to the
        shared buffer, between the sum over the vocabulary and the look at the target. The first call waits
        for the model to be built. Raises Refusal if that fails, and if the model dies, is silent for too long
        or answers out of turn.
        """
        rows = len(tokens)
        most, length = self._tokens.shape
        if rows > most or tokens.shape[1:] != (length,):
            raise ValueError(f"expected tokens of at most [{most}, {length}], got {list(tokens.shape)}")
        if self._asked == 0:
            self._wait_for(0, max(0.0, self._until - time.monotonic()) or 1e-3)
        self._tokens[:rows].copy_(tokens)
        self._asked += 1
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the wait says what became of it
            self._channel.sendall(ASK.pack(self._asked, rows))
        self._wait_for(self._asked, START_S if self._asked == 1 else self._answer_s)
        answer = self._logits[:rows].copy_(self._shared[:rows])
        if answer.is_cuda:
            torch.cuda.synchronize()  # until then the copy is only promised
        return answer

    def _wait_for(self, number: int, limit_s: float) -> None:
        """Wait for the answer to request `number`. Raises Refusal if anything else happens."""
        self._channel.settimeout(limit_s)
        try:
            answer = self._channel.recv(ANSWER.size)
        except TimeoutError:
            raise Refusal(f"the model gave no answer within {limit_s:g} s") from None
        except ConnectionResetError:
            answer = b""
        if not answer:
            raise Refusal(f"the model's process died{self._exit_code()}")
        if answer != ANSWER.pack(number):
            raise Refusal("the model's process answered garbage")

    def _exit_code(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f" with exit code {self._process.wait(DYING_S)}"
        return ""


@contextlib.contextmanager
def serve(
    submission: Path,
    device: str,
    shape: Shape,
    *,
    reads: Sequence[Path] = (),
    answer_s: float = ANSWER_S,
    sandbox: Sandbox = "auto",
    start: Start = cold,
) -> Iterator[Server]:
    """Start the model of `submission` (train.py, prepare.py, weights.safetensors); yield its Server at once.

    Its process reads the submission, what else is in `reads`, and no data, and writes in a folder that goes
    with it. That it cannot be built, or that its weights do not fit, is found out by the first question.
    """
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.enter_context(ours)
        stack.enter_context(theirs)
        tokens_fd, tokens = _shared(stack, shape[:2], torch.int64)
        logits_at, logits = _logits(stack, shape, device)
        setup = {"channel": theirs.fileno(), "tokens": tokens_fd, "logits": logits_at}
        command = confined(
            [sys.executable, "-P", str(SERVED), json.dumps(setup | {"shape": shape, "device": device})],
            device,
            reads=[submission, *reads],
            # CUDA opens buffers within one IPC namespace, which a process with peers does not leave.
            # Torch counts their users in /dev/shm, but does without where it may not write.
            peers=[scratch] if device == "cuda" else [],
            sandbox=sandbox,
        )
        numbers = [fd for fd in setup.values() if isinstance(fd, int)]
        process = start(command, submission, environment(scratch, device, _told()), None, numbers)
        stack.callback(_end, process)
        theirs.close()
        yield Server(process, ours, tokens, logits, answer_s)


def _told() -> dict[str, str]:
    """What the harness told the examiner, except for where it listens."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("LINEAGES_") and name != "LINEAGES_TELEMETRY"
    }


def _end(process: Process) -> None:
    process.terminate()
    process.wait()


def _shared(
    stack: contextlib.ExitStack, shape: tuple[int, ...], dtype: torch.dtype
) -> tuple[int, torch.Tensor]:
    """Memory of our own, sealed: whoever maps it cannot shrink it under our feet, which would kill us."""
    size = math.prod(shape) * dtype.itemsize
    fd = os.memfd_create("lineages", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, fd)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd, torch.frombuffer(mmap.mmap(fd, size), dtype=dtype).view(shape)


def _logits(
    stack: contextlib.ExitStack, shape: Shape, device: str
) -> tuple[int | list[object], torch.Tensor]:
    """The logits buffer, and how the model's process finds it: a descriptor, or a CUDA IPC handle."""
    if device == "cpu":
        return _shared(stack, shape, torch.float32)
    logits = torch.empty(shape, dtype=torch.float32, device=device)
    handle = logits.untyped_storage()._share_cuda_()  # type: ignore[no-untyped-call]
    return [part.hex() if isinstance(part, bytes) else part for part in handle], logits
