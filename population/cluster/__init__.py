"""The only importer of Ray: every lineage's mind is an actor, and so is every GPU's one slot.

Ray is told to keep to itself: no usage statistics, no dashboard, no rebuilding of the environment for each
worker. An actor that dies is built again and the loop is told (`Gone`, `Cut`), and so are all of them if Ray
itself dies; no actor holds any truth.
"""

import os

# All are read when Ray is imported, and nothing in this folder is before this. The first: under `uv run`, Ray
# would build an environment a worker. The third: workers, and so trials, would be nice to whatever else runs.
# The last: no one else on this machine may talk to our actors, and Ray need not say so.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (as Ray calls it)
os.environ.setdefault("RAY_AUTH_MODE", "token")
