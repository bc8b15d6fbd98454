"""What a model is told when it is asked for a candidate: the job, the brief, the file, and what was tried.

The job (job.py) is the system message, the same for all requests of a run, and what changes least comes
first in the other, so that a server may reuse what it has read. What the user wrote (the brief) is told
plainly. What models and programs wrote is quoted (quoting.py): whatever it says, it is data.
"""

import difflib
from math import ceil
from random import Random
from typing import Any, Final, Literal, assert_never

from msgspec import Struct

from population.hearing.answers import Form, settable
from population.hearing.quoting import cut, fenced, line, middle_out, whole
from population.hearing.settings import described
from population.proposals import Request, Subject, Turned
from population.telling.job import DROUGHT, MEND, QUESTIONS, REMINDERS, job
from population.telling.memory import LEGEND, Section, record, sections, untouched

__all__ = ["Message", "messages", "record", "temperature", "tokens"]


class Message(Struct, frozen=True):
    role: Literal["system", "user", "assistant"]
    content: str


_CHARACTERS: Final = 3.5  # of a token, in code and English; tokenizers differ by a fifth
_TURNED: Final = 3  # earlier answers that are shown again
_REPLY: Final = 6_000  # characters of one of them
_DIFF: Final = 12_000  # characters of a change that is shown
_NOTES: Final = 60  # tokens that saying what was left out may take
_NEW: Final = 12  # untouched constants that are named
_LONG: Final = 10  # trials without an advance from which a drought is told
# What each kind of memory is promised of the room for all, in percent; what one leaves goes to the first.
_SHARES: Final = {
    "The way here": 20, "Waiting": 5, "Wins elsewhere": 20, "Near misses": 25, "Crashes and refusals": 15,
    "Dead ends": 15,
}  # fmt: skip


def tokens(text: str) -> int:
    """About how many tokens a text has, for any model: exact counts need the model's own tokenizer."""
    return ceil(len(text) / _CHARACTERS)


def temperature(drought: int) -> float:
    """How freely to sample after so many trials without an advance: 0.7 up to 10, then rising to 1.2 at 40.

    Ten trials without a win are ordinary, since one in ten wins once the easy gains are taken. Later, asking
    alike brings alike answers; a rising temperature is reported to have ended a losing streak of 38. Much
    beyond 1.2 the code that models write no longer holds together.
    """
    return 0.7 + 0.5 * min(1.0, max(0.0, (drought - 10) / 30))


def messages(request: Request, form: Form, budget_tokens: int) -> tuple[Message, ...]:
    """What to say to a model, in about `budget_tokens`.

    The brief and the code are told whole, whatever the budget, except that a model that sets knobs is told of
    these alone where the code does not fit. What was tried gets the room that is left, the least telling cut
    first.
    """
    system = Message("system", job(form, line(request.metric, 40), request.budget_s))
    turned = tuple(message for turn in request.turned[-_TURNED:] for message in _again(turn))
    opening, closing = _opening(request), _closing(request, form)
    left = budget_tokens - sum(map(tokens, (system.content, *opening, closing)))
    left -= sum(tokens(message.content) for message in turned)
    code = _code(request, form, left)
    remembered = _remembered(request, left - sum(map(tokens, code)))
    return (system, Message("user", "\n\n".join([*opening, *code, *remembered, closing])), *turned)


# --- the case ----------------------------------------------------------------------------------------------


def _opening(request: Request) -> list[str]:
    return [f"# The brief\n\n{request.brief.strip()}"] if request.brief.strip() else []


def _code(request: Request, form: Form, room: int) -> list[str]:
    """The file, its knobs where they are what is asked for, and the change that the task is about."""
    metric = line(request.metric, 40)
    score = "It has no score yet." if request.score is None else f"It scores {request.score:.5g} {metric}."
    if request.sigma:
        score += f" Two trainings of one file differ by about {2**0.5 * request.sigma:.2g}."
    code = f"# train.py as it stands\n\n{score}\n\n{fenced(request.genome, 'python')}"
    if form == "edits":
        parts = [code]
    else:
        short = f"# train.py as it stands\n\n{score} Its text has no room here; these are its knobs."
        able = [described(constant) for constant in _settable(request.genome).values()]
        parts = [code if tokens(code) <= room else short, "# The knobs\n\n" + fenced("\n".join(able))]
    return parts + ([_about(request, request.subject)] if request.subject else [])


def _settable(genome: str) -> dict[str, Any]:
    try:
        return settable(genome)
    except SyntaxError:
        return {}


def _about(request: Request, subject: Subject) -> str:
    """The change that a `revisit` or a `merge` is about."""
    name = (
        f"the change of trial {subject.trial}" if subject.trial is not None else "a change that had no trial"
    )
    idea = fenced(f"idea: {line(subject.idea, 300)}\nremark: {line(subject.remark, 300)}")
    change = f"What it did to the file it was made from:\n\n{_diff(subject.before, subject.after)}"
    match request.task:
        case "merge":
            ours = _diff(subject.before, request.genome)
            ours = f"What train.py as it stands did to that same file:\n\n{ours}"
            return f"# To be merged: {name}\n\n{idea}\n\n{change}\n\n{ours}"
        case "revisit":
            return f"# To be looked at again: {name}\n\n{idea}\n\n{change}"
        case "mutate":
            return f"# See also {name}\n\n{idea}\n\n{change}"
        case _:
            assert_never(request.task)


def _diff(before: str, after: str) -> str:
    old, new = (whole(side).split("\n") for side in (before, after))
    changed = list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]
    return fenced(middle_out("\n".join(changed) or "(nothing)", _DIFF), "diff")


def _remembered(request: Request, room: int) -> list[str]:
    """As much of what was tried as fits into `room` tokens."""
    found = sections(request)
    if not found:
        return ["# What was tried\n\nNothing yet: this is the first proposal."]
    legend = LEGEND.format(metric=line(request.metric, 40))
    counts = _counts(found, room - tokens(legend) - _NOTES)
    chosen = [section.text(count) for section, count in zip(found, counts, strict=True) if count]
    missing = [
        f"{section.title.lower()} ({len(section.items)})"
        for section, count in zip(found, counts, strict=True)
        if not count
    ]
    without = [f"Left out for want of room: {', '.join(missing)}."] if missing else []
    return ["# What was tried", *([legend] if chosen else []), *chosen, *without]


def _counts(found: tuple[Section, ...], room: int) -> list[int]:
    """How many items of each section to tell: within its share first, then in what others leave, in order."""
    counts, used = [], []
    for section in found:
        count, cost = _fitting(section, 0, room * _SHARES[section.title] // 100)
        counts.append(count)
        used.append(cost)
    for number, section in enumerate(found):
        others = sum(used) - used[number]
        counts[number], used[number] = _fitting(section, counts[number], room - others)
    return counts


def _fitting(section: Section, count: int, room: int) -> tuple[int, int]:
    """How many items from the first on fit into `room` tokens, at least `count`, and the tokens they take."""
    used = tokens(section.text(count)) if count else tokens(section.text(0))
    while count < len(section.items):
        cost = tokens(section.items[count] + "\n")
        if used + cost > room:
            break
        count, used = count + 1, used + cost
    return count, used if count else 0


# --- the question ------------------------------------------------------------------------------------------


def _closing(request: Request, form: Form) -> str:
    question = QUESTIONS[request.task if request.subject else "mutate"]
    return "\n\n".join(["# Your turn", question, *_nudges(request), REMINDERS[form]])


def _nudges(request: Request) -> list[str]:
    """What may lead away from what was tried: constants nobody moved, and a word about a drought."""
    if request.task != "mutate":
        return []
    told: list[str] = []
    if request.history and (new := untouched(request, _settable(request.genome))):
        Random(request.seed).shuffle(new)  # lineages that ask at one time should not all take the first
        told.append(f"Nobody has moved these constants yet: {cut(', '.join(new[:_NEW]), 600)}.")
    if request.drought >= _LONG:
        told.append(DROUGHT.format(trials=request.drought))
    return told


def _again(turn: Turned) -> tuple[Message, Message]:
    """An earlier answer, and why it could not be tried."""
    said = middle_out(whole(turn.said), _REPLY).strip() or "(no answer)"
    reason = fenced(line(turn.reason, 1_000))
    return Message("assistant", said), Message("user", f"This could not be tried:\n\n{reason}\n\n{MEND}")
