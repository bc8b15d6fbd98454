"""The minds there are, by the names a person gives on the command line, and how one is put together.

| full name         | who thinks                                                          |
|-------------------|---------------------------------------------------------------------|
| mutate/tpe, /cma  | an optimiser of constants; needs no network and no key              |
| llm/MODEL         | a language model, by litellm's name for it                          |
| agent/NAME        | a coding agent on the command line                                  |
| submit            | nobody here: ideas are sent with `scheduler.py submit`              |
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from population.keeping import runs
from population.lineage import Mind, Preflight
from population.names import STAND_IN, SUBMIT
from population.proposals import NoIdea, Proposer, Reply, Request
from population.proposers.agent import Agent
from population.proposers.llm import Llm
from population.proposers.models import Model, check
from population.proposers.mutate import Mutate
from trainer.errors import BadInput

OPTIMISERS: dict[str, Callable[[], Proposer]] = {
    "mutate/tpe": lambda: Mutate("tpe"),
    "mutate/cma": lambda: Mutate("cma"),
}
# Names that stand for several proposers, one for each sampler in turn among them.
_DEALS = {"mutate": tuple(OPTIMISERS)} | {name: (name,) for name in (*OPTIMISERS, SUBMIT)}


class Nobody:
    """The mind of a lineage that is only sent ideas."""

    def propose(self, request: Request) -> Reply:
        return NoIdea("ideas are submitted")


def named(commands: Sequence[str]) -> dict[str, str]:
    """Commands of coding agents by the names they get in tables: what they run, counted if it is the same."""
    names: dict[str, str] = {}
    for command in dict.fromkeys(commands):
        try:
            program = Path((shlex.split(command) or [""])[0]).stem
        except ValueError as error:
            raise BadInput(f"--agent {command!r}: {error}; write it as you would in a shell") from error
        if not program:
            raise BadInput("--agent is empty; give a command such as 'claude -p {prompt}'")
        taken = (program, *(f"{program}-{count}" for count in range(2, 100)))
        names[next(name for name in taken if name not in names)] = command
    return names


def dealt(proposers: Sequence[str], models: Sequence[str], agents: Mapping[str, str]) -> tuple[str, ...]:
    """Full names of the proposers asked for, in order.

    With none named it is the models and agents there are, or else `mutate`. Raises BadInput for a name that
    is unknown, and for models and agents that are asked for and not given, or given and not asked for.
    """
    given = {"llm": [f"llm/{model}" for model in models], "agent": [f"agent/{name}" for name in agents]}
    wanted = proposers or [kind for kind, names in given.items() if names] or ["mutate"]
    known = (*_DEALS, *given)
    for name in wanted:
        if name not in known:
            raise BadInput(f"--proposer {name!r}: choose from {', '.join(known)}")
    for kind, option in (("llm", "--model"), ("agent", "--agent")):
        if (kind in wanted) != bool(given[kind]):
            missing = (
                f"--proposer {kind} needs {option}" if kind in wanted else f"{option} needs --proposer {kind}"
            )
            raise BadInput(f"{missing} beside it")
    return tuple(full for name in wanted for full in given.get(name) or _DEALS[name])


def ready(proposers: Sequence[str], agents: Mapping[str, str], task: str, folder: Path) -> None:
    """Raise BadInput, in one line, if a mind could not be asked on this machine; nobody is asked."""
    for name in proposers:
        kind, _, rest = name.partition("/")
        if kind == "llm":
            check(rest)
        elif kind == "agent":
            Agent(agents[rest], task, str(folder / "worktrees" / "check"))


def mind(
    lineage: str, proposer: str, settings: runs.Settings, folder: runs.RunFolder, preflight: Preflight | None
) -> Mind:
    """The mind of a lineage whose proposer bears this full name.

    An optimiser changes constants within their ranges, so it is checked only where `preflight` costs no
    trial its time: on a GPU.
    """
    kind, _, rest = proposer.partition("/")
    match kind:
        case "llm":
            thinker: Proposer = Llm(Model(rest), settings.answers)
        case "agent":
            thinker = Agent(settings.agents[rest], settings.task.folder, str(folder.worktree(lineage)))
        case "submit":
            thinker = Nobody()
        case _ if proposer in OPTIMISERS:
            thinker = OPTIMISERS[proposer]()
            preflight = preflight if settings.task.device == "cuda" else None
        case _:
            raise BadInput(f"unknown proposer {proposer!r} in the run's settings; is it of a newer version?")
    return Mind(thinker, preflight, OPTIMISERS[STAND_IN]())
