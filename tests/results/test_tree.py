from synthetic_runs import BASELINE, Story, lost, searched

from population.evidence import best, weigh
from population.records import Crashed, Founded, Pruned, Stopped
from results.changes import changed
from results.chart import bare, by_hours, datasets, spec
from results.marks import Drawing, Mark, drawing
from results.moves import stays, strands


def drawn(story: Story) -> Drawing:
    return drawing(story.population, story.entries)


def marks(story: Story) -> dict[int, Mark]:
    return {mark.trial: mark for mark in drawn(story).marks}


def test_every_trial_is_a_mark_and_only_a_score_is_a_number() -> None:
    story = searched(120)
    lost(story, story.population.living[0].name, "cut off")
    found = marks(story)
    assert set(found) == set(story.population.trials)
    for number, trial in story.population.trials.items():
        assert found[number].score == trial.score
        assert (found[number].y > drawn(story).scale.high) == (trial.score is None or found[number].beyond)


def test_a_failure_stands_on_a_rail_above_all_scores_with_its_cause() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "too wide", Crashed("CUDA out of memory"))
    found, scale = marks(story), drawn(story).scale
    assert scale.top > found[2].y == scale.failed > scale.high
    assert (found[2].fate, found[2].reason) == ("failed", "CUDA out of memory")


def test_what_was_stopped_is_told_from_what_failed() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "too slow", Stopped(0.4, "hopeless"))
    found = drawn(story)
    assert found.scale.top > marks(story)[2].y == found.scale.stopped > found.scale.high
    assert marks(story)[2].fate == "stopped" and marks(story)[2].score is None
    assert [name["text"] for name in datasets(found)["rail names"]] == ["stopped"]
    story.tries("cedar", "too wide", Crashed("CUDA out of memory"))
    assert marks(story)[3].y > marks(story)[2].y and marks(story)[3].fate == "failed"


def test_a_hopeless_score_does_not_squeeze_the_others() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "a gain", 2.6, keep=True)
    story.tries("cedar", "a disaster", 900.0)
    found, scale = marks(story), drawn(story).scale
    assert found[3].beyond and found[3].score == 900.0 and found[3].y == scale.beyond
    assert scale.high < 3.0 and not found[1].beyond and not found[2].beyond


def test_nothing_stands_above_the_scores_where_nothing_failed() -> None:
    scale = drawn(Story().begins("cedar", "birch")).scale
    assert scale.top == scale.high


def test_a_line_steps_down_where_its_lineage_advances_and_where_it_adopts() -> None:
    story = Story().begins("cedar", "birch")
    story.tries("birch", "a gain", 2.6, keep=True)
    win = story.population.lineages["birch"].tip
    story.tries("cedar", "no gain", 2.8)
    story.adopts(win, "cedar")
    steps = {name: [s for s in drawn(story).steps if s.lineage == name] for name in ("cedar", "birch")}
    assert [step.trial for step in steps["birch"]] == [1, 2, 3]
    assert [step.trial for step in steps["cedar"]] == [1, 3, 3]
    estimate = weigh(story.population).estimates[win]
    assert steps["cedar"][-1].mean == steps["birch"][-1].mean == estimate.mean
    assert steps["birch"][-1].low < estimate.mean < steps["birch"][-1].high


def test_lines_end_where_lineages_stand() -> None:
    for seed in range(5):
        story = searched(80, seed=seed)
        for stay in stays(story.entries):
            line = story.population.lineages[stay.lineage]
            assert stay.moves[-1].commit == line.tip
            assert (stay.pruned is None) == (line.pruned is None)


def test_an_adoption_that_comes_later_is_an_edge_from_the_trial_that_found_it() -> None:
    story = Story().begins("cedar", "birch")
    story.tries("birch", "a gain", 2.6, keep=True)
    story.tries("cedar", "no gain", 2.8)
    story.adopts(story.population.lineages["birch"].tip, "cedar")
    (edge,) = drawn(story).edges
    assert (edge.kind, edge.lineage, edge.trial, edge.trial2) == ("adopted", "cedar", 2, 3)


def test_a_merge_is_tied_to_all_that_it_brings_together() -> None:
    story = Story().begins("cedar")
    parts = [story.doubts("cedar", f"near {n}", 2.73) for n in range(2)]
    story.measures(story.combines("cedar", *parts), 2.6, "advance")
    edges = [edge for edge in drawn(story).edges if edge.kind == "merged"]
    assert {(edge.trial, edge.trial2) for edge in edges} == {(2, 4), (3, 4)}


def test_a_confirmation_is_tied_to_what_it_confirms() -> None:
    story = Story().begins("cedar")
    story.measures(story.doubts("cedar", "near", 2.73), 2.72, "advance")
    (edge,) = drawn(story).edges
    assert (edge.kind, edge.trial, edge.trial2) == ("again", 2, 3)
    assert marks(story)[3].again_of == 2 and marks(story)[3].idea == "again: near"
    assert (marks(story)[2].fate, marks(story)[3].fate) == ("kept", "again")


def test_a_fork_leaves_from_what_it_was_founded_on_and_a_pruned_line_ends() -> None:
    story = Story().begins("cedar", "birch")
    story.tries("cedar", "a gain", 2.6, keep=True)
    story.tries("birch", "no gain", 2.8)
    story.happens(Pruned("birch", "behind"))
    story.happens(Founded("dune", "bold", "mutate", story.population.lineages["cedar"].tip, "its place"))
    story.tries("dune", "another", 2.7)
    found = drawn(story)
    (end,) = found.ends
    assert (end.lineage, end.trial, end.reason) == ("birch", 3, "behind")
    assert [(e.lineage, e.trial, e.trial2) for e in found.edges if e.kind == "founded"] == [("dune", 2, 3)]
    assert found.strands["dune"] == found.strands["birch"] != found.strands["cedar"]


def test_strands_are_no_more_than_lineages_that_live_together() -> None:
    assert strands({"a": (1, 5), "b": (1, 9), "c": (5, 9), "d": (6, 9)}) == {"a": 0, "b": 1, "c": 0, "d": 2}


def test_the_best_only_gets_better_and_ends_at_the_best_that_is_claimed() -> None:
    story = searched(100)
    course = [step.mean for step in drawn(story).best]
    assert course == sorted(course, reverse=True)
    found = best(story.population)
    assert found is not None and course[-1] == weigh(story.population).estimates[found].mean


def test_what_a_candidate_changes_is_told_by_its_constants() -> None:
    story = Story().begins("cedar")
    candidate = story.proposes("cedar", "deeper")
    base = story.population.candidates[story.population.commits[BASELINE]]
    base.knobs["DEPTH"], base.knobs["GONE"] = 3, 0.5
    assert changed(story.population, candidate) == "DEPTH 3 → 4, GONE 0.5 → –"


def test_a_run_without_a_score_has_marks_and_no_lines() -> None:
    story = Story().founds("cedar", "birch")
    story.tries("cedar", "the baseline", Crashed("no data"), operator="baseline")
    found = drawn(story)
    assert [mark.fate for mark in found.marks] == ["failed"]
    assert not found.steps and not found.best and found.crown is None and not found.scale.any


def test_the_chart_names_rows_that_there_are_and_turns_to_hours_whole() -> None:
    found = drawn(searched(60))
    whole = by_hours(bare(spec(found, dict.fromkeys(found.strands, "#123456"))), found)
    parts = [part for layer in whole["layer"] for part in layer.get("layer", [layer])]
    assert {part["data"]["name"] for part in parts} <= datasets(found).keys()
    assert {part["encoding"]["x"]["field"] for part in parts if "x" in part["encoding"]} == {"hours"}
