"""What more GPUs are worth, simulated: `uv run --group bench python benchmarks/fleet.py`.

A night on 1, 8 and 64 GPUs, with several numbers of lineages whose minds take a minute for an idea, through
the very loop of a run. Worlds are pools of ideas: as wide as published traces show the field to be, which
some hundred trials exhaust, and four times as wide. What thousands of trials find nobody knows.

The last columns are the head's: what a trial costs the scheduler itself in decisions, journal and bookkeeping
(without waiting for the disk), and how many GPUs would keep it busy.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Final

import cyclopts
from msgspec import Struct
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.play import Arm, Played, Simulated, play
from benchmarks.worlds.pools import EQUAL, Pool

TRIAL_S: Final = 326.0  # on an H100: five minutes, and 26 s of start-up, compilation and exam
THINK_S: Final = 60.0
WIDTHS: Final = {"160 ideas": EQUAL, "640 ideas": replace(EQUAL, ideas=640)}


class Night(Struct, frozen=True):
    """One simulated night."""

    played: Played
    worked_s: float  # that GPUs had trials
    head_s: float  # that the scheduler itself took for them


def main(
    gpus: tuple[int, ...] = (1, 8, 64),
    lineages: tuple[int, ...] = (4, 8, 16, 32),
    hours: float = 8.0,
    worlds: int = 4,
) -> None:
    """Play a night for each number of GPUs and of lineages, and print a row for each."""
    heads = {"GPUs": 5, "lineages": 10, "trials": 8, "busy": 7, "gain": 8, "ms a trial": 12, "limit": 8}
    print(f"{'world':12}" + "".join(f"{head:>{width}}" for head, width in heads.items()))
    for name, shape in WIDTHS.items():
        for many in gpus:
            for lines in lineages:
                nights = [night(Pool(shape, seed), many, lines, hours, seed) for seed in range(worlds)]
                print(f"{name:12}{many:5}{lines:10}{row(nights, many, hours)}", flush=True)


def night(pool: Pool, gpus: int, lineages: int, hours: float, seed: int) -> Night:
    """Search a pool for some hours, which take seconds."""
    arm = Arm("promise", "promise", lineages, TRIAL_S, think_s=THINK_S, gpus=gpus)
    machine, began = Simulated(pool, arm), time.process_time()
    played = play(pool, arm, None, seed, hours, machine=machine)
    return Night(played, machine.worked_s, time.process_time() - began - machine.world_s)


def row(nights: list[Night], gpus: int, hours: float) -> str:
    """Means of several nights: trials, how busy the GPUs were, gain in mbpb, the head's time and limit."""
    trials = statistics.mean(night.played.trials for night in nights)
    busy = statistics.mean(night.worked_s for night in nights) / (gpus * hours * 3600)
    gain = 1e3 * statistics.mean(night.played.gain for night in nights)
    each_s = statistics.mean(night.head_s / night.played.trials for night in nights)
    return f"{trials:8.0f}{busy:7.0%}{gain:8.1f}{1e3 * each_s:12.1f}{TRIAL_S / each_s:8,.0f}"


if __name__ == "__main__":
    cyclopts.run(main)
