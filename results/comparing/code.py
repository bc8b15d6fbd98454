"""Which definitions differ between two genomes, whatever their comments and layout."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from textwrap import dedent

from population.structure.normal import normal_hash
from population.structure.outline import END, STATEMENT, Unit, outline


def changed_code(before: str, after: str, aside: Collection[str]) -> dict[str, str]:
    """Definitions, methods and other top-level code that differ, the names `aside` left out.

    Each with a digest of it as it is now, equal for equal code. Nothing where a text does not parse.
    """
    try:
        first, last = _definitions(before), _definitions(after)
    except SyntaxError:
        return {}
    names = sorted((first.keys() | last.keys()) - set(aside))
    return {name: _digest(last.get(name, ())) for name in names if first.get(name) != last.get(name)}


def _definitions(text: str) -> dict[str, list[str]]:
    """The normal forms of what a genome defines, by name: `GPT.forward`. Several may have one name."""
    found: dict[str, list[str]] = defaultdict(list)
    whole = text if text.endswith("\n") else f"{text}\n"
    for name, unit in _named((unit for piece in outline(whole) for unit in piece.units), ""):
        found[name].append(_normal(unit))
    return found


def _named(units: Iterable[Unit], path: str) -> Iterator[tuple[str, Unit]]:
    for unit in units:
        bodies = [part for part in unit.parts if not isinstance(part, str)]
        if unit.is_class and bodies:
            for body in bodies:
                yield from _named(body, f"{path}{unit.key}.")
        elif unit.rank in range(STATEMENT, END) and unit.code.strip():
            yield path + unit.key, unit


def _normal(unit: Unit) -> str:
    text = dedent(unit.without_lead().text)
    try:
        return normal_hash(text)
    except SyntaxError:
        return text


def _digest(forms: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(forms).encode("utf-8", "surrogatepass")).hexdigest()[:16]
