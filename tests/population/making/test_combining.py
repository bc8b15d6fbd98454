"""What a decision to combine comes to, on a shelf of genomes: a candidate, or a clash that leaves nothing."""

from population import genome
from population.making.candidates import Origin, committed
from population.making.combining import combined
from population.making.drafting import Draft, draft_of
from population.records import (
    Assigned,
    Candidate,
    Clashed,
    Combined,
    Completed,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Operator,
    Proposed,
    Usage,
)
from population.state import Population, apply
from tests.population.histories import HEAD, started
from tests.population.searches import Traced

BEGUN = "A = 1\nB = 1\nC = 1\nprint(A, B, C)\n"


class Bench:
    """One lineage, whose baseline is BEGUN and was measured, and changes to combine."""

    def __init__(self) -> None:
        self.population, self.shelf = Population(), Traced()
        self.tell(started())
        self.tell(Founded("l1", "brief", "tinker", HEAD, ""))
        self.baseline = self.tried(self.changed(BEGUN, HEAD, "baseline"))

    def tell(self, event: Event) -> None:
        apply(self.population, Entry(self.population.entries + 1, 0.0, event))

    def changed(self, text: str, base: str, operator: Operator = "mutate") -> Candidate:
        """A candidate that waits for the GPU."""
        draft = draft_of(text, f"idea {len(self.population.candidates)}")
        assert isinstance(draft, Draft)
        origin = Origin("l1", operator, "tinker", (base,), base)
        made = committed(self.population, draft, origin, self.shelf, 0.0)
        self.tell(Proposed(made))
        return made

    def tried(self, made: Candidate) -> Candidate:
        trial = len(self.population.trials) + 1
        self.tell(Assigned(trial, made.number, 0, ""))
        self.tell(Finished(trial, Completed(1.0), Usage(0.0)))
        self.tell(Judged(trial, "advance" if trial == 1 else "confirm", ""))
        return made

    def change(self, **constants: int) -> Candidate:
        """A change of the baseline, tried."""
        return self.tried(self.changed(genome.rewrite(BEGUN, constants), self.baseline.commit))

    def combine(self, operator: Operator, onto: Candidate, *changes: Candidate) -> Candidate | Clashed:
        asked = Combined("l1", onto.commit, tuple(change.number for change in changes), operator, "")
        came = combined(self.population, asked, self.shelf, 0.0)
        return came.candidate if isinstance(came, Proposed) else came

    def knobs(self, made: Candidate | Clashed) -> dict[str, object]:
        assert isinstance(made, Candidate)
        return {**genome.knobs(self.shelf.text(made.commit))}


def test_three_changes_are_a_merge_with_a_merge() -> None:
    bench = Bench()
    a, b, c = bench.change(A=2), bench.change(B=2), bench.change(C=2)
    pair = bench.combine("merge", bench.baseline, a, b)
    all_three = bench.combine("merge", bench.baseline, a, b, c)
    assert isinstance(pair, Candidate) and isinstance(all_three, Candidate)
    assert bench.knobs(all_three) == {"A": 2, "B": 2, "C": 2}
    assert pair.parents == (a.commit, b.commit)
    assert all_three.parents == (pair.commit, c.commit) and all_three.base == bench.baseline.commit
    assert (all_three.idea, all_three.proposer) == ("together: idea 1; idea 2; idea 3", "crossing")


def test_a_change_that_clashes_with_those_before_it_is_left_out() -> None:
    bench = Bench()
    a, other, b = bench.change(A=2), bench.change(A=3), bench.change(B=2)
    made = bench.combine("merge", bench.baseline, a, other, b)
    assert isinstance(made, Candidate) and made.combines == (a.number, b.number)
    assert bench.knobs(made) == {"A": 2, "B": 2, "C": 1}


def test_where_changes_clash_the_first_has_its_way_and_the_rest_of_the_other_is_kept() -> None:
    bench = Bench()
    proven, other = bench.change(A=2), bench.change(A=3, C=2)
    made = bench.combine("merge", bench.baseline, proven, other)
    assert isinstance(made, Candidate) and made.combines == (proven.number, other.number)
    assert bench.knobs(made) == {"A": 2, "B": 1, "C": 2}


def test_one_change_alone_is_no_combination_of_several() -> None:
    bench = Bench()
    one, other = bench.change(A=2), bench.change(A=3)
    before = dict(bench.shelf.parents)
    made = bench.combine("merge", bench.baseline, one, other)
    assert made == Clashed("l1", (2, 3), "they change the same things")
    assert bench.shelf.parents == before


def test_what_comes_to_nothing_new_is_a_clash_and_leaves_no_commit() -> None:
    bench = Bench()
    a, b, c = bench.change(A=2), bench.change(B=2), bench.change(C=2)
    bench.change(A=2, B=2, C=2)
    before = dict(bench.shelf.parents)
    made = bench.combine("merge", bench.baseline, a, b, c)
    assert made == Clashed("l1", (2, 3, 4), "together they are nothing new")
    assert bench.shelf.parents == before


def test_to_ablate_a_change_is_to_take_it_out_of_what_was_built_on_it() -> None:
    bench = Bench()
    a = bench.change(A=2)
    further = bench.tried(bench.changed(genome.rewrite(BEGUN, {"A": 2, "B": 2}), a.commit))
    made = bench.combine("ablate", further, a)
    assert isinstance(made, Candidate) and bench.knobs(made) == {"A": 1, "B": 2, "C": 1}
    assert (made.parents, made.base, made.idea) == ((further.commit,), further.commit, "without: idea 1")


def test_a_candidate_that_waited_keeps_its_idea_and_proposer_on_the_new_tip() -> None:
    bench = Bench()
    tip = bench.change(A=2)
    waits = bench.changed(genome.rewrite(BEGUN, {"B": 2}), bench.baseline.commit)
    made = bench.combine("mutate", tip, waits)
    assert isinstance(made, Candidate) and bench.knobs(made) == {"A": 2, "B": 2, "C": 1}
    assert (made.parents, made.base) == ((tip.commit,), tip.commit)
    assert (made.idea, made.proposer, made.combines) == (waits.idea, "tinker", (waits.number,))
