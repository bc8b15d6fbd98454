"""What is typed to go on from a run, so that it holds when it is pasted where scheduler.py is.

A run like this one is started from its settings.json. Briefs are pinned there, whatever became of the files
they were read from: they are written out beside the page, and named there.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

Settings = Mapping[str, Any]

_ROOT: Final = Path(__file__).resolve().parents[2]  # where the command is run, and the default task
_BRIEFS: Final = "briefs"
# Minds that need no --proposer: the usual ones, and those that options of their own ask for.
_UNSAID: Final[tuple[list[str], ...]] = (
    [],
    ["mutate/tpe", "mutate/cma"],
    ["llm"],
    ["agent"],
    ["llm", "agent"],
)


class Typed(Struct, frozen=True):
    """What a page has of a run's own to be typed."""

    again: str | None = None  # starts a run like this one; None where nobody wrote down what it was asked for
    git: str = "git"  # how git is asked about the repository that the run's branches are in
    merges: bool = True  # whether there is a branch of somebody's that the best can be merged into


USUAL: Final = Typed()


def typed(folder: Path) -> Typed:
    return Typed(again(folder), git(folder), not _own_repository(folder).is_dir())


def again(folder: Path) -> str | None:
    """For the run in `folder`, whose briefs are written out if it has any of its own."""
    if not (settings := _settings(folder)):
        return None
    briefs = {folder / _file(brief): str(brief["text"]) for brief in _own(settings)}
    for file, text in briefs.items():
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return command(settings, folder)


def git(folder: Path) -> str:
    """A task outside any repository has got one in the run's folder."""
    task, own = _task(_settings(folder)), _own_repository(folder)
    if not own.is_dir() and task.is_relative_to(_ROOT):
        return "git"
    return shlex.join(["git", "-C", _named(own if own.is_dir() else task)])


def command(settings: Settings, folder: Path) -> str:
    """`uv run scheduler.py ...`, to be run where scheduler.py is; `folder` is the run's."""
    words = ["uv", "run", "scheduler.py", *_option("lineages", settings), *_option("policy", settings)]
    words += _option("seed", settings)
    if briefs := _own(settings):
        words += ["--program", *_paths(folder, [_file(brief) for brief in briefs])]
    words += _minds(settings)
    task = settings.get("task", {})
    words += ["--task", str(_task(settings))] * (_task(settings) != _ROOT)
    for option, value in (("budget", task.get("budget_s")), ("device", task.get("device"))):
        words += [f"--{option}", _plain(value)] * bool(value)
    words += _option("gpus", settings) if settings.get("gpus", 1) > 1 else []
    for option in ("trials", "hours", "max_cost"):
        words += _option(option, settings)
    words += ["--answers", "knobs"] * (settings.get("answers") == "knobs")
    words += ["--no-racing"] * (settings.get("policy") == "promise" and settings.get("racing") is False)
    words += ["--sandbox", "off"] * (settings.get("sandbox") == "off")
    return shlex.join(words)


def _own(settings: Settings) -> list[Mapping[str, str]]:
    """Briefs that have to be named: all, unless there is but the one that belongs to the task."""
    briefs = list(settings.get("briefs", ()))
    return [] if [brief["name"] for brief in briefs] == ["program"] else briefs


def _file(brief: Mapping[str, str]) -> Path:
    """Where a brief lies in the run's folder. One that is named after its own folder keeps that name."""
    return Path(_BRIEFS, *(part.replace("..", "_") for part in f"{brief['name']}.md".split("/")))


def _paths(folder: Path, files: list[Path]) -> list[str]:
    """The files, or the folder that stands for them, where it does."""
    whole = len(files) > 1 and files == sorted(files) and {file.parent for file in files} == {Path(_BRIEFS)}
    return [_named(folder / file) for file in ([Path(_BRIEFS)] if whole else files)]


def _settings(folder: Path) -> Settings:
    """Empty where nobody wrote down what the run was asked for."""
    path = folder / "settings.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.exists() else {}


def _own_repository(folder: Path) -> Path:
    """That of a task outside any; there if it has one."""
    return folder / "repo"


def _task(settings: Settings) -> Path:
    return Path(str(settings.get("task", {}).get("folder", _ROOT)))


def _named(path: Path) -> str:
    """As it is called from where the command is run."""
    return str(path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path)


def _minds(settings: Settings) -> list[str]:
    proposers = [str(proposer) for proposer in settings.get("proposers", ())]
    kinds = list(dict.fromkeys(_kind(proposer) for proposer in proposers))
    words = ["--proposer", *kinds] * (kinds not in _UNSAID)
    for proposer in proposers:
        kind, _, name = proposer.partition("/")
        if kind == "llm":
            words += ["--model", name]
        elif kind == "agent":
            words += ["--agent", str(settings.get("agents", {}).get(name, name))]
    return words


def _kind(proposer: str) -> str:
    """What it is asked for by: models and agents have options of their own."""
    kind = proposer.partition("/")[0]
    return kind if kind in ("llm", "agent") else proposer


def _option(name: str, settings: Settings) -> list[str]:
    value = settings.get(name)
    return [] if value is None else [f"--{name.replace('_', '-')}", _plain(value)]


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
