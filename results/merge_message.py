"""What is said in the merge commit that brings a run's best into a branch: the claim, and the way to it."""

from population.evidence import best
from population.reckoning.claim import claim
from population.state import Population
from results.expected import expected
from results.tree_text import combined
from results.writing import change, clean, count, interval

_WIDTH = 1.96  # standard deviations to either side, that 95% of a normal distribution lie within


def merge_message(population: Population) -> str:
    """A subject line and a body. There must be a best that is not the baseline."""
    found, claimed = best(population), claim(population)
    assert found is not None and claimed is not None, "there is nothing to promote"
    run, metric = clean(population.run.run, 80), clean(population.run.metric, 30)
    gain = interval(claimed.gain, _WIDTH * claimed.sd)
    first, last = (interval(end.mean, _WIDTH * end.sd) for end in (claimed.baseline, claimed.best))
    fresh = f"{count(claimed.fresh, 'trial')} made after it was chosen"
    rests = fresh if claimed.fresh else "the trials that chose it, after shrinkage"
    lines = [
        f"Merge the best of run {run}: {metric} lower by {gain}",
        "",
        f"Baseline {first}, best {last} (95%), by {rests}.",
        f"{count(population.finished, 'trial')} of {population.run.budget_s:g} s on {population.run.device}.",
        "",
        "The way there:",
    ]
    for trial in population.path(found)[1:]:
        told = expected(population, trial.candidate)
        effect = f"{change(told.change)} ({told.p_better:.0%}) " if told is not None else ""
        idea = combined(population, trial) + clean(trial.candidate.idea, 160)
        lines.append(f"- trial {trial.number}: {effect}{idea}")
    return "\n".join(lines)
