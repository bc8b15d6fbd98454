"""The command line that starts a run like this one, from its settings.json."""

import shlex
from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]


def command(settings: Settings) -> str:
    """`uv run scheduler.py ...`. Paths of briefs are not in the settings: their names stand for them."""
    words = ["uv", "run", "scheduler.py", *_option("lineages", settings), *_option("policy", settings)]
    words += _option("seed", settings)
    briefs = [f"{brief['name']}.md" for brief in settings.get("briefs", ())]
    words += ["--program", *briefs] * bool(len(briefs) > 1 or briefs not in ([], ["program.md"]))
    words += _minds(settings)
    task = settings.get("task", {})
    for option, value in (("budget", task.get("budget_s")), ("device", task.get("device"))):
        words += [f"--{option}", _plain(value)] * bool(value)
    for option in ("trials", "hours", "max_cost"):
        words += _option(option, settings)
    words += ["--answers", "knobs"] * (settings.get("answers") == "knobs")
    words += ["--no-racing"] * (settings.get("policy") == "promise" and settings.get("racing") is False)
    words += ["--sandbox", "off"] * (settings.get("sandbox") == "off")
    return shlex.join(words)


def _minds(settings: Settings) -> list[str]:
    proposers = [str(proposer).partition("/") for proposer in settings.get("proposers", ())]
    kinds = list(dict.fromkeys(kind for kind, _, _ in proposers))
    words = ["--proposer", *kinds] * (len(kinds) > 1 or kinds == ["submit"])
    for kind, _, name in proposers:
        if kind == "llm":
            words += ["--model", name]
        elif kind == "agent":
            words += ["--agent", str(settings.get("agents", {}).get(name, name))]
    return words


def _option(name: str, settings: Settings) -> list[str]:
    value = settings.get(name)
    return [] if value is None else [f"--{name.replace('_', '-')}", _plain(value)]


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
