"""Which tries are of a kind: they moved the same one or two constants, or their ideas share most words."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from population.proposals import Tried

_ALIKE: Final = 0.4  # share of all words of two ideas that both have
_FEW: Final = 2  # constants whose names make a kind; a move of more is known by its words


class Kind(Struct, frozen=True):
    """Tries of a kind in the order they were given; `name` the constants they moved, if that is the kind."""

    name: str
    words: frozenset[str]  # of the first
    trials: tuple[Tried, ...]


def alike(tries: Iterable[tuple[Tried, frozenset[str]]]) -> list[Kind]:
    """Tries, each with the constants it moved, by their kind; the largest kinds first."""
    kinds: list[Kind] = []
    for tried, moved in tries:
        name = ", ".join(sorted(moved)) if 1 <= len(moved) <= _FEW else ""
        words = _words(tried.idea)
        home = next((at for at, kind in enumerate(kinds) if _belongs(name, words, kind)), None)
        if home is None:
            kinds.append(Kind(name, words, (tried,)))
        else:
            kinds[home] = Kind(kinds[home].name, kinds[home].words, (*kinds[home].trials, tried))
    return sorted(kinds, key=lambda kind: -len(kind.trials))


def _belongs(name: str, words: frozenset[str], kind: Kind) -> bool:
    if name or kind.name:
        return name == kind.name
    return bool(words) and len(words & kind.words) >= _ALIKE * len(words | kind.words)


def _words(idea: str) -> frozenset[str]:
    """What an idea is about: its longer words, without their endings, up to where it gives a reason."""
    what = re.split(r"\b(?:since|because|so that)\b|:", idea[:500].lower())[0]
    found = re.findall(r"[a-z_]{4,30}", what)
    return frozenset(re.sub(r"(?:ing|ed|es|s)$", "", word) for word in found if word not in _COMMON)


_COMMON: Final = frozenset((
    "also", "change", "could", "does", "from", "have", "increase", "instead", "into", "less",
    "lower", "make", "makes", "model", "more", "raise", "reduce", "should", "than", "that", "them", "then",
    "they", "this", "training", "while", "will", "with", "would",
))  # fmt: skip
