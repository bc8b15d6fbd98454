"""Parses Python source, in one thread at a time.

CPython keeps one count for all threads of how deep it is in the syntax tree it builds. Where a garbage
collection makes it change threads in the midst of that, the count is wrong in both, and `ast.parse` raises
SystemError: "AST constructor recursion depth mismatch" (seen in 3.11.7). Which warnings are shown is for all
threads as well.
"""

import ast
import threading
import warnings
from typing import Final

PARSING: Final = threading.RLock()  # to be held wherever a library builds syntax trees


def parse(text: str, name: str = "<unknown>") -> ast.Module:
    """The syntax tree of a module. Raises SyntaxError, and nothing else, for text that has none."""
    try:
        with PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's escape sequences are not our warnings
            return ast.parse(text, name)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(f"not a Python module: {error}") from error
