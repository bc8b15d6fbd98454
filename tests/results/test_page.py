import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import Story, ended, searched

from population.records import Crashed, Outcome, Stopped, TimedOut
from results.page.markup import Safe, element, joined, single
from results.tree import tree, write_tree

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m & é 漢字 🐦"


def genome_of(commit: str) -> str:
    return f"DEPTH = {int(commit, 16) % 97}\nHTML = '</script><b>'\n"


class Parsed(HTMLParser):
    """A page, as its tags, their attributes, and its text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open, self.scripts = "", [""], [""]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        self.scripts += [""] * (tag == "script")

    def handle_endtag(self, tag: str) -> None:
        self.open.append("")

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open[-1] != "style":
            self.text += data


def page(story: Story) -> str:
    return tree(story.population, story.entries, genome_of)[0]


def said(story: Story) -> str:
    return " ".join(Parsed(page(story)).text.split())


def hostile() -> Story:
    story = Story(metric="<b>bpb").begins("cedar")
    story.tries("cedar", HOSTILE, 2.6, keep=True, reason=HOSTILE)
    story.tries("cedar", HOSTILE, Crashed(HOSTILE, HOSTILE))
    story.doubts("cedar", HOSTILE, 2.601)
    return story


def test_hostile_text_is_shown_and_never_markup() -> None:
    html = page(hostile())
    parsed = Parsed(html)
    assert [tag for tag, _ in parsed.tags].count("script") == 4  # data, and three of ours
    assert not {"img", "b", "iframe"} & {tag for tag, _ in parsed.tags}
    assert not [key for _, attributes in parsed.tags for key in attributes if key.startswith("on")]
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in parsed.text
    assert "\u202e" not in html and "\x1b" not in html


def test_the_rows_of_the_chart_are_json_that_nothing_in_them_can_end() -> None:
    parsed = Parsed(page(hostile()))
    rows = json.loads(parsed.scripts[1])["rows"]
    assert "<" not in parsed.scripts[1]
    assert rows["marks"][-1]["idea"].startswith("</script><script>alert(1)</script>")


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(exclude_categories=(), exclude_characters="\r\x00")))
def test_any_text_comes_out_of_an_element_as_it_went_in(text: str) -> None:
    parsed = Parsed(element("p", text, title=text))
    assert parsed.tags == [("p", {"title": text})] and parsed.text == text


def test_markup_is_put_in_as_it_is_and_attributes_by_their_names() -> None:
    assert joined("a<", None, Safe("<br>")) == "a&lt;<br>"
    assert single("input", class_="x", aria_label='"', checked=True, hidden=False) == (
        '<input class="x" aria-label="&quot;" checked>'
    )


def test_the_page_forbids_itself_the_network_and_all_scripts_but_its_own() -> None:
    html = page(searched(12))
    policy = next(a["content"] for tag, a in Parsed(html).tags if a.get("http-equiv")) or ""
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", html.split("<script", 1)[0])


def test_it_begins_with_baseline_and_best_and_answers_what_one_comes_back_with() -> None:
    text = said(ended(searched(60)))
    assert "val_bpb lower by 0." in text and "baseline 2.7" in text
    for question in ("What won", "Believe it?", "What to keep", "From the baseline to the best"):
        assert question in text
    assert "ended: 16 trials are done" in text and "reload every" not in text


def test_a_gain_that_was_never_measured_again_is_not_called_sure() -> None:
    assert "Nobody measured the best again" in said(searched(60))


@pytest.mark.parametrize("outcome", [Crashed("no data"), TimedOut("training", 9.0)])
def test_a_run_in_which_everything_failed_says_why(outcome: Outcome) -> None:
    story = Story().founds("cedar", "birch")
    story.tries("cedar", "the baseline", outcome, operator="baseline")
    story.tries("birch", "the baseline again", outcome)
    text = said(story)
    assert "best/train.py" not in text
    assert "val_bpb: no score yet" in text and "Nothing has a score yet" in text and "2 times" in text


def test_one_trial_makes_a_page() -> None:
    assert "the baseline, 2.734 ± 0.032, is still the best" in said(Story().begins("cedar")).replace(
        "\xa0", " "
    )


def test_a_trial_under_way_and_no_other_makes_a_page() -> None:
    story = Story().founds("cedar")
    story.runs(story.proposes("cedar", "the baseline", "baseline"))
    assert "No trial has ended" in said(story)


def test_steps_have_their_diffs_folded_in_them() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "deeper", 2.6, keep=True)
    text, tags = said(story), [tag for tag, _ in Parsed(page(story)).tags]
    assert tags.count("details") == 1 and "diff +1 −1" in text and "+DEPTH = 2" in text


def test_a_long_way_is_cut_in_the_middle_and_says_by_how_much() -> None:
    story = Story().begins("cedar")
    for step in range(60):
        story.tries("cedar", f"idea {step}", 2.7 - step / 50, keep=True)
    assert "… 21 more steps …" in said(story) and page(story).count("<details>") == 39


def test_a_page_without_a_journal_beside_it_still_shows_every_trial(tmp_path: Path) -> None:
    story = searched(10)
    write_tree(tmp_path, story.population, genome_of)
    rows = json.loads(Parsed((tmp_path / "tree.html").read_text()).scripts[1])["rows"]
    assert len(rows["marks"]) == 10 and not rows["steps"]
    assert (tmp_path / "tree.svg").read_text().startswith("<svg")
    assert {path.name for path in tmp_path.iterdir()} == {"tree.html", "tree.svg"}


def test_what_the_gpu_did_is_told_to_the_last_second() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "too deep", Stopped(0.4, "hopeless"))
    uses = page(story).partition("<h2>Time and cost</h2>")[2].partition("</table>")[0]
    told = re.findall(r"</i>(.+?)</th>.*?>([^<]+)</td>.*?>([\d.]+)%</td>", uses)
    assert [name for name, _, _ in told] == ["training", "stopped early", "exam", "start-up", "idle"]
    assert [spent for _, spent, _ in told[:4]] == ["10 s", "10 s", "1 s", "2 s"]
    assert sum(float(part) for _, _, part in told) == pytest.approx(100, abs=0.3)


def test_what_was_stopped_early_is_not_among_what_failed() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "too deep", Stopped(0.4, "hopeless"))
    assert "<h3>Failed</h3>" not in page(story)
    story.tries("cedar", "too wide", Crashed("out of memory"))
    failed = page(story).partition("<h3>Failed</h3>")[2].partition("</section>")[0]
    assert "too wide" in failed and "too deep" not in failed


def test_only_a_step_that_is_a_gain_by_all_evidence_is_painted_as_one() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "a lucky idea", 2.70, keep=True)
    for score in (2.76, 2.77, 2.76):
        story.measures(story.population.candidates[2], score, "confirm", "measured again")
    story.tries("cedar", "a real idea", 2.4, keep=True)
    steps = page(story).split('id="step-')
    assert 'class="gain"' not in steps[2] and 'class="gain"' in steps[3]


def test_what_was_built_on_is_no_near_miss() -> None:
    story = Story().begins("cedar", "moss")
    step, other = story.doubts("cedar", "stepped onto", 2.733), story.doubts("moss", "left alone", 2.733)
    story.adopts(step.commit, "cedar", reason="to look around from a near miss")
    misses = page(story).partition("Near misses")[2].partition("</section>")[0]
    assert other.idea in misses and step.idea not in misses
