"""Is everything installed, and in versions that are known to be good? Nothing is imported for it."""

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

from msgspec import Struct

from trainer.doctor.child import ask
from trainer.doctor.finding import Finding

PYTHON = (3, 11), (3, 14)  # from the first to below the second, as pyproject.toml says
MALICIOUS = {"litellm": ("1.82.7", "1.82.8")}
NAMED = ("ray", "litellm")
UV_S = 10.0


class Versions(Struct, frozen=True):
    """What is installed."""

    python: tuple[int, ...]
    packages: dict[str, str | None]  # that the program names, by name; None for one that is not there
    uv: str = ""  # "" if it cannot be found


def versions(root: Path) -> Finding:
    """What is installed of what `root`'s pyproject.toml asks for."""
    return judged(look(root))


def judged(found: Versions) -> Finding:
    """What follows."""
    python = ".".join(map(str, found.python))
    if not PYTHON[0] <= found.python < PYTHON[1]:
        return Finding(
            "versions", "missing", f"Python {python}, where 3.11 to 3.13 is needed", "uv sync --python 3.12"
        )
    for name, versions in MALICIOUS.items():
        if found.packages.get(name) in versions:
            return Finding(
                "versions", "missing", f"{name} {found.packages[name]} was published by attackers",
                "remove it, change every key this machine has seen, then uv sync",
            )  # fmt: skip
    if missing := sorted(name for name, version in found.packages.items() if version is None):
        return Finding("versions", "missing", f"not installed: {', '.join(missing)}", "uv sync")
    listed = [f"Python {python}", *(f"{name} {found.packages.get(name)}" for name in NAMED)]
    if not found.uv:
        return Finding(
            "versions", "warning", f"{', '.join(listed)}; no uv, with which the README's commands begin",
            "pip install uv",
        )  # fmt: skip
    return Finding("versions", "ok", ", ".join([*listed, found.uv]))


def look(root: Path) -> Versions:
    """Look the packages up, and ask uv."""
    said = ask(["uv", "--version"], UV_S)
    uv = "" if said.problem else " ".join(said.out.split()[:2])
    return Versions(sys.version_info[:3], {name: _version(name) for name in wanted(root)}, uv)


def wanted(root: Path) -> list[str]:
    """Names of the packages that the program asks for on this platform."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [line for line in project["dependencies"] if ";" not in line or sys.platform in line]
    return [match[0] for line in asked if (match := re.match(r"[A-Za-z0-9._-]+", line))]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
