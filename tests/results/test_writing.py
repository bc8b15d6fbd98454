import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from results.writing import arrows, change, clean, duration, figure, printable

HOSTILE = st.text(st.characters(exclude_categories=())) | st.text(
    "\x1b[]0;31m\x07\x9b\x9dK\\ \n\t\r\u202e\ud800é漢🙂[/]"
)


@given(HOSTILE, st.integers(1, 60))
def test_clean_text_is_one_printable_line_of_bounded_width(text: str, limit: int) -> None:
    line = clean(text, limit)
    assert line.isprintable()
    assert cell_len(line) <= limit and len(line) <= limit
    line.encode()


@given(HOSTILE)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("one\r\n\ttwo", "one two"),
        ("abc\u202edef\u200b", "abcdef"),
        ("x" * 30, "x" * 19 + "…"),
        ("漢" * 30, "漢" * 9 + "…"),
    ],
)
def test_what_could_disturb_a_terminal_is_gone(text: str, line: str) -> None:
    assert clean(text, 20) == line


def test_figures_keep_the_digits_that_matter() -> None:
    assert [figure(x) for x in (2.71338, 0.0, 0.00012345, 123456.0, -3.5)] == [
        "2.7134", "0.0000", "0.00012345", "1.2346e+05", "-3.5000"
    ]  # fmt: skip
    assert [change(x) for x in (-0.021, 0.0, 0.5, -0.00001)] == ["-0.0210", "+0.0000", "+0.5000", "-1.0e-05"]


def test_durations_are_said_as_people_say_them() -> None:
    assert [duration(s) for s in (-1, 8.4, 200, 7500, 100_000)] == [
        "0 s",
        "8 s",
        "3 m 20 s",
        "2 h 05 m",
        "1 d 03 h",
    ]


def test_the_values_of_a_change_stay_with_their_arrow_and_one_that_leads_nowhere_is_left_out() -> None:
    assert arrows("LR 1 -> 2, def f() -> int") == "LR 1\u00a0→\u00a02, def f()\u00a0→\u00a0int"
    assert [arrows(clean("raise DEPTH 4 -> 6", limit)) for limit in (16, 17)] == ["raise DEPTH 4…"] * 2
