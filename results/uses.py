"""What the time of the GPUs went to, in words: the account of a run as the page and terminals tell it."""

from population.reckoning.accounting import Account
from results.writing import count


def uses(account: Account) -> dict[str, float]:
    """Seconds by what they are called, in the order in which they are told."""
    return {
        "training": account.training_s,
        "stopped early": account.stopped_s,
        "exam": account.exam_s,
        "start-up": account.startup_s,
        "idle": account.idle_s,
    }


def uses_in_words(account: Account) -> str:
    """`GPU time: training 81%, exam 12%, start-up 3%, idle 4%`; nothing of a run too young to tell."""
    if not account.all_s:
        return ""
    whose = "GPU time" if account.gpus == 1 else f"time of {count(account.gpus, 'GPU')}"
    told = (f"{name} {account.share(spent):.0%}" for name, spent in uses(account).items() if spent)
    return f"{whose}: {', '.join(told)}"
