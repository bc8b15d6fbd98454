"""HTML that is safe by construction: what is not `Safe` is text, and is escaped where it is put in."""

from html import escape


class Safe(str):
    """Text that is HTML already."""


def element(name: str, /, *children: str | None, **attributes: str | bool | None) -> Safe:
    """`<name attributes>children</name>`; a child that is None is left out.

    An attribute that is True stands alone, one that is None or False is left out. Underscores in their names
    stand for hyphens, one at the end for nothing.
    """
    return Safe(f"{single(name, **attributes)}{joined(*children)}</{name}>")


def single(name: str, /, **attributes: str | bool | None) -> Safe:
    """An element that has no end, such as `<meta>`."""
    return Safe(f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>")


def joined(*children: str | None) -> Safe:
    """Children one after another."""
    return Safe("".join(text(child) for child in children if child is not None))


def text(content: str) -> Safe:
    return content if isinstance(content, Safe) else Safe(escape(content))


def _attribute(key: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
