"""Takes more than it was given: higher limits, real-time scheduling, a lower nice value, a life after memory.

Expect: honest
"""

import os
import resource
from pathlib import Path

import prepare

for name in ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_DATA", "RLIMIT_CPU"):
    limit = getattr(resource, name)
    most = resource.getrlimit(limit)[1] + 1
    prepare.attempt(f"raise {name}", lambda limit=limit, most=most: resource.setrlimit(limit, (most, most)))
prepare.attempt("be first", lambda: os.nice(-5))
prepare.attempt("be of real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
for name, value in (("oom_score_adj", "-1000"), ("oom_score_adj", "0"), ("coredump_filter", "ff")):
    own = Path("/proc/self", name)
    prepare.attempt(f"write {name}", lambda own=own, value=value: own.write_text(value))
prepare.honest()
