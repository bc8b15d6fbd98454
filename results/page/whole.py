"""A whole HTML file: its style, scripts and data in it, and a policy that lets nothing else in.

The policy (Content-Security-Policy) names scripts by their hashes, so that even text that slipped through as
markup could do nothing. Nothing reaches the network; a file that came from a server may ask that one for news
and pictures. Data is inert JSON in which no `<` occurs.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from results.page.markup import Safe, element, single

_VIEWPORT: Final = "width=device-width, initial-scale=1"
_HERE: Final = Path(__file__).parent


@lru_cache(maxsize=8)
def asset(name: str) -> str:
    """A style sheet or script that stands beside this module."""
    return (_HERE / name).read_text(encoding="utf-8")


def whole(
    title: str,
    body: Sequence[Safe],
    style: str,
    scripts: Sequence[str],
    data: object = None,
    *,
    foreign_styles: bool = False,
) -> str:
    """The file. `foreign_styles` lets in styles that a script makes."""
    held = element("script", Safe(_inert(data)), type="application/json", id="data") if data else None
    head = element(
        "head",
        Safe('<meta charset="utf-8">'),
        single("meta", http_equiv="Content-Security-Policy", content=_policy(scripts, style, foreign_styles)),
        single("meta", name="viewport", content=_VIEWPORT),
        single("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · lineages"),
        element("style", Safe(style)),
    )
    behind = (element("script", Safe(script)) for script in scripts)
    page = element("html", head, element("body", *body, held, *behind), lang="en")
    return f"<!doctype html>\n{page}\n"


def _policy(scripts: Sequence[str], style: str, foreign_styles: bool) -> str:
    run = " ".join(map(_digest, scripts)) or "'none'"
    styles = "'unsafe-inline'" if foreign_styles else _digest(style)
    return (
        f"default-src 'none'; script-src {run}; style-src {styles}; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _inert(data: object) -> str:
    """JSON in which nothing can end the element it stands in."""
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")
