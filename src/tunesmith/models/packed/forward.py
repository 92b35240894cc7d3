"""Hidden states of a pass, and the loss over its supervised tokens without a [T, V] tensor."""

from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.nn.functional import cross_entropy, linear_cross_entropy
from torch.utils.checkpoint import checkpoint

from tunesmith.errors import Misuse
from tunesmith.models.packed import attention, varlen
from tunesmith.models.packed.last_layer_pruning import is_last_layer_pruned
from tunesmith.models.packed.lean_loss import lean_loss
from tunesmith.models.packed.logits import has_plain_head, head_logits
from tunesmith.models.packed.pack import PackedBatch

MAX_LOGITS_PER_CHUNK = 2**23
"""How many logits are made at once off CUDA, 32 MB of them, unless that is under `LEAST_ROWS` supervised tokens."""

MAX_LOGITS_PER_CHUNK_CUDA = 2**27

MIN_TOKENS_PER_CHUNK = 64


def hidden_states(
    model: nn.Module, batch: PackedBatch, windows: dict[int, int | None] | None = None, *, read_only: bool = False
) -> torch.Tensor:
    """[T, D] last hidden states. `model` is a causal LM of transformers, or PEFT's wrapper around one.

    `windows` is filled with the sliding window that each layer asks of its attention. With `read_only` the states that the
    pass does not read mean nothing: where the model's last layer can be cut down, they are not computed.
    """
    causal = unwrap_peft(model)
    if causal.config._attn_implementation != attention.ATTENTION_NAME:
        causal.set_attn_implementation(attention.ATTENTION_NAME)
    if causal.base_model is causal:
        raise Misuse(f"the trunk of a {causal.config.model_type} model cannot be reached apart from its head")
    on_cuda = batch.ids.is_cuda
    ending = batch.ending if read_only and is_last_layer_pruned(causal) else None
    output = causal.base_model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        segments=batch.segments,
        arrangement=batch.arrangement,
        bounds=varlen.segment_bounds(batch.segments, batch.ids.device) if on_cuda else None,
        use_cache=False,
        **({} if windows is None else {"windows": windows}),
        **({} if ending is None else {"ending": ending}),
    )
    return output.last_hidden_state[0]  # type: ignore[no-any-return]


def unwrap_peft(model: nn.Module) -> Any:
    """The transformers causal LM inside PEFT's wrapper; its LoRA layers stay in place."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def summed_loss(model: nn.Module, batch: PackedBatch, *, label_smoothing: float = 0.0) -> torch.Tensor:
    """Weighted sum of cross-entropy (nats) over the supervised tokens of a pass; 0 with a gradient when there are none.

    Under a bare head gradients are taken as the slices of logits are made; on CUDA pairs of weight 1 go through torch's fused
    linear cross-entropy. Under any other head slices of logits are computed again in the backward pass.
    """
    hidden = hidden_states(model, batch, read_only=True)
    if batch.index.numel() == 0:
        return hidden.sum() * 0.0
    causal = unwrap_peft(model)
    chosen = hidden.index_select(0, batch.index)
    if has_plain_head(causal) and not chosen.is_cuda:
        return lean_loss(
            chosen,
            causal.get_output_embeddings().weight,
            batch.labels,
            weights=batch.weights,
            smoothing=label_smoothing,
            rows=_tokens_per_chunk(causal),
        )
    # torch's fused loss sums in the precision of its input, and bf16 has three digits.
    exact = chosen.dtype == torch.float32 and has_plain_head(causal) and not label_smoothing
    fused = batch.plain if exact and torch.is_grad_enabled() else 0
    total = torch.zeros((), device=chosen.device)
    if fused:
        total = total + linear_cross_entropy(
            chosen[:fused],
            causal.get_output_embeddings().weight,
            batch.labels[:fused],
            reduction="sum",
            options=nn.LinearCrossEntropyOptions(),
        )
    chunk = _tokens_per_chunk(causal)
    for start in range(fused, len(chosen), chunk):
        one = slice(start, min(start + chunk, len(chosen)))
        total = total + _chunk_loss(causal, chosen[one], batch.labels[one], batch.weights[one], label_smoothing)
    return total


def _tokens_per_chunk(causal: Any) -> int:
    weight = causal.get_output_embeddings().weight
    return max(
        MIN_TOKENS_PER_CHUNK,
        (MAX_LOGITS_PER_CHUNK_CUDA if weight.is_cuda else MAX_LOGITS_PER_CHUNK) // int(weight.shape[0]),
    )


def _chunk_loss(
    causal: Any, hidden: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, smoothing: float
) -> torch.Tensor:
    def loss(part: torch.Tensor) -> torch.Tensor:
        each = cross_entropy(head_logits(causal, part), labels, reduction="none", label_smoothing=smoothing)
        return (each * weights).sum()

    if not torch.is_grad_enabled():
        return loss(hidden)
    return checkpoint(loss, hidden, use_reentrant=False)  # type: ignore[no-any-return]


def token_logprobs(model: nn.Module, batch: PackedBatch) -> torch.Tensor:
    """[R] natural-log probabilities of the supervised tokens in the order of the rows; no gradient."""
    with torch.no_grad():
        chosen = hidden_states(model, batch, read_only=True).index_select(0, batch.index)
        chunk = _tokens_per_chunk(unwrap_peft(model))
        parts = [
            -cross_entropy(head_logits(unwrap_peft(model), part), labels, reduction="none")
            for part, labels in zip(chosen.split(chunk), batch.labels.split(chunk), strict=True)
        ]
    return torch.cat(parts)[batch.inverse]
