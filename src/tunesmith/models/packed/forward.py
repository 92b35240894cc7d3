"""Hidden states of a pass, and the loss over its supervised tokens without a [T, V] tensor."""

from typing import Any

from tunesmith import process
from tunesmith.models.packed import attention
from tunesmith.models.packed.plan import Pass

process.prepare()

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy, linear_cross_entropy  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

ROWS_PER_CHUNK = 512
"""Supervised tokens per slice of logits: 512 x 8,192 x 4 bytes = 16 MB."""


def hidden_states(model: nn.Module, batch: Pass) -> torch.Tensor:
    """[T, D] last hidden states. `model` is a causal LM of transformers, or PEFT's wrapper around one."""
    causal = unwrapped(model)
    if causal.config._attn_implementation != attention.NAME:
        causal.set_attn_implementation(attention.NAME)
    output = causal.base_model(
        input_ids=batch.ids, position_ids=batch.positions, row_lengths=batch.lengths, use_cache=False
    )
    return output.last_hidden_state[0]  # type: ignore[no-any-return]


def unwrapped(model: nn.Module) -> Any:
    """The transformers causal LM inside PEFT's wrapper; its LoRA layers stay in place."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def summed_loss(model: nn.Module, batch: Pass, *, label_smoothing: float = 0.0) -> torch.Tensor:
    """Sum of cross-entropy (nats) over the supervised tokens of a pass; 0 with a gradient when there are none."""
    hidden = hidden_states(model, batch)
    head = unwrapped(model).get_output_embeddings()
    if batch.index.numel() == 0:
        return hidden.sum() * 0.0
    chosen = hidden.index_select(0, batch.index)
    if type(head) is nn.Linear and head.bias is None and not label_smoothing and torch.is_grad_enabled():
        return linear_cross_entropy(
            chosen, head.weight, batch.labels, reduction="sum", options=nn.LinearCrossEntropyOptions()
        )
    total = chosen.new_zeros((), dtype=torch.float32)
    for part, labels in zip(chosen.split(ROWS_PER_CHUNK), batch.labels.split(ROWS_PER_CHUNK), strict=True):
        total = total + _chunk_loss(head, part, labels, label_smoothing)
    return total


def _chunk_loss(head: nn.Module, hidden: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    def loss(part: torch.Tensor) -> torch.Tensor:
        return cross_entropy(head(part).float(), labels, reduction="sum", label_smoothing=smoothing)

    if not torch.is_grad_enabled():
        return loss(hidden)
    return checkpoint(loss, hidden, use_reentrant=False)  # type: ignore[no-any-return]


def token_logprobs(model: nn.Module, batch: Pass) -> torch.Tensor:
    """[S] natural-log probabilities of the supervised tokens, in order; no gradient."""
    with torch.no_grad():
        chosen = hidden_states(model, batch).index_select(0, batch.index)
        head = unwrapped(model).get_output_embeddings()
        parts = [
            -cross_entropy(head(part).float(), labels, reduction="none")
            for part, labels in zip(chosen.split(ROWS_PER_CHUNK), batch.labels.split(ROWS_PER_CHUNK), strict=True)
        ]
    return torch.cat(parts) if parts else torch.zeros(0)
