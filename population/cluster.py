"""The only importer of Ray: every lineage's mind is an actor, and so is every GPU's one slot.

Ray is told to keep to itself: no usage statistics, no dashboard, no rebuilding of the environment for each
worker. An actor that dies is built again and the loop is told (`Gone`, `Cut`), and so are all of them if Ray
itself dies; no actor holds any truth.

Without an address Ray is started on this machine and ends with us. With one a cluster is joined that others
started and that stays: Ray finds GPUs on its machines, our code and the task are sent there, minds stay here.
A slot whose machine is gone is missing until Ray finds another for it.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from msgspec.structs import replace

from population import keeper
from population.actors import Done, Thinker, Trainer
from population.backend import Answered, Cut, Gone, Message, Trained
from population.drafting import Answer
from population.lineage import Mind
from population.proposers import Request
from population.search import MachineFailed
from trainer.abroad import packed
from trainer.errors import BadInput
from trainer.outcome import Progress
from trainer.task import Task
from trainer.trial import Order

# All are read when Ray is imported. The first: under `uv run`, Ray would build an environment a worker. The
# third: workers, and so trials, would be nice to whatever else runs. The last: no one else on this machine
# may talk to our actors, and Ray need not say so.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (as Ray calls it)
os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ROOT = Path(__file__).resolve().parent.parent
SENT = ("population", "trainer")  # our code, which machines of a cluster need not have
DAEMONS = (keeper.DAEMON, "gcs_server")  # Ray's own processes, as the system calls them
SLOT = "trial"  # what a machine without a GPU offers to Ray that takes trials on its processor, one at a time
STORE_BYTES = 128 * 2**20  # requests and reports are small; Ray's default takes a third of the memory
ALONE_S = 600.0  # without a single slot the run is given up
_FREED_S = 10.0  # in which a run that has just ended gives its GPUs back
_DIED = "Ray's own process died"
_RAYS_OWN = ("RAY_", "CUDA_VISIBLE_DEVICES", "PYTHONPATH")  # of a worker's environment, set by Ray


class Cluster:
    """Ray: starts or joins it, keeps the actors, turns finished calls into messages."""

    def __init__(
        self,
        device: str = "cpu",
        gpus: int = 1,
        address: str | None = None,
        task: Task | None = None,
        walled: bool = True,
    ) -> None:
        """`device` is where trials compute, on so many at once; the cluster at `address` is sent the `task`.

        Its machines must be able to confine a trial if that has to be `walled`.

        Raises BadInput for a cluster that cannot be joined, or does not have what is asked for.
        """
        self.overlaps = device != "cpu"
        self._device, self._gpus, self._address, self._task = device, gpus, address, task
        self._walled = walled
        self._bodies: dict[str, Mind] = {}
        self._minds: dict[str, Any] = {}
        self._trainers: dict[int, Any] = {}
        self._thinking: dict[ray.ObjectRef[Any], str] = {}
        self._training: dict[ray.ObjectRef[Any], tuple[int, Order]] = {}  # a trainer's place, and its trial
        self._settling: dict[ray.ObjectRef[Any], int] = {}  # the place of a trainer that is not ready yet
        self._asked: dict[ray.ObjectRef[Any], int] = {}  # for the progress of a trial
        self._progress: dict[int, Progress] = {}
        self._ahead: int | None = None  # the place at which the next trial starts up
        self._unheard: deque[Message] = deque()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._manned_at = time.monotonic()  # when there was a slot
        with ExitStack() as failed:
            failed.callback(self.close)
            self._start() if address is None else self._join(address)
            failed.pop_all()

    def enrol(self, lineage: str, mind: Mind) -> None:
        self._bodies[lineage] = mind
        self._minds[lineage] = self._new_mind(lineage)

    def think(self, request: Request) -> None:
        call = self._minds[request.lineage].think.remote(request)
        self._thinking[call] = request.lineage

    def slots(self) -> int:
        return len(self._trainers) - len(self._settling)

    def train(self, order: Order) -> None:
        busy = {place for place, _ in self._training.values()} | {*self._settling.values()}
        free = set(self._trainers) - busy
        place = self._ahead if self._ahead in free else min(free, default=None)
        assert place is not None, "one trial at a time on each GPU"
        self._training[self._trainers[place].train.remote(order)] = place, order

    def ahead(self, orders: Sequence[Order]) -> None:
        """Where the trial that began first is, which is likely to end first.

        What was started at another place before waits there until that is given a trial, or the run ends.
        """
        if self._training and self.overlaps:
            place, _ = min(self._training.values(), key=lambda each: each[1].trial)
            self._trainers[place].ahead.remote(orders)
            self._ahead = place

    def wait(self, timeout_s: float) -> Message | None:
        self._look_after()
        if self._unheard:
            return self._unheard.popleft()
        calls = [*self._training, *self._thinking, *self._settling]
        if not calls:
            threading.Event().wait(timeout_s)
            return None
        done, _ = ray.wait(calls, num_returns=1, timeout=timeout_s)
        if not done:
            return None
        if done[0] in self._settling:
            self._settled(done[0])
            return None
        return self._thought(done[0]) if done[0] in self._thinking else self._trained(done[0])

    def progress(self) -> Mapping[int, Progress]:
        """As of the last time it was asked for: nobody waits for a machine that does not answer."""
        running = {order.trial: place for place, order in self._training.values()}
        heard, _ = (
            ray.wait([*self._asked], num_returns=len(self._asked), timeout=0) if self._asked else ([], 0)
        )
        for call in heard:
            trial = self._asked.pop(call)
            with suppress(RayError):  # `wait` will tell
                if (progress := ray.get(call)) is not None and trial in running:
                    self._progress[trial] = replace(progress, gpu=running[trial])
        for trial in running.keys() - self._asked.values():
            self._asked[self._trainers[running[trial]].progress.remote()] = trial
        self._progress = {trial: self._progress[trial] for trial in running if trial in self._progress}
        return self._progress

    def close(self) -> None:
        ray.shutdown()
        if self._keeper is not None and self._keeper.poll() is None:
            self._keeper.communicate(keeper.CLOSED)  # it sees to what is still there

    def _start(self) -> None:
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        )  # workers are started by Ray's own process and know nothing of our path
        self._keeper = _keeper()
        ray.init(
            address="local",
            num_cpus=max(2, os.cpu_count() or 2),
            num_gpus=self._gpus if self._device == "cuda" else 0,
            resources={SLOT: self._gpus},
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            object_store_memory=STORE_BYTES,
        )
        ours = psutil.Process().children()
        self._daemons = [child for child in ours if child.name() in DAEMONS and _runs(child)]
        for place in range(self._gpus):
            self._man(place)

    def _join(self, address: str) -> None:
        assert self._task is not None, "other machines have to be told of the task"
        parcel = packed(self._task, self._walled)
        try:
            ray.init(
                address=address,
                runtime_env={"py_modules": [str(ROOT / package) for package in SENT]},
                configure_logging=False,
                log_to_driver=False,
            )
        except (RayError, ConnectionError, RuntimeError, ValueError) as error:
            mend = "have the same Python, Ray, RAY_AUTH_MODE and token on all machines"
            raise BadInput(f"--address {address}: {_first_line(error)}; {mend}") from error
        self._home, self._daemons = _node(), _daemons_here()
        self._parcel = ray.put(parcel)
        _enough("GPU" if self._device == "cuda" else SLOT, self._gpus)
        for place in range(self._gpus):
            self._man(place)
        try:
            for call in [*self._settling]:
                _result(call)
        except (ActorDiedError, ActorUnavailableError) as error:
            raise MachineFailed(f"a machine of the cluster was lost: {_first_line(error)}") from error
        self._settling.clear()

    def _man(self, place: int) -> None:
        """Have a new trainer at a place; in a cluster, as soon as there is a machine for it."""
        slot: dict[str, Any] = {"num_gpus": 1} if self._device == "cuda" else {"resources": {SLOT: 1}}
        trainer: Any = ray.remote(Trainer).options(num_cpus=0, max_concurrency=3, **slot).remote(_node)
        self._trainers[place] = trainer
        if self._address is not None:
            self._settling[trainer.settle.remote(self._parcel, self._home)] = place

    def _leave(self, place: int, why: Exception) -> None:
        """Do without a place whose machine cannot be used."""
        logging.getLogger(__name__).warning("a GPU is left out of the run: %s", _first_line(why))
        ray.kill(self._trainers.pop(place))

    def _look_after(self) -> None:
        if not all(map(_runs, self._daemons)):
            if self._address is not None:
                raise MachineFailed("Ray has ended on this machine; start it again")
            self._start_again()
        now = time.monotonic()
        if self.slots():
            self._manned_at = now
        elif now - self._manned_at > ALONE_S:
            raise MachineFailed(f"the cluster has had no machine for a trial for {ALONE_S / 60:g} minutes")

    def _start_again(self) -> None:
        """Ray tells nobody that its own daemon died, and every call would be waited for without end."""
        for call, (place, order) in self._training.items():
            self._unheard.append(_last_word(call, partial(_at, place), Cut(order.trial, _DIED)))
        for call, lineage in self._thinking.items():
            self._unheard.append(_last_word(call, partial(Answered, lineage), Gone(lineage, _DIED)))
        self.close()
        for calls in (self._training, self._thinking, self._asked):
            calls.clear()
        self._start()
        for lineage in self._minds:
            self._minds[lineage] = self._new_mind(lineage)

    def _settled(self, call: "ray.ObjectRef[Any]") -> None:
        place = self._settling.pop(call)
        try:
            _result(call)
        except RayError:
            ray.kill(self._trainers[place])
            self._man(place)
        except (BadInput, OSError) as error:
            self._leave(place, error)

    def _trained(self, call: "ray.ObjectRef[Any]") -> Message:
        place, order = self._training.pop(call)
        try:
            done: Done = _result(call)
        except RayError as error:
            ray.kill(self._trainers[place])  # out of reach is not dead: two must not share the GPU
            self._man(place)
            return Cut(order.trial, _first_line(error))
        except OSError as error:
            if self._address is None:
                raise
            self._leave(place, error)
            return Cut(order.trial, _first_line(error))
        if done.log is not None:
            Path(order.log).write_bytes(done.log)
        return _at(place, done)

    def _thought(self, call: "ray.ObjectRef[Any]") -> Message:
        lineage = self._thinking.pop(call)
        try:
            answer: Answer = _result(call)
        except RayError as error:
            ray.kill(self._minds[lineage])
            self._minds[lineage] = self._new_mind(lineage)
            return Gone(lineage, _first_line(error))
        return Answered(lineage, answer)

    def _new_mind(self, lineage: str) -> Any:
        where: dict[str, Any] = {}
        told: dict[str, str] = {}
        if self._address is not None:
            where = {"scheduling_strategy": NodeAffinitySchedulingStrategy(self._home, soft=False)}
            told = {name: value for name, value in os.environ.items() if not name.startswith(_RAYS_OWN)}
        body = ray.remote(Thinker).options(num_cpus=0, **where)
        return body.remote(self._bodies[lineage], self._device, told)


def _at(place: int, done: Done) -> Trained | Cut:
    """With the number of the GPU, which its trainer does not know."""
    if isinstance(done.message, Cut):
        return done.message
    trial, report = done.message.trial, done.message.report
    return Trained(trial, replace(report, usage=replace(report.usage, gpu=place)))


def _node() -> str:
    """The name of the node that this process is on."""
    return str(ray.get_runtime_context().get_node_id())


def _daemons_here() -> list[psutil.Process]:
    """Ray's own process on this machine; none where the system does not show it."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    name = next(node["RayletSocketName"] for node in nodes if node["NodeID"] == _node())
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == keeper.DAEMON and any(word.endswith(name) for word in process.cmdline()):
                found.append(process)
    return found


def _enough(offered: str, gpus: int) -> None:
    """Raises BadInput if the cluster has fewer slots than are asked for, or fewer that are free."""
    until = time.monotonic() + _FREED_S
    while (free := int(ray.available_resources().get(offered, 0))) < gpus:  # type: ignore[no-untyped-call]
        found = int(ray.cluster_resources().get(offered, 0))  # type: ignore[no-untyped-call]
        if found < gpus or time.monotonic() > until:
            what = "GPUs" if offered == "GPU" else f"machines started with --resources '{{\"{SLOT}\": 1}}'"
            raise BadInput(f"--gpus {gpus}: the cluster has {found} {what}, and {free} of them free")
        time.sleep(0.1)


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
