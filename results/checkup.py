"""The doctor's findings on one screen: how each thing stands, what was found, and below it the remedy.

What programs and drivers said of themselves is untrusted text here, and goes through `clean`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from results.writing import clean, count, figure
from trainer.doctor.finding import Finding, Status
from trainer.outcome import Progress

STYLES: dict[Status, str] = {"ok": "green", "warning": "yellow", "missing": "bold red"}
WIDEST = 300  # of what was found; more than a screen's worth is not read
NAMES = len("CUDA inside")


def screen(findings: Sequence[Finding]) -> RenderableType:
    """All findings, and what they come to."""
    return Group(lines(findings), Text(), verdict(findings))


def lines(findings: Sequence[Finding]) -> Table:
    """A row for each finding; where one name has several, it stands in the first."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=max(map(len, STYLES)), no_wrap=True)
    table.add_column(width=NAMES, no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    before = ""
    for finding in findings:
        name = "" if finding.name == before else finding.name
        table.add_row(Text(finding.status, STYLES[finding.status]), Text(name), _told(finding))
        before = finding.name
    return table


def verdict(findings: Sequence[Finding]) -> Text:
    """One line: whether a run would work, or what prevents it."""
    missing = list(dict.fromkeys(finding.name for finding in findings if finding.status == "missing"))
    if missing:
        return Text(f"not ready: {', '.join(missing)}", STYLES["missing"])
    warnings = sum(finding.status == "warning" for finding in findings)
    rest = f", with {count(warnings, 'warning')}" if warnings else ""
    return Text(f"ready: a run works here{rest}", STYLES["warning" if warnings else "ok"])


@contextmanager
def following(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Somebody to watch a trial, who shows on a terminal where it stands and leaves nothing behind."""
    with console.status("starting a trial") as status:

        def watch(progress: Progress) -> None:
            loss = "" if progress.loss is None else f", loss {figure(progress.loss)}"
            status.update(Text(f"{progress.phase}: {progress.elapsed_s:.0f} s{loss}"))

        yield watch


def _told(finding: Finding) -> Text:
    text = Text(clean(finding.found, WIDEST))
    if finding.remedy and finding.status != "ok":
        text.append(f"\n→ {clean(finding.remedy, WIDEST)}", "cyan")
    return text
