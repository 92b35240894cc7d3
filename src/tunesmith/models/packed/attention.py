"""Attention over a flat sequence of rows: each row attends to itself alone, causally. Registered once with transformers.

No mask is built and no score matrix is larger than one row's. The name is not in transformers' mask registry, so the
model passes mask None and hands our `row_lengths` through to every layer.
"""

from typing import Any

from tunesmith import process
from tunesmith.errors import Misuse

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402
from transformers import AttentionInterface  # noqa: E402

NAME = "tunesmith_packed"


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    row_lengths: tuple[int, ...] | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, H, T, D], key and value [1, K, T, D] with K dividing H; returns [1, T, H, D].

    Raises Misuse for what it cannot do exactly: dropout, soft cap, attention sinks, a sliding window shorter than a row.
    """
    if row_lengths is None or attention_mask is not None:
        raise Misuse("packed attention needs row_lengths and no mask", hint="call the model through packed.forward")
    if dropout or options.get("softcap") or options.get("s_aux") is not None:
        raise Misuse("this model's attention (dropout, soft cap or sinks) cannot be packed exactly")
    window = options.get("sliding_window")
    if window is not None and max(row_lengths) > window:
        raise Misuse(f"a row is longer than the model's sliding window of {window} tokens")
    grouped = query.shape[1] != key.shape[1]
    pieces = zip(
        query.split(row_lengths, dim=2), key.split(row_lengths, dim=2), value.split(row_lengths, dim=2), strict=True
    )
    outputs = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped) for q, k, v in pieces
    ]
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, packed_attention)
