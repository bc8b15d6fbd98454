"""The live view of a run.

On a terminal: events scroll by, and below them stands a panel of the lineages, the trial under way and the
budget. Nothing is drawn on an alternate screen, so every event stays in the scrollback. Anywhere else: one
plain line an event, flushed, and nothing more.
"""

import sys
import time
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from population.reckoning.accounting import Account, account
from population.records import Assigned, Event, Finished, Lost
from population.state import Population
from results.cells import colour
from results.pace import Pace
from results.panel import panel
from results.words import UNLIMITED, Limits, words
from results.writing import printable
from trainer.outcome import Progress

_REFRESH_S = 0.1  # a faster caller is drawn no more often than this


def console() -> Console:
    """A console on standard output that parses no markup and never fails on a character it cannot show."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return Console(markup=False, highlight=False, emoji=False)


class View:
    """Shows a run to whoever watches. `live` None: a panel if the console is a terminal that can have one."""

    def __init__(self, console: Console, limits: Limits = UNLIMITED, live: bool | None = None) -> None:
        self.console, self.limits = console, limits
        interactive = console.is_interactive and console.file.isatty() if live is None else live
        self._live = Live(console=console, auto_refresh=False, transient=True) if interactive else None
        self._drawn = float("-inf")
        self._pace = Pace(time.monotonic())
        self._population: Population | None = None
        self._thinking: Mapping[str, float] = {}
        self._account = Account()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def tell(self, event: Event, population: Population) -> None:
        """Say an event that `population` has just applied, if it is worth a line."""
        self._population = population
        now = time.monotonic()
        self._pace.observe(now, population.finished)
        if self._live and isinstance(event, Assigned | Finished | Lost):
            self._account = account(population)
        line = words(event, population, self.limits, self.console.width if self._live else None)
        if line and self._live:  # the panel below the line must not tell of the moment before it
            self._live.update(self._panel(population, {}, self._thinking, now), refresh=True)
        if line:
            self.say(line)

    def say(self, line: str) -> None:
        """Print a line that stays."""
        if self._live is None:
            self.console.print(printable(line), soft_wrap=True)
            self.console.file.flush()
        else:
            self.console.print(self._coloured(printable(line)), no_wrap=True, overflow="ellipsis")

    def show(
        self,
        population: Population,
        progress: Mapping[int, Progress] = MappingProxyType({}),
        thinking: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Draw the panel: `progress` by trial, lineages `thinking` since when (monotonic)."""
        now = time.monotonic()
        self._pace.observe(now, population.finished)
        if self._live is None or now - self._drawn < _REFRESH_S:
            return
        self._drawn, self._population, self._thinking = now, population, thinking
        self._live.update(self._panel(population, progress, thinking, now), refresh=True)

    def _panel(
        self,
        population: Population,
        progress: Mapping[int, Progress],
        thinking: Mapping[str, float],
        now: float,
    ) -> RenderableType:
        minds = {name: now - since for name, since in thinking.items()}
        width, height = self.console.size
        budget = self._pace.budget(now, self.limits)
        if population.finished:
            budget += f" · GPU duty {self._account.duty:.0%}"
        return panel(population, progress, minds, budget, width, height)

    def _coloured(self, line: str) -> Text:
        text = Text(line)
        text.highlight_regex(r"^\[[ 0-9/]+\]", "dim")
        text.highlight_regex(r" -[0-9.e-]+ (?= *(?:advance|confirm|discard) )| advance ", "green")
        text.highlight_regex(r" confirm ", "yellow")
        text.highlight_regex(r" (crashed|timed out|refused|stopped) (?= *discard )", "red")
        for name in self._population.lineages if self._population else ():
            if start := line.find(f" {name} ") + 1:
                text.stylize(colour(self._population, name), start, start + len(name))
        return text
