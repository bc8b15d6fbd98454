"""What the call of an actor came to."""

from collections.abc import Callable
from typing import Any, TypeAlias

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from population.backend import Message

Call: TypeAlias = "ray.ObjectRef[Any]"


def result(call: Call) -> Any:
    """What an actor's call came to; what it raised is raised here as it was, not in Ray's wrapping."""
    try:
        return ray.get(call)
    except RayTaskError as error:
        raise error.cause from error
    except ActorDiedError as error:
        if error.actor_init_failed:  # a fault of ours: the next one would fail as this one did
            raise RuntimeError(str(error)) from error
        raise


def last_word(call: Call, message: Callable[[Any], Message], lost: Message) -> Message:
    """What a call has come to, or that it was lost, once Ray is no more."""
    if not ray.wait([call], timeout=0)[0]:
        return lost
    try:
        return message(result(call))
    except (ActorDiedError, ActorUnavailableError):
        return lost


def first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
