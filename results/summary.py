"""One trial in the form in which autoresearch's train.py prints its own: for agents that expect it."""

from population.state import Trial
from results.words import standing
from results.writing import clean
from trainer.outcome import cause


def summary(trial: Trial, metric: str) -> str:
    """Lines of `name: value` behind a line of dashes, then what became of it."""
    usage, lines = trial.usage, ["---"]
    if trial.score is not None:
        lines.append(f"{metric}: {trial.score:.6f}")
    if usage is not None:
        lines += [
            f"training_seconds: {usage.training_s:.1f}",
            f"total_seconds: {usage.wall_s:.1f}",
            f"peak_vram_mb: {usage.peak_memory_mb:.1f}",
            f"total_tokens_M: {usage.trained_tokens / 1e6:.1f}",
            f"num_steps: {usage.steps}",
        ]
    why = clean((trial.outcome and cause(trial.outcome)) or "", 300)
    lines += [f"trial: {trial.number}", f"status: {standing(trial)}{f', {why}' if why else ''}"]
    return "\n".join([*lines, f"verdict: {trial.verdict}, {clean(trial.judged_because, 200)}"])
