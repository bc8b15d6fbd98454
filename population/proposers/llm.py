"""Asks a language model for the next candidate.

What the model is told is prompt.py's, how its answer is read is answers.py's; here they meet. An answer that
comes to no genome goes back as `Unusable`, for `Mind` to ask again with the reason. So does an empty, cut off
or refused one: to ask anew with another seed is the best retry there is. A model that cannot be reached is a
`NoIdea` that failed, and the lineage steps aside.
"""

from typing import Final

from msgspec.structs import replace

from population.hearing.answers import Form, read, schema, settable
from population.proposals import NoIdea, Reply, Request, Unusable
from population.proposers.models import Failed, Model, Said
from population.records import Thought
from population.telling.prompt import messages, temperature

BUDGET_TOKENS: Final = 24_000  # of the prompt: a whole genome and a record of a hundred trials
_MOST_TOKENS: Final[dict[Form, int]] = {"edits": 16_000, "knobs": 4_000}  # of a reply, its thinking included
_SEEDS: Final = 2**31  # seeds that every provider takes


class Llm:
    """Proposes what a model says. Never raises for anything that a model or its server does."""

    def __init__(
        self,
        model: Model,
        form: Form = "edits",
        budget_tokens: int = BUDGET_TOKENS,
        most_tokens: int | None = None,
    ) -> None:
        """`budget_tokens` of a prompt, about; `most_tokens` of a reply, None for what suits the form."""
        self.model, self.form, self.budget_tokens = model, form, budget_tokens
        self.most_tokens = most_tokens or _MOST_TOKENS[form]

    def propose(self, request: Request) -> Reply:
        try:
            if self.form == "knobs" and not settable(request.genome):
                return NoIdea("the genome has no knobs to set")
            said, spent = self._asked(request, 1), Thought()
            if isinstance(said, Failed) and said.too_long:
                spent = said.thought
                said = self._asked(request, 2)
        except SyntaxError as error:
            return NoIdea(f"the parent is no Python: {error.msg}")
        return replace(self._reply(request, said), thought=spent + said.thought)

    def _asked(self, request: Request, divisor: int) -> Said | Failed:
        """Ask with all limits divided, for a model that takes in less than most. Raises SyntaxError."""
        return self.model.ask(
            messages(request, self.form, self.budget_tokens // divisor),
            temperature(request.drought),
            request.seed % _SEEDS,
            schema(request.genome) if self.form == "knobs" else None,
            self.most_tokens // divisor,
        )

    def _reply(self, request: Request, said: Said | Failed) -> Reply:
        if isinstance(said, Failed):
            return NoIdea(said.reason, failed=True)
        if said.finish == "content_filter":
            return Unusable("the model refused to answer", said.text)
        if said.finish == "length":
            tokens = said.thought.completion_tokens
            return Unusable(f"the answer was cut off after {tokens} tokens: answer in fewer words", said.text)
        if not said.text.strip():
            return Unusable("the answer was empty", said.text)
        return read(said.text, request.genome, self.form)
