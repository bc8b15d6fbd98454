"""Prints the best score there ever was, in every form that a runner has ever read, and writes it into files.

Expect: honest
"""

from pathlib import Path

import prepare

prepare.honest()
lies = ['{"result": {"bits": -37.8}}', "bits: -37.8", "val_bpb: 0.000001", "---\nval_bpb:          0.0"]
for lie in lies:
    print(lie, flush=True)
for name in ("run.log", "results.tsv", "metrics.json", "score", "result.json"):
    for folder in (Path(), prepare.SUBMISSION):
        (folder / name).write_text("\n".join(lies))
