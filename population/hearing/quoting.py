"""How text of strangers is put into a prompt, so that it stays what it is: something quoted.

Ideas, logs, tracebacks and replies were written by models and by their programs. What goes through `line` or
`lines` holds no control characters, no half characters and none of the signs with which chat templates part
one speaker from the next (a local server reads those as tokens wherever they stand). What goes through
`fenced` cannot end its own block. Whether a model heeds what it reads in a quotation is up to the model.
"""

import re
from typing import Final

_ESCAPES: Final = re.compile(r"\x1b\[[0-?]{0,32}[ -/]{0,8}[@-~]")  # colours and movements of a terminal
_SPEAKERS: Final = re.compile(
    r"<(?=\||/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn)>|</?SYS>>)|\[(?=/?INST\])"
)


def line(text: str, limit: int) -> str:
    """The text on one printable line of at most `limit` characters."""
    return cut(" ".join(_printable(text[: 20 * limit]).split()), limit)


def lines(text: str, most: int, limit: int) -> tuple[str, ...]:
    """The last `most` lines that are not blank, each printable and of at most `limit` characters."""
    last = text[-20 * most * limit :].replace("\r", "\n").split("\n")
    kept = [each for each in map(_printable, last) if each and not each.isspace()]
    return tuple(cut(each.rstrip(), limit) for each in kept[-most:])


def whole(text: str) -> str:
    """All of a text, its lines and tabs too, without what cannot be printed or speaks for somebody else."""
    return re.sub(r"[^\n\t]+", lambda piece: _printable(piece[0]), text.replace("\r\n", "\n"))


def fenced(text: str, kind: str = "") -> str:
    """The text as a block that nothing in it can end: its fence is longer than any row of backticks in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text.removesuffix(chr(10))}\n{fence}"


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with an ellipsis if it has more than `limit` characters."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def middle_out(text: str, limit: int) -> str:
    """The text, or its beginning and its end if it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[head - limit :]}"


def _printable(text: str) -> str:
    if not text.isprintable():
        text = _ESCAPES.sub("", text)
        text = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    return _SPEAKERS.sub(lambda sign: sign[0] + " ", text)
