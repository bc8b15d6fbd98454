from synthetic_runs import BASELINE, HEAD, Story, lost, searched

from population.records import Crashed, Refused, Stopped, TimedOut
from population.state import Population
from results.frames import trials


def test_a_completed_trial_has_all_its_columns() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "raise DEPTH", 2.7134, keep=True, reason="clear of the noise")
    row = trials(story.population).row(1, named=True)
    assert row["trial"] == 2 and row["lineage"] == "cedar" and row["brief"] == "default"
    assert row["parent"] == row["base"] == BASELINE and row["parent2"] is None
    assert row["p_better"] > 0.5 and row["expected_gain"] > 0 < row["expected_gain_sd"]
    assert (
        row["status"] == "completed" and row["verdict"] == "advance" and row["reason"] == "clear of the noise"
    )
    assert row["val_bpb"] == 2.7134 and abs(row["gain"] - 0.021) < 1e-9
    assert (
        row["wall_s"] == 12.0 and row["steps"] == 120 and row["cost_usd"] == 0.01 and row["device"] == "cpu"
    )
    assert row["started_at"].timestamp() < story.population.at


def test_every_fate_has_its_status_and_only_a_completed_one_a_score() -> None:
    story = Story().begins("cedar")
    for outcome in (Stopped(0.5, "hopeless"), Crashed("NaN"), TimedOut("exam", 9.0), Refused("a seed")):
        story.tries("cedar", "an idea", outcome)
    lost(story, "cedar", "an idea")
    story.runs(story.proposes("cedar", "another"))
    frame = trials(story.population)
    fates = ["completed", "stopped", "crashed", "timed_out", "refused", "lost", "running"]
    assert frame["status"].to_list() == fates
    assert frame["val_bpb"].is_null().to_list() == [False] + 6 * [True]
    assert frame["reason"].to_list()[2:4] == ["NaN", "exam was not over after 9 s"]


def test_the_schema_is_the_same_for_no_trial_and_for_many() -> None:
    empty, full = trials(Story().population), trials(searched(30).population)
    assert empty.height == 0 and full.height == 30
    assert empty.schema == full.schema
    assert trials(Population()).width == full.width


def test_the_score_bears_the_name_of_the_metric_unless_that_is_taken() -> None:
    assert "miss_rate" in trials(Story("miss_rate").begins("cedar").population).columns
    frame = trials(Story("steps").begins("cedar").population)
    assert frame["score"].to_list() == [2.7344] and frame["steps"].to_list() == [120]


def test_what_an_idea_cost_is_counted_once_when_its_trial_was_lost() -> None:
    story = Story().begins("cedar")
    story.runs(lost(story, "cedar", "raise DEPTH"))
    assert trials(story.population)["prompt_tokens"].to_list() == [100, 100, 0]


def test_parents_are_in_order_and_the_baselines_is_the_users_head() -> None:
    frame = trials(searched(20).population)
    assert frame["parent"][0] == HEAD
    assert set(frame["base"].to_list()[1:]) <= {HEAD, *frame["commit"].to_list()}


def test_a_merge_has_two_parents_and_a_repeat_is_a_replicate_of_its_candidate() -> None:
    story = Story().begins("cedar")
    one, other = story.doubts("cedar", "lift DEPTH", 2.73), story.doubts("cedar", "lift HEADS", 2.72)
    story.measures(story.combines("cedar", one, other), 2.7, "discard")
    story.measures(other, 2.71, "confirm")
    frame = trials(story.population)
    assert frame["operator"].to_list() == ["baseline", "mutate", "mutate", "merge", "replicate"]
    assert frame["verdict"].to_list() == ["advance", "confirm", "confirm", "discard", "confirm"]
    assert frame.row(3, named=True)["parent2"] == other.commit == frame["commit"][4]


def test_what_is_expected_of_a_change_is_null_where_nothing_was_compared() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "an idea", Crashed("NaN"))
    story.tries("cedar", "another", 2.9)
    frame = trials(story.population)
    assert frame["p_better"].is_null().to_list() == [True, True, False]
    assert frame["p_better"][2] < 0.5 and frame["expected_gain"][2] < 0


def test_what_an_author_foresaw_and_what_it_was_asked_about_stand_beside_its_idea() -> None:
    story = Story().begins("cedar")
    near = story.doubts("cedar", "lift DEPTH", 2.73)
    again = story.proposes("cedar", "lift DEPTH now", "revisit", expected=-0.01, about=near.number)
    story.measures(again, 2.72, "discard")
    frame = trials(story.population)
    assert frame["expected"].to_list() == [None, None, -0.01]
    assert frame["about"].to_list() == [None, None, 2]


def test_an_idea_that_was_rebased_keeps_what_it_cost_and_what_was_expected_of_it() -> None:
    story = Story().begins("cedar")
    waiting = story.proposes("cedar", "lift DEPTH", expected=-0.01)
    story.measures(story.combines("cedar", waiting, operator="mutate"), 2.72, "discard")
    row = trials(story.population).row(1, named=True)
    assert row["expected"] == -0.01 and row["prompt_tokens"] == 100 and row["cost_usd"] == 0.01
