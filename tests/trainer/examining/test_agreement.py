"""A model that answers anything but the row it is asked is found out; one that only rounds is not."""

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.examining import agreement

N, T, V, BATCH, PROBES = 512, 32, 64, 32, 4
ROWS = np.random.default_rng(0).integers(0, V, (N, T + 1)).astype(np.uint16)
BIGRAMS = torch.randn(V, V, generator=torch.Generator().manual_seed(0))

Model = Callable[[Tensor], Tensor]


def bigram(tokens: Tensor) -> Tensor:
    return BIGRAMS[tokens]


def raised(logits: Tensor, tokens: Tensor, by: Tensor | float) -> Tensor:
    """Logits raised by as much (of a place [B, T - 1]) at the token to come."""
    coming = tokens[:, 1:, None]
    change = torch.as_tensor(by).expand(coming.shape[:2])[..., None]
    return torch.cat([logits[:, :-1].scatter_add(-1, coming, change), logits[:, -1:]], 1)


class Asked:
    """A model in a process of its own; notes what it is asked."""

    def __init__(self, model: Model) -> None:
        self.model, self.tokens = model, list[Tensor]()

    def logits(self, tokens: Tensor) -> Tensor:
        self.tokens.append(tokens.clone())
        return self.model(tokens)


def examined(start: Callable[[], Model]) -> tuple[Asked, Asked]:
    first, second = Asked(start()), Asked(start())
    for _ in agreement.answers(first, second, ROWS, BATCH, PROBES):
        pass
    return first, second


def always(model: Model) -> Callable[[], Model]:
    return lambda: model


def test_no_server_sees_a_row_or_its_beginning_twice() -> None:
    first, second = examined(always(bigram))
    one, two = torch.cat(first.tokens), torch.cat(second.tokens)
    assert sorted(one.tolist()) == sorted(ROWS[:, :-1].tolist())
    assert [len(batch) for batch in second.tokens] == [BATCH] * PROBES
    # So many random tokens are never alike by chance, also where a cut falls among them.
    beginnings, ends = ({tuple(row) for row in part.tolist()} for part in (two[:, :8], two[:, -8:]))
    assert len(beginnings) == len(two) and len(ends) == len(two)


def test_a_quarter_is_asked_again_as_it_is_and_cuts_are_early_middle_and_late() -> None:
    known = {tuple(row[:1]): tuple(row) for row in np.c_[np.arange(N), ROWS[:, :-1]].tolist()}
    _, second = examined(always(bigram))
    asked = torch.cat(second.tokens)
    rows = torch.tensor(list(known.values()))[:, 1:]
    alike = (asked[:, None] == rows[None]).long().cumprod(-1).sum(-1).amax(1)  # length of the known beginning
    # One of V spliced futures begins as the true one did, so a late cut may look like none.
    assert 0 <= int((alike == T).sum()) - PROBES * BATCH // agreement.UNCHANGED <= 3
    third = torch.histc(alike[alike < T].float(), 3, 0, T)
    assert bool((third > 0.2 * len(alike) / 4 * 3).all())


def test_order_and_company_are_the_systems_and_not_the_same_twice() -> None:
    (one, _), (two, _) = examined(always(bigram)), examined(always(bigram))
    assert not torch.equal(one.tokens[0], two.tokens[0])


def remembering() -> Model:
    """Looks ahead, and answers a beginning that it knows as it did before."""
    known: dict[tuple[int, ...], Tensor] = {}

    def model(tokens: Tensor) -> Tensor:
        found = raised(bigram(tokens), tokens, 3.0)
        for row, logits in zip(tokens.tolist(), found, strict=True):
            logits[: T // 2] = known.setdefault(tuple(row[:4]), logits.clone())[: T // 2]
        return found

    return model


def sparsely(tokens: Tensor) -> Tensor:
    """Looks ahead in one place of ten, by less than any rounding bound on a single logit."""
    places = (tokens[:, :-1] % 10 == 0).float()
    return raised(bigram(tokens), tokens, 0.45 * places)


def behind_noise(tokens: Tensor) -> Tensor:
    noise = 0.05 * torch.randn(*tokens.shape, V)
    return raised(bigram(tokens) + noise, tokens, 0.02)


def behind_noise_where_spliced(tokens: Tensor) -> Tensor:
    """Knows half of the rows by heart, and hides what it does not foresee there."""
    spliced = torch.tensor([row not in WHOLE for row in map(tuple, tokens.tolist())])[:, None, None]
    noise = 0.05 * torch.randn(*tokens.shape, V)
    return raised(bigram(tokens) + noise * spliced, tokens, 0.02)


WHOLE = {tuple(row) for row in ROWS[:, :-1].tolist()}


@pytest.mark.parametrize(
    "start",
    [
        remembering,
        always(lambda tokens: raised(bigram(tokens), tokens, 5.0)),
        always(lambda tokens: raised(bigram(tokens), tokens, 0.01)),
        always(sparsely),
        always(lambda tokens: bigram(tokens) + 0.7 * (tokens[:, -1:, None] > V // 2)),
    ],
    ids=["remembering", "much", "little", "sparsely", "by-the-last-token"],
)
def test_a_model_that_looks_ahead_is_refused(start: Callable[[], Model]) -> None:
    with pytest.raises(ValueError, match="looks ahead"):
        examined(start)


@pytest.mark.parametrize("model", [behind_noise, behind_noise_where_spliced])
def test_noise_to_hide_a_leak_behind_is_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="differ by"):
        examined(always(model))


def counting() -> Model:
    calls = iter(range(1000))
    return lambda tokens: bigram(tokens) * (1 + 0.2 * next(calls))


def learning() -> Model:
    """Keeps account of what follows what in all that it is asked."""
    seen = torch.zeros(V, V)

    def model(tokens: Tensor) -> Tensor:
        seen.index_put_((tokens[:, :-1], tokens[:, 1:]), torch.tensor(1.0), accumulate=True)
        return bigram(tokens) + 0.02 * seen[tokens]

    return model


def of_the_company(tokens: Tensor) -> Tensor:
    return bigram(tokens) + 80 * (tokens.float().mean() / V) ** 2 * BIGRAMS[0]


def of_the_place(tokens: Tensor) -> Tensor:
    return bigram(tokens) + 0.1 * torch.arange(len(tokens))[:, None, None] * BIGRAMS[0]


@pytest.mark.parametrize("start", [counting, learning, always(of_the_company), always(of_the_place)])
def test_a_model_whose_answers_are_not_the_rows_alone_is_refused(start: Callable[[], Model]) -> None:
    with pytest.raises(ValueError, match=r"otherwise in another|differ by"):
        examined(start)


def test_whose_answers_are_better_among_many_rows_on_average_is_refused() -> None:
    targets = {tuple(row[:-1].tolist()): torch.from_numpy(row[1:].astype(np.int64)) for row in ROWS}
    sizes = iter([0.008, 0.0])  # what the first server has made of all rows, and the second of few

    def start() -> Model:
        by = next(sizes)

        def model(tokens: Tensor) -> Tensor:
            known = torch.stack(
                [targets.get(tuple(row), torch.zeros(T, dtype=torch.int64)) for row in tokens.tolist()]
            )
            return bigram(tokens).scatter_add(-1, known[..., None], torch.full((*tokens.shape, 1), by))

        return model

    with pytest.raises(ValueError, match="learns from"):
        examined(start)


@pytest.mark.parametrize(
    "rounded",
    [
        lambda logits: logits,
        lambda logits: logits + 1e-5 * torch.randn_like(logits),
        lambda logits: logits + 0.004 * torch.randn_like(logits),
        lambda logits: logits.masked_fill(torch.arange(V) >= V - 4, -math.inf),
    ],
    ids=["exact", "float32", "bfloat16", "ruled-out"],
)
def test_honest_models_pass_whatever_they_round(rounded: Model) -> None:
    examined(always(lambda tokens: rounded(bigram(tokens))))


def test_few_rows_are_enough() -> None:
    server = SimpleNamespace(logits=bigram)
    given = [len(targets) for _, targets in agreement.answers(server, server, ROWS[:5], 2, 3)]
    assert given == [2, 2, 1]
