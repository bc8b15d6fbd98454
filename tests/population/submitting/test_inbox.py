"""The inbox of a run: what is sent arrives once, whole and in order, whoever dies meanwhile."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from population.backend import Train
from population.journal import read
from population.policy import POLICIES, PolicyName
from population.records import Report
from population.state import replay
from population.submitting.inbox import Inbox
from population.submitting.receiving import Receipt, Submission
from tests.population.folders import in_memory
from tests.population.searches import TRAIN, Shelved, training, valley
from trainer.outcome import Progress
from trainer.trial import Order

SENT = Submission("amber", "lower X", TRAIN.replace("3.0", "2.0"), "c0")


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def test_nothing_waits_and_nothing_is_made_before_something_is_sent(inbox: Inbox) -> None:
    assert inbox.waiting() == []
    assert not inbox.folder.exists()


def test_what_is_sent_waits_until_it_is_answered_and_its_receipt_stays(inbox: Inbox) -> None:
    token = inbox.send(SENT)
    assert inbox.receipt(token) is None
    assert inbox.waiting() == inbox.waiting() == [(token, SENT)]
    inbox.answer(token, Receipt(7))
    assert inbox.waiting() == []
    assert inbox.receipt(token) == Inbox(inbox.folder.parent).receipt(token) == Receipt(7)


def test_what_was_sent_first_is_read_first(inbox: Inbox) -> None:
    tokens = [inbox.send(SENT) for _ in range(9)]
    for age, token in enumerate(tokens):
        os.utime(inbox.folder / f"{token}.json", ns=(age, age))
    assert [token for token, _ in inbox.waiting()] == tokens


def test_what_appears_is_whole_and_what_is_taken_back_meanwhile_is_not_missed(inbox: Inbox) -> None:
    large = Submission("amber", "a large one", "x = 1\n" * 200_000, "c0")

    def sends() -> None:
        for count in range(60):
            token = inbox.send(large)
            assert inbox.withdraw(token), count

    with ThreadPoolExecutor() as pool:
        sending = pool.submit(sends)
        while not sending.done():
            assert {sent for _, sent in inbox.waiting()} <= {large}
        sending.result()
    assert not list(inbox.folder.iterdir())


DEEP = b'{"x": ' + b"[" * 100_000
ODD = [
    b"",
    b"{",
    b"\xff",
    b'{"lineage": "\xff"}',
    b'{"lineage": "amber"}',
    b'{"idea": "\\ud800"}',
    DEEP,
    b"[1, 2]",
]


@pytest.mark.parametrize("content", ODD, ids=lambda content: repr(content[:12]))
def test_garbage_is_handed_on_as_such(inbox: Inbox, content: bytes) -> None:
    inbox.folder.mkdir()
    (inbox.folder / "odd.json").write_bytes(content)
    assert inbox.waiting() == [("odd", None)]


@given(st.binary())
def test_any_bytes_are_a_submission_or_none(content: bytes) -> None:
    with in_memory() as home:
        inbox = Inbox(home)
        inbox.folder.mkdir()
        (inbox.folder / "odd.json").write_bytes(content)
        assert inbox.waiting() == [("odd", None)]


def test_a_huge_file_is_not_read(inbox: Inbox) -> None:
    inbox.send(SENT)
    token = inbox.send(Submission("amber", "x" * 5_000_000, TRAIN, "c0"))
    assert dict(inbox.waiting())[token] is None


def test_what_is_no_file_is_no_submission(inbox: Inbox) -> None:
    inbox.folder.mkdir()
    os.mkfifo(inbox.folder / "pipe.json")
    (inbox.folder / "folder.json").mkdir()
    (inbox.folder / "gone.json").symlink_to("nowhere")
    assert inbox.waiting() == []


def test_a_submission_can_be_taken_back_until_it_is_answered(inbox: Inbox) -> None:
    one, two = inbox.send(SENT), inbox.send(SENT)
    inbox.answer(two, Receipt(1))
    assert inbox.withdraw(one) and not inbox.withdraw(one) and not inbox.withdraw(two)
    assert inbox.waiting() == []


# --- in a search -------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for kill -9."""


class Mortal(Inbox):
    """Its scheduler is killed between the record of a candidate and the receipt."""

    def answer(self, token: str, receipt: Receipt) -> None:
        raise Killed


def sends(run: Shelved, lineage: str, tokens: list[str]) -> Train:
    """A training during which somebody submits a candidate, once the baseline has its score."""

    def train(order: Order, watch: Callable[[Progress], None]) -> Report:
        if order.trial == 2:
            parent = replay(read(run.folder.journal)).baseline or ""
            tokens.append(Inbox(run.folder.path).send(replace(SENT, lineage=lineage, parent=parent)))
        return training(valley)(order, watch)

    return train


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_submitted_is_tried_next_and_the_receipt_names_it(tmp_path: Path, policy: PolicyName) -> None:
    run, tokens = Shelved(tmp_path, policy, trials=4), list[str]()
    population = run.searched(sends(run, "birch", tokens))
    receipt = Inbox(run.folder.path).receipt(tokens[0])
    assert receipt == Receipt(population.trials[3].candidate.number)
    tried = population.trials[3].candidate
    assert (tried.operator, tried.lineage, tried.proposer) == ("external", "birch", "submit")
    assert run.shelf.text(tried.commit) == SENT.genome


def test_a_scheduler_killed_before_the_receipt_finds_the_same_candidate_again(tmp_path: Path) -> None:
    run, tokens = Shelved(tmp_path, trials=5), list[str]()
    with pytest.raises(Killed), run.begun(sends(run, "birch", tokens)) as search:
        search.inbox = Mortal(run.folder.path)
        search.run()
    recorded = [made for made in search.population.candidates.values() if made.operator == "external"]
    assert Inbox(run.folder.path).receipt(tokens[0]) is None
    population = run.searched()
    assert Inbox(run.folder.path).receipt(tokens[0]) == Receipt(recorded[0].number)
    external = [made for made in population.candidates.values() if made.operator == "external"]
    assert external == recorded and recorded[0].number in population.tried


def test_a_refusal_is_told_and_leaves_the_run_alone(tmp_path: Path) -> None:
    run, tokens = Shelved(tmp_path, trials=4), list[str]()
    population = run.searched(sends(run, "nobody", tokens))
    receipt = Inbox(run.folder.path).receipt(tokens[0])
    assert receipt is not None and receipt.candidate is None and "amber, birch, cedar" in receipt.refused
    assert population.finished == 4
    assert not [made for made in population.candidates.values() if made.operator == "external"]
