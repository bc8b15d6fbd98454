"""What the confined exam costs beside a plain computation of the score: `uv run python benchmarks/exam.py`.

All score the first genome of the cpu profile as it is before training, in processes of their own from start
to end, taking turns: a script that loads the weights and goes through the validation rows; the exam with its
examiner and two confined model servers, started from nothing; the same forked, as in a run. Scores must
agree.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cyclopts

sys.path.insert(0, str(Path(__file__).parents[1]))

from population.genome import rewrite
from trainer.hardware import detect, sizing
from trainer.outcome import Completed
from trainer.running.launch import Start, cold
from trainer.sandbox import environment
from trainer.task import open_task, told
from trainer.trial import Order, examine
from trainer.warm.harness import Warm, imported

ROOT = Path(__file__).resolve().parents[1]
MOST_RATIO, MOST_MORE_S = 1.5, 3.0

SUBMIT = "import prepare, train; prepare.submit(train.build_model())"
PLAIN = """
import json, sys
import numpy as np, torch
from safetensors.torch import load_file
import prepare, train

model = train.build_model()
model.load_state_dict(load_file(prepare.SUBMISSION / "weights.safetensors"), strict=False)
model.eval()
held = prepare.TASK / "heldout" / prepare.PROFILE.name
rows = torch.from_numpy(prepare.read_rows(held, prepare.PROFILE).astype(np.int64))
lengths = torch.tensor(json.loads((held / "byte_lengths.json").read_text()))
with torch.inference_mode():
    answers = ((model(block[:, :-1]), block[:, 1:]) for block in rows.split(prepare.PROFILE.exam_batch))
    print(prepare.bits_per_byte(answers, lengths))
"""


def main(turns: int = 5) -> None:
    """Print the median seconds of each, and how they compare with what the exam may cost."""
    task = open_task(ROOT, "cpu", profile="cpu")
    genome = rewrite((ROOT / "trainer" / "train.py").read_text(), sizing("cpu", detect("cpu")))
    with tempfile.TemporaryDirectory(prefix="lin") as home, Warm() as warm:
        folder = Path(home)
        (folder / "train.py").write_text(genome)
        (folder / "prepare.py").write_text(task.prepare)
        submission = folder / "submission"
        env = environment(home, "cpu", told(task, 0, submission))

        def python(script: str) -> str:
            command = [sys.executable, "-c", script]
            return subprocess.run(
                command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        order = Order(1, genome, 0, task, str(folder / "log"), home)

        def examined(start: Start) -> float:
            log = folder / "log"
            outcome, _ = examine(order, folder, submission, log, lambda progress: None, start=start)
            assert isinstance(outcome, Completed), outcome
            return outcome.score

        python(SUBMIT)
        with warm.start(imported(task.prepare, genome), "cpu", folder) as forks:
            works = (lambda: float(python(PLAIN)), lambda: examined(cold), lambda: examined(forks))
            taken = [[timed(work) for work in works] for _ in range(turns)]
    plain_s, exam_s, forked_s = (
        statistics.median(run[0] for run in runs) for runs in zip(*taken, strict=True)
    )
    apart = max(abs(plain[1] - exam[1]) for plain, *exams in taken for exam in exams)
    may_s = MOST_RATIO * plain_s + MOST_MORE_S
    print(f"plain computation   {plain_s:6.2f} s")
    print(f"confined exam       {exam_s:6.2f} s, {exam_s / plain_s:.2f} times the plain one")
    print(f"forked exam         {forked_s:6.2f} s, {forked_s / plain_s:.2f} times the plain one")
    print(f"it may cost         {may_s:6.2f} s ({MOST_RATIO:g} times the plain one and {MOST_MORE_S:g} s)")
    print(f"scores differ by at most {apart:.1e} bits per byte")


def timed(work: Callable[[], float]) -> tuple[float, float]:
    """Seconds it took, and what it gave."""
    began = time.perf_counter()
    given = work()
    return time.perf_counter() - began, given


if __name__ == "__main__":
    cyclopts.run(main)
