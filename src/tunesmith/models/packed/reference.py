"""The reference: what a packed batch must compute, one row at a time, in plain PyTorch and transformers.

Read this file first. Everything else in this package is a faster way to the same loss and the same gradients: no padding, no
token computed twice, no full tensor of logits. Tests compare the two; nothing here uses the fast path.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tunesmith.chat.encode import EncodedSequence


def row_losses(model: Any, row: EncodedSequence, *, label_smoothing: float = 0.0) -> torch.Tensor:
    """Cross-entropy (nats) of each trained token of one row, [S], by the model's own eager attention.

    `model` is a causal language model of transformers. Its attention implementation is set to eager and stays so.
    """
    model.set_attn_implementation("eager")
    ids = torch.tensor([row.ids], device=model.device)  # (1, tokens)
    logits = model(input_ids=ids, use_cache=False).logits[0]  # (tokens, vocabulary)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    trained = torch.tensor(trained_positions(row), dtype=torch.int64, device=model.device)
    # The hidden state at position p - 1 predicts the token at position p.
    return cross_entropy(logits[trained - 1], ids[0, trained], reduction="none", label_smoothing=label_smoothing)


def trained_positions(row: EncodedSequence) -> list[int]:
    """Positions of the trained tokens. The first token of a row is never trained: nothing precedes it."""
    return [position for start, end in row.spans for position in range(max(start, 1), end)]


def trained_weights(row: EncodedSequence) -> list[float]:
    """The weight in the loss of each trained token, in the order of `trained_positions`."""
    span_weights = row.weights or (1.0,) * len(row.spans)
    return [
        weight for weight, (start, end) in zip(span_weights, row.spans, strict=True) for _ in range(max(start, 1), end)
    ]


def reference_loss(
    model: Any, rows: Sequence[EncodedSequence], *, label_smoothing: float = 0.0
) -> tuple[float, dict[str, torch.Tensor]]:
    """The weighted sum of `row_losses` over all rows, and the gradient of every parameter that has one, by name.

    `summed_loss` over `pack_rows(rows)` and its backward pass must give the same, up to rounding. Gradients that the model
    held before are discarded.
    """
    model.zero_grad()
    total = 0.0
    for row in rows:
        losses = row_losses(model, row, label_smoothing=label_smoothing)
        loss = (losses * torch.tensor(trained_weights(row), device=model.device)).sum()
        loss.backward()  # gradients of all rows are added up
        total += loss.item()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()  # sets .grad to None; the tensors above stay
    return total, gradients
