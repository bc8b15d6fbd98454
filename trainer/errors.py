"""The one error a user can cause and mend.

What a candidate does wrong is an `Outcome`; a broken invariant is an assertion. Only what the person at
the keyboard got wrong (an argument, a file, a setting) is raised as `BadInput`, and `scheduler.py` prints it
as one line and exits with 2.
"""


class BadInput(Exception):
    """Says, in one line, what was expected and how to mend it."""
