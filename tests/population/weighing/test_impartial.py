"""Trials that nobody picked: those after a commit was built on, and all of the baseline's."""

from hypothesis import given

from population.records import Assigned, Completed, Crashed, Entry, Finished, Judged, Outcome, Usage
from population.state import replay
from population.weighing.impartial import impartial
from tests.population.histories import BASE, histories
from tests.population.stories import ROOT, SIGMA, Story


def won() -> tuple[Story, int]:
    """A story with a candidate that has advanced in its first trial."""
    story = Story()
    story.trial(1.0)
    number = story.propose("l1")
    story.tell(Assigned(2, number, 1, "its turn"))
    assert story.finish(2, sigmas=-10).verdict == "advance"
    return story, number


def again(story: Story, number: int, outcome: Outcome) -> int:
    trial = len(story.population.trials) + 1
    story.tell(Assigned(trial, number, trial, "once more"))
    story.tell(Finished(trial, outcome, Usage(1e9)))
    story.tell(Judged(trial, "discard" if isinstance(outcome, Crashed) else "confirm", "measured again"))
    return trial


def test_the_trial_that_a_commit_advanced_in_has_picked_it() -> None:
    story, number = won()
    assert impartial(story.population, story.commit(number)) == []


def test_a_commit_measured_again_was_not_picked_for_that_scored_or_not() -> None:
    story, number = won()
    trials = [again(story, number, outcome) for outcome in (Completed(0.9 + SIGMA), Crashed("no"))]
    assert [trial.number for trial in impartial(story.population, story.commit(number))] == trials


def test_all_trials_of_the_baseline_count() -> None:
    story, _ = won()
    last = again(story, 1, Completed(1.0))
    found = [trial.number for trial in impartial(story.population, ROOT.commit)]
    assert found[0] == 1 and found[-1] == last


def test_what_advanced_when_it_was_confirmed_is_picked_by_all_trials_until_then() -> None:
    story = Story()
    story.trial(1.0)
    number = story.propose("l1")
    story.tell(Assigned(2, number, 1, "its turn"))
    story.tell(Finished(2, Completed(1.0 - SIGMA), Usage(1e9)))
    story.tell(Judged(2, "confirm", "inside the noise"))
    story.tell(Assigned(3, number, 2, "once more"))
    story.tell(Finished(3, Completed(0.9), Usage(1e9)))
    story.tell(Judged(3, "advance", "clear of it"))
    assert impartial(story.population, story.commit(number)) == []
    last = again(story, number, Completed(1.0))
    assert [trial.number for trial in impartial(story.population, story.commit(number))] == [last]


def test_a_trial_under_way_says_nothing_yet() -> None:
    story, number = won()
    story.tell(Assigned(len(story.population.trials) + 1, number, 9, "once more"))
    assert impartial(story.population, story.commit(number)) == []


@given(histories())
def test_no_trial_that_a_commit_advanced_in_is_impartial_but_the_baselines(entries: list[Entry]) -> None:
    population = replay(entries)
    for number in population.tried:
        commit = population.candidates[number].commit
        trials = impartial(population, commit)
        assert [trial.number for trial in trials] == sorted(trial.number for trial in trials)
        assert all(trial.outcome is not None and trial.candidate.commit == commit for trial in trials)
        assert commit == BASE or not [trial for trial in trials if trial.verdict == "advance"]
