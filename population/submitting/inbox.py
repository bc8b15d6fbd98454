"""Where a running scheduler is sent candidates: by people, and by agents that work at their own pace.

Whoever submits leaves a file in the run's `inbox/` and waits for a receipt beside it. The scheduler records
the candidate first and gives the receipt then; a submission it was killed over is found again, and what was
recorded already is known by its genome. Files appear whole or not at all. What they hold is a stranger's.
"""

import contextlib
import secrets
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from population.submitting.receiving import Receipt, Submission

_MOST_BYTES: Final = 2**22  # of a submission


class Inbox:
    """The inbox of one run. Nothing is created before something is sent."""

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / "inbox"

    def send(self, submission: Submission) -> str:
        """Leave a submission; returns the token to ask for its receipt by."""
        self.folder.mkdir(parents=True, exist_ok=True)
        token = secrets.token_hex(8)
        self._write(f"{token}.json", submission)
        return token

    def waiting(self) -> list[tuple[str, Submission | None]]:
        """Tokens and submissions without a receipt, oldest first; None for a file that is none."""
        found: list[tuple[int, str, Submission | None]] = []
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # taken back meanwhile
                if path.is_file():
                    found.append((path.stat().st_mtime_ns, path.stem, _read(path)))
        return [(token, sent) for _, token, sent in sorted(found, key=lambda each: each[:2])]

    def answer(self, token: str, receipt: Receipt) -> None:
        """Give the receipt, and take the submission out of the inbox."""
        self._write(f"{token}.receipt", receipt)
        (self.folder / f"{token}.json").unlink(missing_ok=True)

    def receipt(self, token: str) -> Receipt | None:
        """The receipt of a submission, once there is one."""
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode((self.folder / f"{token}.receipt").read_bytes(), type=Receipt)
        return None

    def withdraw(self, token: str) -> bool:
        """Take a submission back; false if the scheduler was faster."""
        try:
            (self.folder / f"{token}.json").unlink()
        except FileNotFoundError:
            return False
        return True

    def _write(self, name: str, content: Struct) -> None:
        aside = self.folder / f"{name}.part"
        aside.write_bytes(msgspec.json.encode(content))
        aside.replace(self.folder / name)


def _read(path: Path) -> Submission | None:
    if path.stat().st_size > _MOST_BYTES:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Submission)
    except (PermissionError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
