"""What a mind is told when it is asked: where it stands, what was tried, and what its errand is about."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.deciding.asking import Errand
from population.keeping import runs
from population.notebook import history, request
from population.policy import PolicyName, Rules
from population.proposals import Request
from population.records import Adopted, Assigned, Clashed, Combined, Entry
from population.state import Population, replay
from tests.population.histories import histories
from tests.population.stories import ROOT, Story

PROGRAM = Path(__file__).resolve().parent.parent.parent / "program.md"


def asked(population: Population, name: str, errand: Errand = Errand(), start: str = "") -> Request:  # noqa: B008
    line = population.lineages[name]
    return request(
        population, line, start or line.tip, "Look.", 7, errand, lambda commit: f"text of {commit}"
    )


def told(policy: PolicyName = "promise") -> tuple[Story, int, int]:
    """A story with a near miss, a win that everyone moved to, and an older idea of l2."""
    story = Story(rules=Rules(policy))
    story.trial(1.0)
    near, won, waits = story.propose("l1"), story.propose("l1"), story.propose("l2")
    for trial, number, sigmas in ((2, near, -0.5), (3, won, -10)):
        story.tell(Assigned(trial, number, 1, "its turn"))
        story.finish(trial, sigmas)
    for name in ("l1", "l2"):
        story.tell(Adopted(name, story.commit(won), "proven"))
    return story, near, waits


def test_a_mind_is_told_where_it_stands_and_how_one_came_there() -> None:
    story, _, _ = told()
    found = asked(story.population, "l2")
    assert (found.parent, found.genome) == (story.tip("l2"), f"text of {story.tip('l2')}")
    assert found.path == (1, 3)
    assert found.hashes == {f"genome {number}" for number in story.population.candidates}
    assert (found.metric, found.budget_s, found.task, found.subject) == ("val_bpb", 10.0, "mutate", None)
    assert asked(story.population, "l2", start=ROOT.commit).genome == f"text of {ROOT.commit}"


def test_a_drought_is_counted_in_new_candidates() -> None:
    story, _, _ = told()
    assert asked(story.population, "l1").drought == 0
    for count in range(1, 4):
        number = story.propose("l1")
        trial = len(story.population.trials) + 1
        story.tell(Assigned(trial, number, 1, "its turn"))
        story.finish(trial, sigmas=10)
        assert asked(story.population, "l1").drought == count


def test_a_revisit_is_told_what_was_changed_where_and_with_which_effect() -> None:
    story, near, _ = told()
    found = asked(story.population, "l1", Errand("revisit", near))
    subject = found.subject
    assert found.task == "revisit" and subject is not None
    assert (subject.idea, subject.trial) == (f"idea {near}", 2)
    assert (subject.before, subject.after) == (f"text of {ROOT.commit}", f"text of {story.commit(near)}")
    assert "a gain with" in subject.remark and "%" in subject.remark


def test_a_merge_of_what_was_never_tried_says_so() -> None:
    story, _, waits = told()
    story.tell(Combined("l2", story.tip("l2"), (waits,), "mutate", "its tip has moved"))
    story.tell(Clashed("l2", (waits,), "they change the same things"))
    subject = asked(story.population, "l2", Errand("merge", waits)).subject
    assert subject is not None and subject.trial is None and "clashes" in subject.remark


@pytest.mark.parametrize("policy", ["greedy", "round-robin", "best-of-n"])
def test_under_single_scores_nobody_is_told_of_evidence(policy: PolicyName) -> None:
    story, near, _ = told(policy)
    found = asked(story.population, "l1", Errand("revisit", near))
    assert {tried.effect for tried in found.history} == {None}
    assert found.score == story.population.score(found.parent)
    assert found.subject is not None and "%" not in found.subject.remark


def test_the_part_of_a_brief_for_agents_at_their_own_pace_is_cut() -> None:
    brief = runs.Brief("program", PROGRAM.read_text())
    assert "scheduler.py submit" in brief.text and "scheduler.py" not in brief.asked
    assert brief.text.startswith(brief.asked) and len(brief.asked.splitlines()) > 20
    assert runs.Brief("own", "Look.\n").asked == "Look.\n"


@given(histories(), st.data())
def test_whatever_happened_a_mind_can_be_told_of_it(entries: list[Entry], data: st.DataObject) -> None:
    population = replay(entries)
    about = data.draw(st.sampled_from([None, *population.candidates]))
    errand = Errand() if about is None else Errand(data.draw(st.sampled_from(["merge", "revisit"])), about)
    for line in population.living:
        found = asked(population, line.name, errand)
        assert (found.subject is None) == (about is None)
        assert [tried.trial for tried in found.history] == sorted(tried.trial for tried in found.history)
        judged = {trial.number for trial in population.trials.values() if trial.verdict is not None}
        assert {tried.trial for tried in history(population)} == judged
