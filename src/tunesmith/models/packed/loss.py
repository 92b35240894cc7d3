"""Loss of a packed batch, computed in chunks so that a [T, vocabulary] tensor of logits never exists.

Chunk sizes are set here: `MAX_LOGITS_PER_CHUNK` on CPU, `MAX_LOGITS_PER_CHUNK_CUDA` on CUDA, never below
`MIN_TOKENS_PER_CHUNK` tokens.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear_cross_entropy
from torch.utils.checkpoint import checkpoint

from tunesmith.models.packed.forward import hidden_states, unwrap_peft
from tunesmith.models.packed.lean_loss import lean_loss
from tunesmith.models.packed.logits import has_plain_head, head_logits
from tunesmith.models.packed.pack import PackedBatch

MAX_LOGITS_PER_CHUNK = 2**23
"""Logits per chunk on any device but CUDA: 32 MB in fp32."""

MAX_LOGITS_PER_CHUNK_CUDA = 2**27
"""Logits per chunk on CUDA: 512 MB in fp32."""

MIN_TOKENS_PER_CHUNK = 64
"""Smaller chunks would make the matrix product with the head slow, however large the vocabulary."""


def summed_loss(model: nn.Module, batch: PackedBatch, *, label_smoothing: float = 0.0) -> torch.Tensor:
    """Weighted sum of cross-entropy (nats) over the trained tokens of a batch; 0 with a gradient if there are none.

    Three ways to the same number, by what the head allows:

    1. A plain head, not on CUDA: `lean_loss` takes the gradients while a chunk of logits exists.
    2. A plain head on CUDA in fp32 without smoothing: PyTorch's fused linear cross-entropy for pairs of weight 1.
    3. Everything else: chunk by chunk, logits recomputed in the backward pass.
    """
    hidden = hidden_states(model, batch, read_only=True)  # (T, hidden)
    if batch.hidden_index.numel() == 0:
        return hidden.sum() * 0.0
    causal = unwrap_peft(model)
    read = hidden.index_select(0, batch.hidden_index)  # (S, hidden)
    if has_plain_head(causal) and not read.is_cuda:
        return lean_loss(
            read,
            causal.get_output_embeddings().weight,
            batch.labels,
            weights=batch.weights,
            smoothing=label_smoothing,
            tokens_per_chunk=_tokens_per_chunk(causal),
        )
    # PyTorch's fused loss sums in the precision of its input; bf16, with three digits, is too coarse for a sum.
    can_fuse = read.dtype == torch.float32 and has_plain_head(causal) and not label_smoothing
    fused = batch.unit_weights if can_fuse and torch.is_grad_enabled() else 0
    total = torch.zeros((), device=read.device)
    if fused:
        total = total + linear_cross_entropy(
            read[:fused],
            causal.get_output_embeddings().weight,
            batch.labels[:fused],
            reduction="sum",
            options=nn.LinearCrossEntropyOptions(),
        )
    chunk = _tokens_per_chunk(causal)
    for start in range(fused, len(read), chunk):
        rows = slice(start, min(start + chunk, len(read)))
        total = total + _chunk_loss(causal, read[rows], batch.labels[rows], batch.weights[rows], label_smoothing)
    return total


def token_logprobs(model: nn.Module, batch: PackedBatch) -> torch.Tensor:
    """Natural-log probabilities [R] of the trained tokens in the order of the rows; no gradient."""
    with torch.no_grad():
        read = hidden_states(model, batch, read_only=True).index_select(0, batch.hidden_index)  # (S, hidden)
        chunk = _tokens_per_chunk(unwrap_peft(model))
        logprobs = [
            -cross_entropy(head_logits(unwrap_peft(model), rows), labels, reduction="none")
            for rows, labels in zip(read.split(chunk), batch.labels.split(chunk), strict=True)
        ]
    return torch.cat(logprobs)[batch.inverse]  # (S,) to (R,)


def _tokens_per_chunk(causal: Any) -> int:
    weight = causal.get_output_embeddings().weight  # (vocabulary, hidden)
    max_logits = MAX_LOGITS_PER_CHUNK_CUDA if weight.is_cuda else MAX_LOGITS_PER_CHUNK
    return max(MIN_TOKENS_PER_CHUNK, max_logits // int(weight.shape[0]))


def _chunk_loss(
    causal: Any, hidden: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """Loss of one chunk, hidden [rows, hidden]. The logits are freed and recomputed in the backward pass."""

    def loss(rows: torch.Tensor) -> torch.Tensor:
        losses = cross_entropy(head_logits(causal, rows), labels, reduction="none", label_smoothing=smoothing)
        return (losses * weights).sum()

    if not torch.is_grad_enabled():
        return loss(hidden)
    return checkpoint(loss, hidden, use_reentrant=False)  # type: ignore[no-any-return]
