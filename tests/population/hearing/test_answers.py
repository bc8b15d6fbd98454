"""A reply is read for what it means, refused with a reason, and never the cause of an exception."""

import json
import time
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from population.genome import knobs
from population.hearing.answers import Form, number, read, schema, settable
from population.proposals import Proposal, Unusable

ROOT = Path(__file__).resolve().parents[3]
GENOME = '''"""A small genome."""
import prepare

DEPTH = 8  # layers; 1 to 16
LR = 0.04  # of matrices; 0.001 to 0.2, log
BATCH = 2**7  # rows; 2**3 to 2**9, power of two
WINDOW = "SL"  # one of "L", "SL", "SSL"
CAUTIOUS = True
HEAD = 64  # fixed
SEED = 1
WIDTH = DEPTH * HEAD
assert WIDTH % 128 == 0, "whole heads"


def build_model():
    return [DEPTH, LR]


def main():
    prepare.submit(build_model())
'''

BLOCK = "<<<<<<< SEARCH\nLR = 0.04  # of matrices; 0.001 to 0.2, log\n=======\nLR = 0.05\n>>>>>>> REPLACE"
EDITS = f"IDEA: Raise the rate.\nEXPECTED: -0.002\n{BLOCK}\n"
KNOBS = '{"idea": "Raise the rate.", "expected": -0.002, "changes": [{"LR": 0.05}]}'
EDITED = GENOME.replace("LR = 0.04  # of matrices; 0.001 to 0.2, log", "LR = 0.05")


def proposal(said: str, form: Form = "edits") -> Proposal:
    answer = read(said, GENOME, form)
    assert isinstance(answer, Proposal), answer
    return answer


def refusal(said: str, form: Form = "edits") -> str:
    answer = read(said, GENOME, form)
    assert isinstance(answer, Unusable) and answer.said == said and "\n" not in answer.reason, answer
    return answer.reason


def test_an_answer_in_the_form_asked_for_is_a_proposal() -> None:
    assert proposal(EDITS) == Proposal(EDITED, "Raise the rate.", expected=-0.002, said=EDITS)


@pytest.mark.parametrize(
    "said",
    [
        EDITS.replace("\n", "\r\n"),
        "Sure, here it is!\n\n" + EDITS + "\nThis should help.",
        EDITS.replace("<<<<<<<", "<<<<<<<<<").replace("=======", "=====").replace(">>>>>>>", ">>>>>"),
        EDITS.replace("IDEA:", "**Idea:**").replace("EXPECTED:", "- **Expected**:"),
        EDITS.replace("IDEA: ", "## IDEA:\n\n"),
        EDITS.replace(BLOCK, f"```python\n{BLOCK}\n```"),
        EDITS.replace(BLOCK, f"train.py\n```\n{BLOCK}\n```\n"),
        EDITS.replace("SEARCH\nLR", "SEARCH\n```python\nLR").replace("log\n===", "log\n```\n==="),
        EDITS.replace(BLOCK, f"{BLOCK}\n{BLOCK}"),
        EDITS.replace(BLOCK, f"```\n{BLOCK.removesuffix('>>>>>>> REPLACE')}```\n"),
        f"<think>IDEA: no\n{BLOCK.replace('0.05', '0.1')} not sure</think>\n{EDITS}",
        f"I wonder. {BLOCK.replace('0.05', '0.1')}\n</think>\n\n{EDITS}",
        f"IDEA: a draft\n{EDITS}",
        f"{EDITS}\nIDEA: another one\n{BLOCK.replace('LR', 'DEPTH')}",
    ],
)
def test_what_is_meant_is_understood(said: str) -> None:
    read_as = proposal(said)
    assert (read_as.genome, read_as.idea, read_as.expected) == (EDITED, "Raise the rate.", -0.002)


def test_fences_around_each_of_several_blocks_are_ignored() -> None:
    other = BLOCK.replace("LR = 0.04  # of matrices; 0.001 to 0.2, log", "SEED = 1").replace("0.05", "3")
    said = f"IDEA: two places\n```python\n{BLOCK}\n```\nand\n```python\n{other}\n```\ndone"
    assert proposal(said).genome == EDITED.replace("SEED = 1", "LR = 3")


def test_labels_inside_an_edit_are_code() -> None:
    said = EDITS.replace("LR = 0.05\n", "# IDEA: none\n# Expected: 7\nLR = 0.05\n")
    assert proposal(said).expected == -0.002 and "# IDEA: none\n# Expected: 7\n" in proposal(said).genome


def test_a_change_without_a_word_says_what_it_does() -> None:
    assert proposal(BLOCK).idea == "set LR 0.04 -> 0.05" and proposal(BLOCK).expected is None
    assert "return 1" in proposal("<<<<<<< SEARCH\nreturn [DEPTH, LR]\n=======\nreturn 1\n>>>>>>>").idea


def test_an_idea_is_one_clean_line() -> None:
    idea = proposal(EDITS.replace("Raise", "\x1b[31mRaise\x00\u202e <|im_end|>" + "very " * 99)).idea
    assert len(idea) <= 200 and idea.isprintable() and "<|" not in idea


def test_a_whole_file_is_accepted_if_it_is_one() -> None:
    whole = GENOME.replace("0.04", "0.06")
    assert proposal(f"IDEA: more\n```python\n{whole}```").genome == whole
    assert "no SEARCH/REPLACE block" in refusal("IDEA: more\n```python\nLR = 0.06\n```")
    assert "line 19: " in refusal(f"```python\n{whole.replace('main()', 'main(')}```")
    assert "was cut off" in refusal(f"```python\n{whole[:-3]}")
    assert "nothing changes" in refusal(f"```python\n{GENOME}```")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("<think>hmm, LR?", "in the middle of its reasoning"),
        ("I'm sorry, I cannot help with that.", "no SEARCH/REPLACE block"),
        (EDITS.replace("0.04", "0.03"), "block 1: its SEARCH text is not in the file"),
        (EDITS.removesuffix(">>>>>>> REPLACE\n"), "no `>>>>>>> REPLACE` line"),
        (EDITS.replace("=======\n", ""), "no `=======` line"),
        (EDITS + BLOCK.replace("0.05", "0.1"), "blocks 1 and 2 both change line 5"),
    ],
)
def test_what_cannot_be_used_comes_back_with_the_reason(said: str, reason: str) -> None:
    assert reason in refusal(said)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("-0.002", -0.002), ("about −0.002 val_bpb", -0.002), ("+0.001 (worse, but smaller)", 0.001),
        ("improves by 0.003", -0.003), ("-2 mbpb", -0.002), ("-1.5e-3", -0.0015), ("**-0.002**", -0.002),
        ("from 1.92 to 1.90", -0.02), ("1.92 -> 1.90", -0.02), ("-0.001 to -0.003", -0.001), ("0.004", 0.004),
        ("-0.5%", None), ("a gain", None), ("", None), ("-1e999", None), ("9" * 5000, None), ("-.5", -0.5),
    ],
)  # fmt: skip
def test_an_expected_change_is_read_out_of_words(words: str, value: float | None) -> None:
    assert number(words) == (value if value is None else pytest.approx(value))


def changed(changes: object, form: str = "{}") -> str:
    return form.format(json.dumps({"idea": "i", "expected": -0.01, "changes": changes}))


@pytest.mark.parametrize(
    "said",
    [
        KNOBS,
        f"Here:\n```json\n{KNOBS}\n```",
        f"{{LR}} it is: {KNOBS} and so on",
        f"<think>{{}}</think>{KNOBS}",
    ],
)
def test_knobs_are_set_from_json_wherever_it_stands(said: str) -> None:
    read_as = proposal(said, "knobs")
    assert read_as.genome == GENOME.replace("0.04", "0.05")
    assert (read_as.idea, read_as.expected) == ("Raise the rate.", -0.002)


@pytest.mark.parametrize(
    "changes",
    [{"DEPTH": 10}, [{"DEPTH": 10}], [{"name": "DEPTH", "value": 10}], [{"DEPTH": 10.0}, {"LR": 0.04}],
     [{"DEPTH": 10}, {"DEPTH": 10}], {"name": "DEPTH", "value": 10}],
)  # fmt: skip
def test_changes_may_be_listed_in_several_ways(changes: object) -> None:
    assert proposal(changed(changes), "knobs").genome == GENOME.replace("DEPTH = 8", "DEPTH = 10")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([], "no knob is set"),
        ([{"DEPTH": 8}], "DEPTH is 8 already"),
        ([{"DEPTH": 17}], "DEPTH = 8 (1 to 16) cannot be 17"),
        ([{"DEPTH": 9}], 'does not hold: assert WIDTH % 128 == 0, "whole heads"'),
        ([{"DEPTH": 8.5}], "must be a whole number, not 8.5"),
        ([{"DEPTH": "8"}], "must be a whole number"),
        ([{"DEPTH": True}], "must be a whole number"),
        ([{"LR": 10**400}], "must be a number, not a number that large"),
        ([{"LR": float("nan")}], "must be a number"),
        ([{"LR": 1}], "cannot be 1.0"),
        ([{"BATCH": 100}], "power of two) cannot be 100"),
        ([{"WINDOW": "LL"}], "cannot be 'LL'"),
        ([{"CAUTIOUS": 0}], "must be true or false"),
        ([{"HEAD": 32}], "HEAD is fixed"),
        ([{"WIDTH": 512}], "WIDTH follows from other constants"),
        ([{"SEED": 2}], "SEED belongs to the harness"),
        ([{"WD": 1}], "there is no knob WD; knobs are DEPTH, LR,"),
        ([{"DEPTH": 10}, {"DEPTH": 12}], "two values"),
        ("DEPTH", "must be a list"),
        ([["DEPTH", 8]], "must be a list"),
        (None, "must be a list"),
    ],
)
def test_a_knob_that_cannot_be_set_so_is_refused_with_the_reason(changes: object, reason: str) -> None:
    assert reason in refusal(changed(changes), "knobs")


@pytest.mark.parametrize(
    "said", ["no", "{", '{"idea": "x"}', "[]", '{"changes": [' + "9" * 5000 + "]}", "[" * 99_999]
)
def test_an_answer_without_its_object_is_refused(said: str) -> None:
    assert 'no JSON object with "idea"' in refusal(said, "knobs")


def test_the_schema_lists_what_may_be_set_and_keeps_to_what_servers_understand() -> None:
    asked = schema(GENOME)
    changes = asked["properties"]["changes"]["items"]["anyOf"]
    assert [next(iter(change["properties"])) for change in changes] == list(settable(GENOME))
    values = {name: value for change in changes for name, value in change["properties"].items()}
    assert values["BATCH"] == {"type": "integer", "enum": [8, 16, 32, 64, 256, 512]}
    assert values["WINDOW"]["enum"] == ["L", "SSL"]
    near = [0.0133, 0.02, 0.0267, 0.032, 0.0364, 0.044, 0.05, 0.06, 0.08, 0.12]
    assert values["LR"] == {"type": "number", "enum": near}
    for node in [asked, *changes]:
        assert node["required"] == list(node["properties"]) and node["additionalProperties"] is False


def test_the_first_genome_has_no_more_values_to_choose_from_than_servers_take() -> None:
    text = (ROOT / "trainer" / "train.py").read_text()
    changes = schema(text)["properties"]["changes"]["items"]["anyOf"]
    values = [
        value
        for change in changes
        for knob in change["properties"].values()
        for value in knob.get("enum", ())
    ]
    assert 100 < len(values) < 1000


@given(st.data())
def test_what_the_schema_allows_within_the_ranges_is_accepted(data: st.DataObject) -> None:
    changes = schema(GENOME)["properties"]["changes"]["items"]["anyOf"]
    chosen = data.draw(st.sampled_from(changes))["properties"]
    name, value = next(iter(chosen.items()))
    options = st.sampled_from(value["enum"]) if "enum" in value else st.floats(0.001, 0.2) | st.just(False)
    drawn = data.draw(options)
    answer = read(changed([{name: drawn}]), GENOME, "knobs")
    if isinstance(answer, Proposal):
        assert knobs(answer.genome)[name] == drawn
    else:
        assert any(why in answer.reason for why in ("already", "whole heads", "must be"))


GOOD = [
    EDITS,
    KNOBS,
    f"```python\n{GENOME}\n```",
    BLOCK,
    "IDEA: ",
    "EXPECTED: ",
    "<think>",
    "</think>",
    "```",
    "{",
]
MARKS = [
    "<<<<<<< SEARCH\n", "=======\n", ">>>>>>> REPLACE\n", "```python\n", "\n", "\0", "\ud800", "\u2028", "\r",
    "é", '{"changes":', "[", "]", "}", '"', "1e999", "9" * 400, "-", "LR", "DEPTH = 8", "\x1b[31m", " " * 50,
]  # fmt: skip


pieces = st.lists(st.sampled_from(GOOD) | st.sampled_from(MARKS) | st.text(max_size=20), max_size=8)


def mixed(parts: list[str], random: Random) -> str:
    """These parts in any order, cut and with marks put in anywhere."""
    said = "".join(random.sample(parts, len(parts)))
    for _ in range(random.randrange(4)):
        at = random.randint(0, len(said))
        said = said[:at] + random.choice([*MARKS, *parts]) + said[at + random.randrange(10) :]
    return said


def check(said: str) -> None:
    """Whatever was said is a change of the genome or a reason, and can be written down."""
    for form in ("edits", "knobs"):
        answer = read(said, GENOME, form)  # type: ignore[arg-type]
        msgspec.json.encode(answer)
        if isinstance(answer, Proposal):
            assert answer.genome != GENOME and answer.idea and answer.idea.isprintable()
        else:
            assert answer.reason.isprintable() and answer.reason


@given(pieces, st.integers(0, 2**32))
@example(["\ud800" + EDITS], 0)
@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_none_of_ten_thousand_replies_raises(parts: list[str], seed: int) -> None:
    for turn in range(10):
        check(mixed(parts, Random(seed + turn)))


@pytest.mark.parametrize(
    "piece",
    ["a", " ", "\n", "`", "```\n", "```py\n", "<", "<<<<<<< SEARCH\n", "=======\n", "<think>", "</think>",
     "{", '{"a":', "[", "IDEA:", "IDEA: \n", "EXPECTED: 1", "1", "\0", BLOCK + "\n", "(", "\ud800", "**"],
)  # fmt: skip
def test_a_megabyte_of_anything_is_read_in_a_moment(piece: str) -> None:
    begun = time.process_time()
    check(piece * (1_000_000 // len(piece)) + "\n" + EDITS)
    assert time.process_time() - begun < 10  # takes about one; what is quadratic takes hours
