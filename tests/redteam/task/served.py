"""Put behind prepare.py where model servers answer: a genome's model, and the exam that asks it."""
# ruff: noqa: F821 (it is no file of its own)

BATCH, PROBES, ANSWER_S = 16, 3, 2.0


def model(answer: Callable[[Any, Any], Any]) -> Any:
    """A torch module with one table [SYMBOLS, SYMBOLS], whose forward(tokens) is `answer(table, tokens)`."""
    import torch

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(SYMBOLS, SYMBOLS)

        def forward(self, tokens: Any) -> Any:
            return answer(self.table, tokens)

    return Model()


def nats_of(heldout: list[bytes], path: Path, serve: Any) -> float:
    """The same as above, by asking two model servers."""
    import numpy as np

    from trainer.examining import agreement

    tokens = np.frombuffer(b"".join(heldout), np.uint8).reshape(-1, LENGTH).astype(np.uint16)
    shape, nats = (BATCH, LENGTH - 1, SYMBOLS), 0.0
    with serve(*shape, answer_s=ANSWER_S) as first, serve(*shape, answer_s=ANSWER_S) as second:
        for logits, targets in agreement.answers(first, second, tokens, BATCH, PROBES):
            if not logits.isfinite().all():
                raise ValueError("the model's logits are not finite")
            nats += float(agreement.surprise(logits, targets).double().sum())
    return nats
