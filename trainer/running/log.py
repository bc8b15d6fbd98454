"""What a process printed: the beginning and the end of it, never more than a file can bear.

All of it is untrusted text. Nothing in it is a score.
"""

import re
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

HEAD = 2**18  # bytes written as they come
TAIL = 2**18  # bytes kept back and written at the end
TAIL_LINES = 20
TAIL_CHARS = 4000
REASON_CHARS = 300

_RAISED = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)", re.MULTILINE)


class Log:
    """Takes everything, keeps HEAD + TAIL bytes. With a path, appends them to that file."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = path.open("ab") if path else None
        self._total = 0
        self._recent = bytearray()

    def write(self, chunk: bytes) -> None:
        if self._file and self._total < HEAD:
            self._file.write(chunk[: HEAD - self._total])
            self._file.flush()
        self._total += len(chunk)
        self._recent += chunk
        if len(self._recent) > 2 * TAIL:
            del self._recent[:-TAIL]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        with self._file:
            beyond = self._total - HEAD
            if beyond > TAIL:
                self._file.write(f"\n... {beyond - TAIL} bytes left out ...\n".encode())
            if beyond > 0:
                self._file.write(self._recent[-min(beyond, TAIL) :])

    def tail(self) -> str:
        """The last lines, printable characters only, cut to a size that can be shown."""
        lines = _printable(bytes(self._recent[-2 * TAIL_CHARS :])).rstrip().splitlines()
        return "\n".join(lines[-TAIL_LINES:])[-TAIL_CHARS:]

    def last_error(self) -> str:
        """The line a Python traceback ends with, such as `ValueError: ...`; empty if there is none."""
        raised = _RAISED.findall(_printable(bytes(self._recent[-(2**16) :])))
        return one_line(raised[-1]) if raised else ""

    def reason(self, code: int) -> str:
        """Why the process that printed this ended with `code` (negative for a signal), in one line."""
        if code < 0:
            names = {number.value: number.name for number in signal.Signals}
            return f"killed by {names.get(-code, f'signal {-code}')}"
        last_line = one_line(self.tail().rpartition("\n")[2])
        return self.last_error() or f"exit code {code}" + (f": {last_line}" if last_line else "")


def one_line(text: str) -> str:
    """`text` as one short line."""
    line = " ".join(text.split())
    return line if len(line) <= REASON_CHARS else line[: REASON_CHARS - 1] + "…"


def _printable(raw: bytes) -> str:
    text = raw.decode(errors="replace").replace("\t", "    ").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c == "\n" or c.isprintable())
