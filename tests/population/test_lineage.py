"""What an idea must pass before it may use the GPU."""

from population import genome
from population.lineage import Mind
from population.making.drafting import Draft
from population.proposals import NoIdea, Proposal, Reply, Request

TIP = "SEED = 1\nRATE = 0.5\nprint(RATE)\n"


class Says:
    """A proposer with one fixed answer."""

    def __init__(self, text: str) -> None:
        self.text = text

    def propose(self, request: Request) -> Proposal | NoIdea:
        return Proposal(self.text, "an idea")


def asked(text: str, *seen: str) -> Reply | Draft:
    hashes = frozenset(genome.normal_hash(known) for known in (TIP, *seen))
    return Mind(Says(text)).think(Request("amber", "brief", "c0", TIP, 1.0, (), hashes, 7))


def test_a_new_genome_becomes_a_draft_with_what_the_records_keep_of_it() -> None:
    draft = asked(TIP.replace("0.5", "0.25"))
    assert isinstance(draft, Draft)
    assert (draft.knobs, draft.complexity) == ({"SEED": 1, "RATE": 0.25}, 3)


def test_a_genome_that_was_proposed_before_is_turned_back_however_it_is_laid_out() -> None:
    reply = asked("SEED=1\nRATE  = 0.250  # lower\nprint( RATE )\n", TIP.replace("0.5", "0.25"))
    assert isinstance(reply, NoIdea)
    assert "before" in reply.reason


def test_a_change_of_nothing_but_the_seed_is_turned_back() -> None:
    reply = asked(TIP.replace("SEED = 1", "SEED = 2"))
    assert isinstance(reply, NoIdea)
    assert "seed" in reply.reason


def test_what_does_not_parse_is_turned_back_with_the_line() -> None:
    reply = asked("RATE = \n")
    assert isinstance(reply, NoIdea)
    assert "line 1" in reply.reason
