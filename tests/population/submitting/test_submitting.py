"""What a submission comes to: a candidate of the lineage it names, or one line that says why not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from population import genome
from population.journal import read
from population.keeping.runs import RunFolder, load, resumed, save
from population.making.candidates import Origin
from population.making.drafting import Draft
from population.policy import POLICIES, PolicyName, Rules
from population.records import Assigned, Crashed, Entry, Proposed, Pruned
from population.state import Population, replay
from population.submitting.inbox import Inbox
from population.submitting.receiving import Receipt, Submission, submitted
from population.submitting.sending import found, judged, received
from tests.population.histories import candidate, histories
from tests.population.searches import TRAIN, git, make_run, make_task, searched
from tests.population.stories import ROOT, Story
from trainer.errors import BadInput

NEW = TRAIN.replace("3.0", "2.5")
SENT = Submission("l1", "lower X", NEW, ROOT.commit)


def told(policy: PolicyName = "promise") -> Story:
    """A run of two lineages whose baseline has its score."""
    story = Story(rules=Rules(policy))
    story.trial(1.0)
    story.open()
    return story


def drafted(population: Population, sent: Submission) -> tuple[Draft, Origin]:
    came = submitted(population, sent)
    assert not isinstance(came, Receipt)
    return came


def refused(population: Population, sent: Submission | None) -> str:
    came = submitted(population, sent)
    assert isinstance(came, Receipt) and came.candidate is None
    assert came.refused.isprintable()
    return came.refused


def propose(story: Story, sent: Submission) -> int:
    """Take a submission in, as a search does."""
    draft, origin = drafted(story.population, sent)
    number = len(story.population.candidates) + 1
    made = candidate(number, origin.lineage, origin.parents, origin.operator, base=origin.base)
    story.tell(
        Proposed(replace(made, genome_hash=draft.genome_hash, proposer=origin.proposer, idea=draft.idea))
    )
    return number


def test_a_submission_becomes_a_draft_made_from_its_parent() -> None:
    draft, origin = drafted(told().population, SENT)
    assert (draft.genome, draft.idea, draft.knobs) == (NEW, "lower X", genome.knobs(NEW))
    assert origin == Origin("l1", "external", "submit", parents=(ROOT.commit,), base=ROOT.commit)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (None, "submit it again"),
        (replace(SENT, lineage="moss"), "there are l1, l2"),
        (replace(SENT, genome="X = (\n"), "does not parse (line 1"),
        (replace(SENT, parent="d" * 40), "start from the tip"),
        (replace(SENT, parent=""), "start from the tip"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(sent: Submission | None, says: str) -> None:
    assert says in refused(told().population, sent)


def test_a_lineage_that_was_pruned_takes_no_more() -> None:
    story = told()
    story.tell(Pruned("l1", "fell behind"))
    assert "there are l2" in refused(story.population, SENT)


def test_what_a_mind_proposed_before_is_refused_by_its_number() -> None:
    story = told()
    made = candidate(2, "l2", (ROOT.commit,))
    draft, _ = drafted(story.population, SENT)
    story.tell(Proposed(replace(made, genome_hash=draft.genome_hash, idea="the same")))
    assert refused(story.population, SENT) == "candidate 2 is the same: the same"


def test_what_was_submitted_before_gets_its_number_again_however_it_is_laid_out() -> None:
    story = told()
    number = propose(story, SENT)
    again = replace(SENT, lineage="l2", genome=NEW.replace("X = 2.5", "X=2.50") + "# the same\n")
    assert submitted(story.population, again) == Receipt(number)


def test_a_parent_whose_trial_had_no_score_is_none() -> None:
    story = told()
    number = story.propose("l1")
    story.trial(Crashed("ValueError"))
    assert "no score" in refused(story.population, replace(SENT, parent=story.commit(number)))


def test_an_old_parent_that_was_measured_will_do() -> None:
    story = told()
    number = story.propose("l1")
    story.trial(1.5)
    _, origin = drafted(story.population, replace(SENT, parent=story.commit(number)))
    assert origin.base == story.commit(number) != story.tip("l1")


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_submitted_gets_the_gpu_first_and_in_the_order_it_came(policy: PolicyName) -> None:
    story = told(policy)
    story.thinks()
    first = propose(story, replace(SENT, lineage="l2"))
    second = propose(story, replace(SENT, genome=NEW + "print()\n"))
    for number in (first, second):
        turn = story.settled()
        assert isinstance(turn, Assigned) and turn.candidate == number
        story.finish(turn.trial, sigmas=-10)


@given(st.text(st.characters(exclude_categories=[])))
def test_an_idea_is_one_printable_line(idea: str) -> None:
    draft, _ = drafted(told().population, replace(SENT, idea=idea))
    assert draft.idea.isprintable() and 0 < len(draft.idea) <= 300


@given(histories(), st.text(), st.data())
def test_whatever_is_submitted_to_any_run_is_answered(
    entries: list[Entry], text: str, data: st.DataObject
) -> None:
    population = replay(entries)
    parent = data.draw(st.sampled_from([*population.commits, text]))
    lineage = data.draw(st.sampled_from(["l1", "l2", text]))
    came = submitted(population, Submission(lineage, text, text, parent))
    if not isinstance(came, Receipt):
        assert came[1].base in population.scores
        assert came[1].lineage in {line.name for line in population.living}


# --- from a worktree ---------------------------------------------------------------------------------------


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """A worktree of a lineage of a run that has ended, with a change in it."""
    task = make_task(tmp_path / "task")
    searched(make_run(tmp_path, task, trials=3))
    git(task, "worktree", "add", "-q", "--detach", str(tmp_path / "mine"), "lineages/run0/birch")
    (tmp_path / "mine" / "train.py").write_text(NEW)
    return tmp_path / "mine"


def run_of(worktree: Path) -> RunFolder:
    return RunFolder(worktree.parent / "run0")


def test_the_genome_of_the_worktree_one_is_in_is_sent(worktree: Path) -> None:
    below = worktree / "below"
    below.mkdir()
    folder = run_of(worktree)
    sent = found(folder, load(folder), below, "birch", "lower X")
    head = git(worktree, "rev-parse", "HEAD").strip()
    assert sent == Submission("birch", "lower X", NEW, head)
    assert head == replay(read(folder.journal)).lineages["birch"].tip


def test_what_a_shell_hands_over_is_made_text(worktree: Path) -> None:
    folder = run_of(worktree)
    sent = found(folder, load(folder), worktree, "birch\udcff", "lower \x1b[31mX\udcff\n\0now")
    assert (sent.lineage, sent.idea) == ("birch", "lower X now")
    assert Inbox(folder.path).send(sent)


@pytest.mark.parametrize("content", [b"\xff", b"x" * 2_000_000, None])
def test_a_genome_that_cannot_be_read_is_bad_use(worktree: Path, content: bytes | None) -> None:
    folder, file = run_of(worktree), worktree / "train.py"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(BadInput, match=r"train\.py"):
        found(folder, load(folder), worktree, "birch", "lower X")


def test_outside_any_worktree_it_is_said_how_to_make_one(worktree: Path) -> None:
    folder = run_of(worktree)
    with pytest.raises(BadInput, match="git worktree add"):
        found(folder, load(folder), worktree.parent, "birch", "lower X")


def test_without_a_scheduler_the_submission_is_taken_back(worktree: Path) -> None:
    folder = run_of(worktree)
    token = Inbox(folder.path).send(SENT)
    with pytest.raises(BadInput, match="no scheduler is running run0: go on with --resume run0"):
        received(folder, token)
    assert Inbox(folder.path).waiting() == []


def test_a_receipt_is_read_even_if_the_scheduler_ended_since(worktree: Path) -> None:
    folder = run_of(worktree)
    inbox = Inbox(folder.path)
    token = inbox.send(SENT)
    inbox.answer(token, Receipt(4))
    assert received(folder, token) == Receipt(4)


def test_who_waits_is_told_of_the_first_trial_and_of_none_that_will_not_come(worktree: Path) -> None:
    folder = run_of(worktree)
    population = replay(read(folder.journal))
    trial = judged(folder, 1)
    assert trial is not None and (trial.number, trial.verdict) == (1, "advance")
    waits = [number for number in population.candidates if number not in population.tried]
    assert waits and judged(folder, waits[0]) is None  # for the scheduler has ended


def test_what_is_submitted_is_a_commit_that_git_shows(worktree: Path) -> None:
    folder = run_of(worktree)
    save(folder, resumed(load(folder), 4, None))
    sent = found(folder, load(folder), worktree, "birch", 'say "\x1b]0;no\x07" \0 and -- more')
    token = Inbox(folder.path).send(sent)
    population = searched(folder).population
    receipt = Inbox(folder.path).receipt(token)
    assert receipt is not None and receipt.candidate is not None
    made = population.candidates[receipt.candidate]
    task = worktree.parent / "task"
    assert git(task, "show", f"{made.commit}:train.py") == NEW
    assert git(task, "log", "-1", "--format=%P", made.commit).strip() == sent.parent
    assert git(task, "rev-parse", "refs/lineages/run0/trials/0004").strip() == made.commit
