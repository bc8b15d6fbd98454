"""Legal histories of a run, for hypothesis: all that a scheduler could have written, and more.

`histories()` draws lists of entries that fold without complaint. Scores are exact in binary and close
together, so that ties and small gains happen; commits are made up.
"""

from collections.abc import Callable

from hypothesis import strategies as st

from population.records import (
    Assigned,
    Candidate,
    Completed,
    Crashed,
    Declined,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Outcome,
    Proposed,
    Refused,
    Resumed,
    Started,
    Stopped,
    TimedOut,
    Usage,
    Verdict,
)
from population.state import Population, apply

HEAD = "f" * 40
SCORES = st.integers(0, 64).map(lambda n: 0.9375 + n / 1024)
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    SCORES.map(Completed),
    SCORES.map(Completed),
    st.sampled_from([Crashed("out of memory", "tail\n"), TimedOut("training", 10.0), Refused("only a seed")]),
    st.floats(0, 1).map(lambda fraction: Stopped(fraction, "hopeless")),
)


def started(run: str = "demo", policy: str = "promise") -> Started:
    return Started(run, 0, policy, "task", "val_bpb", 10.0, "exam", "cpu", "cpu", HEAD)


def candidate(number: int, lineage: str, parents: tuple[str, ...], operator: str = "mutate") -> Candidate:
    """A candidate whose commit and genome are told apart by its number alone."""
    return Candidate(
        number=number,
        lineage=lineage,
        operator=operator,  # type: ignore[arg-type]
        idea=f"idea {number}",
        commit=f"{number:040x}",
        parents=parents,
        genome_hash=f"genome {number}",
        complexity=10,
        knobs={"DEPTH": number, "RATE": 0.5, "WIDE": True, "KIND": "gelu"},
        proposer="scripted",
    )


@st.composite
def histories(draw: st.DrawFn, max_events: int = 40, max_lineages: int = 4) -> list[Entry]:
    """A run from its first entry to any point of it: at least started, founded and with a baseline."""
    population = Population()
    entries: list[Entry] = []

    def record(event: Event) -> None:
        pause_s = draw(st.sampled_from([0.0, 0.25, 10.0]))
        entries.append(Entry(len(entries) + 1, (population.at or 1e9) + pause_s, event))
        apply(population, entries[-1])

    record(started())
    first = candidate(1, "l1", (HEAD,), "baseline")
    for n in range(1, draw(st.integers(1, max_lineages)) + 1):
        record(Founded(f"l{n}", "brief", "scripted", first.commit, "asked for"))
    record(Proposed(first))
    for _ in range(draw(st.integers(0, max_events))):
        record(draw(st.one_of(_possible(population))))
    return entries


def _possible(population: Population) -> list[st.SearchStrategy[Event]]:
    """One strategy for each kind of event that can come next."""
    lineages = st.sampled_from(sorted(population.lineages))
    kinds: list[st.SearchStrategy[Event]] = [
        lineages.flatmap(_proposal(population)),
        lineages.map(lambda name: Declined(name, population.lineages[name].tip, "nothing new")),
        st.just(Ended("enough") if population.ended is None else Resumed()),
    ]
    ready = [number for lineage in population.lineages.values() for number in lineage.ready]
    if (running := population.running) is not None:
        usage = Usage(population.at, wall_s=10.0)
        kinds += [
            OUTCOMES.map(lambda outcome: Finished(running, outcome, usage)),
            st.just(Lost(running, "power")),
        ]
    elif ready:
        trial = len(population.trials) + 1
        kinds += [st.sampled_from(ready).map(lambda number: Assigned(trial, number, 0, "its turn"))] * 3
    if population.unjudged:
        kinds += [st.sampled_from(population.unjudged).flatmap(_verdict(population))] * 2
    return kinds


def _proposal(population: Population) -> Callable[[str], st.SearchStrategy[Event]]:
    def propose(name: str) -> st.SearchStrategy[Event]:
        number = len(population.candidates) + 1
        tips = [line.tip for line in population.lineages.values()]
        own = population.lineages[name].tip
        others = st.sampled_from([(own,), *((own, tip) for tip in tips if tip != own)])
        return others.map(
            lambda parents: Proposed(
                candidate(number, name, parents, "mutate" if len(parents) == 1 else "merge")
            )
        )

    return propose


def _verdict(population: Population) -> Callable[[int], st.SearchStrategy[Event]]:
    def judge(trial: int) -> st.SearchStrategy[Event]:
        scored = population.trials[trial].score is not None
        allowed: list[Verdict] = ["advance", "discard"] if scored else ["discard"]
        verdicts = st.sampled_from(allowed)
        return verdicts.map(lambda verdict: Judged(trial, verdict, "by the evidence"))

    return judge
