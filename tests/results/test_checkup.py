"""The doctor's findings fit a screen, say how each thing stands, and hide nothing that is missing."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from results.checkup import following, lines, screen, verdict
from trainer.doctor.finding import Finding
from trainer.outcome import Progress

FINE = Finding("disk", "ok", "73.0 GB free in /tmp")
UNSURE = Finding("cores", "warning", "2, both busy", "stop other programs")
GONE = Finding("git", "missing", "not there", "install git")


def printed(shown: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_line_tells_the_status_the_name_and_what_was_found() -> None:
    assert printed(lines([FINE])).split(maxsplit=2)[:2] == ["ok", "disk"]
    assert "73.0 GB free in /tmp" in printed(lines([FINE]))


def test_a_remedy_stands_below_what_it_is_for() -> None:
    above, below = printed(lines([UNSURE])).splitlines()
    assert "both busy" in above
    assert below.strip() == "→ stop other programs"


def test_findings_of_one_name_are_grouped_under_it() -> None:
    text = printed(lines([UNSURE, Finding("cores", "warning", "another"), FINE]))
    assert text.count("cores") == 1
    assert "another" in text


def test_the_verdict_names_what_is_missing_once() -> None:
    assert verdict([FINE, GONE, UNSURE, GONE]).plain == "not ready: git"


def test_the_verdict_counts_warnings_where_nothing_is_missing() -> None:
    assert verdict([FINE, UNSURE]).plain == "ready: a run works here, with 1 warning"
    assert verdict([FINE]).plain == "ready: a run works here"


def test_what_a_driver_says_cannot_write_on_the_terminal() -> None:
    assert "\x1b" not in printed(
        lines([Finding("GPU", "warning", "an \x1b[2Jodd\x07 one", "\x1b]0;x\x07mend")])
    )


@given(st.integers(40, 120), st.text(min_size=1, max_size=300), st.text(max_size=300))
def test_no_line_is_wider_than_the_screen(width: int, found: str, remedy: str) -> None:
    text = printed(screen([Finding("GPU", "missing", found, remedy)]), width)
    assert "not ready: GPU" in text
    console = Console(width=width)
    assert all(console.render_str(line, markup=False).cell_len <= width for line in text.splitlines())


def test_a_screen_of_fourteen_fine_things_fits_24_lines() -> None:
    assert len(printed(screen([FINE] * 14)).splitlines()) <= 24


def test_watching_a_trial_leaves_nothing_behind_where_nobody_watches() -> None:
    console = Console(file=io.StringIO(), width=80)
    with following(console) as watch:
        watch(Progress("training", 3.0, 20.0, 0.15, 3.1, 20))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
