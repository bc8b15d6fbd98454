"""How numbers, times and untrusted text are written for people.

Ideas, reasons and logs come from candidates and models. `clean` is the one door through which their text
reaches a terminal or a table: what comes out is a single printable line of bounded width, without escape
sequences, control characters or direction overrides. It is not markup-safe by itself; what prints it must not
parse markup.
"""

import re
from math import floor, log10

from rich.cells import cell_len, set_cell_size

_ESCAPES = re.compile(  # after ECMA-48, 5.4 and 5.6
    r"""
      (?: \x1b\[ | \x9b ) [0-?]* [\x20-/]* [@-~]  # control sequences: colours, the cursor
    | (?: \x1b[\]PX^_] | [\x90\x98\x9d-\x9f] )   # control strings: titles, links ...
      [^\x07\x1b\x9c]* (?: \x07 | \x1b\\ | \x9c )?  # ... to their end
    | \x1b .?
    """,
    re.DOTALL | re.VERBOSE,
)


def printable(text: str) -> str:
    """The text without escape sequences and invisible characters, on one line; spacing is kept."""
    if text.isprintable():
        return text
    kept = (c if c.isprintable() else " " if c.isspace() else "" for c in _ESCAPES.sub("", text))
    return "".join(kept)


def clean(text: str, limit: int) -> str:
    """One printable line of at most `limit` characters and terminal cells, cut with an ellipsis."""
    line = " ".join(printable(text[: 20 * limit]).split())
    if len(line) <= limit and cell_len(line) <= limit:
        return line
    return set_cell_size(line[: limit - 1], limit - 1).rstrip() + "…"


def figure(score: float) -> str:
    """A score: four decimals where they mean something, else five significant digits."""
    return f"{score:.4f}" if score == 0 or 0.01 <= abs(score) < 10_000 else f"{score:.5g}"


def interval(mean: float, half: float) -> str:
    """A figure and half the width of its interval, to two digits of that: `0.99790 ± 0.00061`.

    Where the interval is too narrow to be seen, the figure alone.
    """
    if not half or half < 1e-6 * abs(mean):
        return figure(mean)
    places = 1 - floor(log10(half))
    return f"{mean:.{places}f} ± {half:.{places}f}" if 0 <= places <= 7 else f"{mean:.5g} ± {half:.1e}"


def change(difference: float) -> str:
    """A difference of scores with its sign; negative is better. A small one is not rounded to nothing."""
    if difference == 0 or 0.00005 <= abs(difference) < 1_000:
        return f"{difference:+.4f}"
    return f"{difference:+.1e}"


def duration(seconds: float) -> str:
    """Seconds as people say them: `8 s`, `3 m 20 s`, `2 h 05 m`, `3 d 04 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02d} h"


def arrows(text: str) -> str:
    """A change as it is printed where there are better arrows, from which its values do not part.

    One behind which the text was cut off is left out.
    """
    whole = re.sub(r" ->?…$", "…", text)
    return whole.replace(" -> ", "\u00a0→\u00a0")


def count(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
