"""The only importer of Ray: every lineage's mind is an actor, and the GPU is one actor with one slot.

Ray is told to keep to itself: no usage statistics, no dashboard, no rebuilding of the environment for each
worker. An actor that dies is built again and the loop is told (`Gone`), and so are all of them if Ray itself
dies; no actor holds any truth.
"""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from population import keeper
from population.backend import Answered, Cut, Gone, Message, Trained, attempt
from population.drafting import Answer
from population.lineage import Mind
from population.proposers import Request
from trainer.idle import give_way
from trainer.outcome import Progress
from trainer.trial import Order, run_trial
from trainer.warm.harness import Warm

# All are read when Ray is imported. The first: under `uv run`, Ray would build an environment a worker. The
# third: workers, and so trials, would be nice to whatever else runs. The last: no one else on this machine
# may talk to our actors, and Ray need not say so.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (as Ray calls it)
os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

ROOT = Path(__file__).resolve().parent.parent
DAEMONS = (keeper.DAEMON, "gcs_server")  # Ray's own processes, as the system calls them
_DIED = "Ray's own process died"
STORE_BYTES = 128 * 2**20  # requests and reports are small; Ray's default takes a third of the memory


class Trainer:
    """One GPU's slot. `train` and `progress` run on different threads of the actor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._run = partial(run_trial, warm=Warm())  # what trials import is imported once

    def train(self, order: Order) -> Trained | Cut:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("one trial at a time")
        try:
            return attempt(self._run, order, self._watch)
        finally:
            self._progress = None
            self._lock.release()

    def progress(self) -> Progress | None:
        return self._progress

    def _watch(self, progress: Progress) -> None:
        self._progress = progress


class Thinker:
    """A lineage's mind. On a CPU that trials compute on too, it works when none of them wants it.

    Otherwise steps, and so scores, would depend on who thinks at the time.
    """

    def __init__(self, mind: Mind, device: str) -> None:
        if device == "cpu":
            give_way()
        self._mind = mind

    def think(self, request: Request) -> Answer:
        return self._mind.think(request)


class Cluster:
    """Ray on this machine: starts it, keeps the actors, turns finished calls into messages."""

    def __init__(self, device: str = "cpu", gpus: int = 1) -> None:
        """`device` is where trials compute, on so many at once."""
        self._device, self._gpus = device, gpus
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        )  # workers are started by Ray's own process and know nothing of our path
        self._bodies: dict[str, Mind] = {}
        self._minds: dict[str, Any] = {}
        self._thinking: dict[ray.ObjectRef[Any], str] = {}
        self._training: dict[ray.ObjectRef[Any], tuple[int, Order]] = {}  # a trainer's place, and its trial
        self._unheard: deque[Message] = deque()
        self._start()

    def enrol(self, lineage: str, mind: Mind) -> None:
        self._bodies[lineage] = mind
        self._minds[lineage] = self._new_mind(lineage)

    def think(self, request: Request) -> None:
        call = self._minds[request.lineage].think.remote(request)
        self._thinking[call] = request.lineage

    def slots(self) -> int:
        return self._gpus

    def train(self, order: Order) -> None:
        busy = {place for place, _ in self._training.values()}
        place = min(set(range(self._gpus)) - busy, default=None)
        assert place is not None, "one trial at a time on each GPU"
        self._training[self._trainers[place].train.remote(order)] = place, order

    def ahead(self, order: Order) -> None:
        pass

    def wait(self, timeout_s: float) -> Message | None:
        if not all(map(_runs, self._daemons)):
            self._start_again()
        if self._unheard:
            return self._unheard.popleft()
        calls = [*self._training, *self._thinking]
        if not calls:
            threading.Event().wait(timeout_s)
            return None
        done, _ = ray.wait(calls, num_returns=1, timeout=timeout_s)
        if not done:
            return None
        return self._thought(done[0]) if done[0] in self._thinking else self._trained(done[0])

    def progress(self) -> Mapping[int, Progress]:
        asked = {o.trial: self._trainers[place].progress.remote() for place, o in self._training.values()}
        known: dict[int, Progress] = {}
        for trial, call in asked.items():
            # `wait` will tell why there is no answer.
            with suppress(ActorDiedError, ActorUnavailableError, ray.exceptions.GetTimeoutError):
                if (progress := ray.get(call, timeout=1.0)) is not None:
                    known[trial] = progress
        return known

    def close(self) -> None:
        ray.shutdown()
        if self._keeper.poll() is None:
            self._keeper.communicate(keeper.CLOSED)  # it sees to what is still there

    def _start(self) -> None:
        self._keeper = _keeper()
        ray.init(
            address="local",
            num_cpus=max(2, os.cpu_count() or 2),
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            object_store_memory=STORE_BYTES,
        )
        self._daemons = [child for child in psutil.Process().children() if child.name() in DAEMONS]
        self._trainers = [self._new_trainer() for _ in range(self._gpus)]

    def _start_again(self) -> None:
        """Ray tells nobody that its own daemon died, and every call would be waited for without end."""
        for call, (_, order) in self._training.items():
            self._unheard.append(_last_word(call, lambda done: done, Cut(order.trial, _DIED)))
        for call, lineage in self._thinking.items():
            self._unheard.append(_last_word(call, partial(Answered, lineage), Gone(lineage, _DIED)))
        self.close()
        self._training.clear()
        self._thinking.clear()
        self._start()
        for lineage in self._minds:
            self._minds[lineage] = self._new_mind(lineage)

    def _trained(self, call: "ray.ObjectRef[Any]") -> Message:
        place, order = self._training.pop(call)
        try:
            message: Trained | Cut = _result(call)
        except (ActorDiedError, ActorUnavailableError) as error:
            ray.kill(self._trainers[place])  # out of reach is not dead: two must not share the GPU
            self._trainers[place] = self._new_trainer()
            return Cut(order.trial, _first_line(error))
        return message

    def _thought(self, call: "ray.ObjectRef[Any]") -> Message:
        lineage = self._thinking.pop(call)
        try:
            answer: Answer = _result(call)
        except (ActorDiedError, ActorUnavailableError) as error:
            ray.kill(self._minds[lineage])
            self._minds[lineage] = self._new_mind(lineage)
            return Gone(lineage, _first_line(error))
        return Answered(lineage, answer)

    def _new_mind(self, lineage: str) -> Any:
        return ray.remote(Thinker).options(num_cpus=0).remote(self._bodies[lineage], self._device)

    def _new_trainer(self) -> Any:
        return ray.remote(Trainer).options(num_cpus=0, max_concurrency=2).remote()


def _runs(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def _keeper() -> "subprocess.Popen[bytes]":
    """A process that waits for our end, and sees to it that nothing of Ray's comes after."""
    command = [sys.executable, "-I", keeper.__file__, str(os.getsid(0))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _result(call: "ray.ObjectRef[Any]") -> Any:
    """What an actor's call came to; what it raised is raised here as it was, not in Ray's wrapping."""
    try:
        return ray.get(call)
    except RayTaskError as error:
        raise error.cause from error
    except ActorDiedError as error:
        if error.actor_init_failed:  # a fault of ours: the next one would fail as this one did
            raise RuntimeError(str(error)) from error
        raise


def _last_word(call: "ray.ObjectRef[Any]", message: Callable[[Any], Message], lost: Message) -> Message:
    """What a call has come to, or that it was lost, once Ray is no more."""
    if not ray.wait([call], timeout=0)[0]:
        return lost
    try:
        return message(_result(call))
    except (ActorDiedError, ActorUnavailableError):
        return lost


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
