"""What the doctor says of one thing: how it stands, what was found, and the remedy where it is not fine."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

Status: TypeAlias = Literal["ok", "warning", "missing"]


class Finding(Struct, frozen=True):
    """`missing` prevents a run of the default task; a `warning` makes it slower, riskier or less sure."""

    name: str  # what was looked at, in a word or two
    status: Status
    found: str  # one line; where it is not fine, with what that means
    remedy: str = ""  # one line


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if a run would work, 1 if something is missing."""
    return int(any(finding.status == "missing" for finding in findings))
