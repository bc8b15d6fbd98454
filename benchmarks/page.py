"""How long the page of a long run takes to write and to draw, and how large it is.

    uv run python benchmarks/page.py [--trials 5000]

The run is made up: four lineages, wins that spread, failures, merges (see tests/results/synthetic_runs.py).
Drawing is timed in Debian's Chromium without a window, from opening the file to the end of the chart's first
frame; without Chromium only writing is.
"""

import sys
import tempfile
import time
from pathlib import Path

import cyclopts
import msgspec
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "results"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from synthetic_runs import searched

from population.journal import read
from population.state import replay
from results.exports import write_exports

CHROMIUM = Path("/usr/bin/chromium")


def main(trials: int = 5000) -> None:
    """Write and draw the page of a made-up run of so many trials, and say what that took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal, page = folder / "journal.jsonl", folder / "tree.html"
        entries = searched(trials).entries
        journal.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        begun = time.monotonic()
        write_exports(folder, replay(read(journal)), genome_of)
        written_s = time.monotonic() - begun
        print(f"{trials} trials: read, folded and written in {written_s:.1f} s")
        print(f"tree.html {page.stat().st_size / 1e6:.1f} MB, tree.svg {svg_mb(folder):.1f} MB")
        if CHROMIUM.exists():
            print(f"drawn in {drawn_s(page):.1f} s")


def genome_of(commit: str) -> str:
    return "\n".join(f"KNOB_{n} = {int(commit, 16) % (n + 7)}" for n in range(300)) + "\n"


def svg_mb(folder: Path) -> float:
    return (folder / "tree.svg").stat().st_size / 1e6


def drawn_s(page: Path) -> float:
    """Seconds from opening the page until its chart is drawn, in a browser that has started."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1200, "height": 900})
        begun = time.monotonic()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn]")
        drawn = time.monotonic() - begun
        browser.close()
        return drawn


if __name__ == "__main__":
    cyclopts.run(main)
