"""Who is asked for an idea, and for what: something new, another look at a near miss, or a merge.

A lineage without a fresh idea is asked for one when its last was judged. Where ideas are had ahead it is
asked while that is tried, for the first time while the baseline is, and slow minds for one idea more; a tip
that moves makes them stale.

A lineage whose last answers came to nothing is left alone for a while, and for longer each time. One whose
mind cannot be reached steps aside in the same way, and only when nobody's can be does the optimiser stand in.
Minds that read prose get errands besides new ideas: a change that could not be put on the tip by structure,
and after a drought a near miss whose surroundings changed.
"""

from random import Random
from typing import Final

from msgspec import Struct

from population.deciding.assigning import DRY, fresh, parent, unaffordable
from population.deciding.horizon import asked, trial_s
from population.deciding.rules import Rules
from population.evidence import weigh
from population.names import reads
from population.proposals import Task
from population.records import Candidate
from population.state import Lineage, Population

_PATIENT: Final = 16  # most trials that a lineage is left alone for
_DROUGHT: Final = 6  # trials without an advance after which near misses are looked at again
_REVISITS: Final = 3  # then one request in so many is about one
_SCARCE: Final = 2.0  # ideas for each trial, of which some will be stale or repeat others
_NEAR: Final = 0.25  # probability of being better that makes a near miss


class Errand(Struct, frozen=True):
    """What a mind is asked for, and the candidate that it is about, if it is about one."""

    task: Task = "mutate"
    about: int | None = None


def wanting(population: Population, rules: Rules) -> list[str]:
    """Names of the lineages that should be asked for a candidate now, fewest trials first."""
    begins = population.baseline_score is None
    if population.ended is not None or (begins and not (rules.speculates and population.running)):
        return []
    enough = _enough(population, rules)
    idle = [
        line
        for line in asked(population)
        if len(fresh(population, line)) < enough
        and (rules.speculates or not _busy(population, line))
        and (_willing(population, line) or stands_in(population, rules, line))
        and not unaffordable(population, rules, line)
    ]
    return [line.name for line in sorted(idle, key=lambda line: len(line.trials))]


def _enough(population: Population, rules: Rules) -> int:
    """Fresh ideas that a lineage should have: two where the minds have hardly more of them than are tried."""
    minds = [line for line in asked(population) if line.spent.wall_s > 0]
    had_a_trial = sum(line.requests / line.spent.wall_s for line in minds) * trial_s(population)
    return 2 if rules.speculates and 0 < had_a_trial <= _SCARCE * rules.gpus else 1


def stands_in(population: Population, rules: Rules, lineage: Lineage) -> bool:
    """Whether the optimiser answers for the lineage: no mind has an idea, and its own is to be left alone."""
    lost = all(
        line.failures or line.declined >= DRY or unaffordable(population, rules, line)
        for line in asked(population)
    )
    return lost and _helped(population, lineage) and not _willing(population, lineage)


def errand(population: Population, lineage: Lineage, seed: int) -> Errand:
    """What to ask the lineage's mind for. The same arguments, the same errand."""
    if not reads(lineage.proposer):
        return Errand()
    lost = [number for number in lineage.clashed if _worth(population, number)]
    if lost:
        return Errand("merge", lost[-1])
    if population.drought >= _DROUGHT and Random(f"{seed} errand").randrange(_REVISITS) == 0:
        near = _near_misses(population, parent(population, lineage))
        if near:
            return Errand("revisit", near[0].number)
    return Errand()


def _worth(population: Population, candidate: int) -> bool:
    """Whether a change that did not fit was never tried, or is more likely a gain than not."""
    effect = weigh(population).effects.get(candidate)
    return candidate not in population.tried or (effect is not None and effect.p_better > 0.5)


def _near_misses(population: Population, stand: str) -> list[Candidate]:
    """Changes that nearly were a gain, not from `stand` nor in it, and were not looked at since."""
    effects, within = weigh(population).effects, population.history(population.commits[stand])
    near = [
        (effects[number].p_better, candidate)
        for number, candidate in population.candidates.items()
        if number in effects
        and number not in population.revisited
        and candidate.is_single
        and candidate.base != stand
        and number not in within
        and effects[number].p_better >= _NEAR
    ]
    return [candidate for _, candidate in sorted(near, key=lambda pair: (-pair[0], pair[1].number))]


def _willing(population: Population, lineage: Lineage) -> bool:
    """Whether the lineage's own mind may be asked. Where nobody would stand in for it, a failure is no rest.

    Or else a run might wait for trials that nobody has an idea for.
    """
    asked_out = lineage.failures and _helped(population, lineage)
    return (lineage.declined < DRY and not asked_out) or _rested(population, lineage)


def _helped(population: Population, lineage: Lineage) -> bool:
    """Whether the optimiser may stand in: in runs whose minds read, as long as it has ideas."""
    return lineage.stood_in < DRY and any(reads(line.proposer) for line in population.living)


def _rested(population: Population, lineage: Lineage) -> bool:
    """Whether it was left alone for long enough: 1, 2, 4, ... trials after answers that came to nothing."""
    times = lineage.failures or lineage.declined - DRY + 1
    return population.finished - lineage.declined_at >= min(1 << max(times - 1, 0), _PATIENT)


def _busy(population: Population, lineage: Lineage) -> bool:
    """Whether the lineage's own trial is under way or not judged yet; its next idea depends on it."""
    waiting = (population.trials[number] for number in (*population.unjudged, *population.running))
    return any(trial.candidate.lineage == lineage.name for trial in waiting)
