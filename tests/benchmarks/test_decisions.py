"""How long decisions take, on a run short enough to be played here. No time is compared with a clock."""

from pathlib import Path

import pytest

from benchmarks.decisions import LAST, SESSIONS, Timed, measure, play
from population.journal import read
from population.state import Population, replay

TRIALS = 90


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return play(tmp_path_factory.mktemp("decisions"), TRIALS)


@pytest.fixture(scope="module")
def population(journal: Path) -> Population:
    return replay(read(journal))


@pytest.fixture(scope="module")
def timed(journal: Path) -> Timed:
    return measure(journal, TRIALS)


def test_the_run_is_played_as_long_and_in_as_many_sessions_as_asked(population: Population) -> None:
    assert population.finished == TRIALS
    assert population.session == SESSIONS - 1


def test_the_run_has_what_makes_decisions_hard(population: Population) -> None:
    operators = {trial.operator for trial in population.trials.values()}
    assert {"mutate", "replicate"} < operators  # and something that was put together
    assert len(population.bases) > 10 and len(population.lineages) >= 8


def test_every_verdict_and_every_assignment_is_timed(timed: Timed) -> None:
    assert len(timed.waits) == LAST
    assert len(timed.decisions) >= 2 * LAST
    assert sum(timed.waits) == pytest.approx(sum(timed.decisions))
    assert min(timed.decisions) > 0 and timed.replay > 0


def test_a_run_is_measured_as_it_was_at_any_length(journal: Path, timed: Timed) -> None:
    before = measure(journal, TRIALS // 2)
    assert before.trials == TRIALS // 2
    assert before.bases < timed.bases
