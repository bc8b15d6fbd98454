"""A task: a folder with train.py, prepare.py and program.md, as the harness knows it.

`prepare.py` is read once, when a run begins, and pinned: every trial and every exam of the run uses these
bytes, whatever happens to the file.
"""

from msgspec import Struct


class Task(Struct, frozen=True):
    """All a trainer needs to know of a task; plain data, so that it can travel to another machine."""

    folder: str  # absolute; the exam may read all of it, training only its data/
    prepare: str  # the pinned text of prepare.py
    metric: str  # name of the score; lower is better
    budget_s: float  # seconds of training a trial is given
    startup_s: float | None  # limit until the clock starts; None: the task has no clock
    exam_hash: str  # scores with different hashes are never compared
    profile: str  # hardware profile, told to the task as LINEAGES_PROFILE; "" if it has none
    device: str  # cpu or cuda
