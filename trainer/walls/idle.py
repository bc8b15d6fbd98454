"""Work that is done when nothing else wants the processor: what thinks and checks while a trial trains on it.

Imports nothing but os: it is called by what must not be felt even while it starts.
"""

import contextlib
import os


def give_way() -> None:
    """From now on this thread, and all that it starts, computes only when the processors are free.

    Kernels with autogroups share them out between sessions first, whatever the processes in one say of
    themselves (sched(7)): so this process's whole session is made the least important as well. What is
    started in a session of its own has to give way itself.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:  # noqa: PTH123
        group.write("19")
