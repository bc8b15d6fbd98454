"""Ray itself: started on this machine, to end with us, or joined where others started it, to stay.

In a cluster, Ray finds GPUs on its machines, and our code is sent there.
"""

import os
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import ray
from ray.exceptions import RayError

from population.cluster import keeper
from population.cluster.calls import first_line
from population.search import MachineFailed
from trainer.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
SENT = ("population", "trainer")  # our code, which machines of a cluster need not have
DAEMONS = (keeper.DAEMON, "gcs_server")  # Ray's own processes, as the system calls them
SLOT = "trial"  # what a machine without a GPU offers to Ray that takes trials on its processor, one at a time
STORE_BYTES = 128 * 2**20  # requests and reports are small; Ray's default takes a third of the memory
_FREED_S = 10.0  # in which a run that has just ended gives its GPUs back
_SAYS = (RayError, ConnectionError, TimeoutError, RuntimeError, ValueError)


class Unreached(Exception):
    """Ray could not be started or joined: why, in one line."""


class Machines:
    """What Ray runs on: this machine, or those of the cluster at an address. Can be closed twice."""

    def __init__(self, device: str, gpus: int, address: str | None) -> None:
        """`gpus` is how many trials compute at once, on `device`.

        Raises BadInput for a cluster that cannot be joined, or does not have what is asked for, and
        MachineFailed if Ray does not start here.
        """
        self.home: str | None = None  # our node, if there may be others
        self._device, self._gpus = device, gpus
        self._keeper: subprocess.Popen[bytes] | None = None
        self._daemons: list[psutil.Process] = []
        with ExitStack() as failed:
            failed.callback(self.close)
            self.start() if address is None else self._join(address)
            failed.pop_all()

    def start(self) -> None:
        """Start Ray on this machine. Raises MachineFailed."""
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        )  # workers are started by Ray's own process and know nothing of our path
        self._keeper = _keeper()
        try:
            _reach(
                address="local",
                num_cpus=max(2, os.cpu_count() or 2),
                num_gpus=self._gpus if self._device == "cuda" else 0,
                resources={SLOT: self._gpus},
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
            )
        except Unreached as error:
            mend = "see that its processor, memory and /tmp have room, then begin again"
            raise MachineFailed(f"Ray did not start on this machine: {error}; {mend}") from error
        ours = psutil.Process().children()
        self._daemons = [child for child in ours if child.name() in DAEMONS and _runs(child)]

    def live(self) -> bool:
        """Whether Ray's own processes on this machine are there, as far as they can be seen."""
        return all(map(_runs, self._daemons))

    def close(self) -> None:
        """End what was started here, and leave what was joined."""
        ray.shutdown()
        if self._keeper is not None and self._keeper.poll() is None:
            self._keeper.communicate(keeper.CLOSED)  # it sees to what is still there

    def _join(self, address: str) -> None:
        try:
            _reach(address=address, runtime_env={"py_modules": [str(ROOT / package) for package in SENT]})
        except Unreached as error:
            mend = "have the same Python, Ray, RAY_AUTH_MODE and token on all machines"
            raise BadInput(f"--address {address}: {error}; {mend}") from error
        self.home, self._daemons = node(), _daemons_here()
        _enough("GPU" if self._device == "cuda" else SLOT, self._gpus)


def node() -> str:
    """The name of the node that this process is on."""
    return str(ray.get_runtime_context().get_node_id())


def _reach(**how: Any) -> None:
    """`ray.init`. Raises Unreached."""
    try:
        ray.init(configure_logging=False, log_to_driver=False, **how)
    except Exception as error:
        # What takes too long to start is raised as an Exception of no kind.
        if isinstance(error, _SAYS) or type(error) is Exception:
            raise Unreached(first_line(error).rstrip(".")) from error
        raise


def _daemons_here() -> list[psutil.Process]:
    """Ray's own process on this machine; none where the system does not show it."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    name = next(found["RayletSocketName"] for found in nodes if found["NodeID"] == node())
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
