"""The attention function registered with transformers for packed batches: each row attends to itself alone, causally.

The name is not in transformers' mask registry, so a model passes no mask, and hands the keyword arguments `segments`, `bounds`
and `attention_plan` of its forward through to every layer. Device and precision alone decide which kernel runs.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from tunesmith.errors import Misuse
from tunesmith.models.packed import varlen
from tunesmith.models.packed.padded_batches import AttentionPlan
from tunesmith.models.packed.prefix_trie import Segment
from tunesmith.models.packed.sdpa import AttentionOptions, attend_segments

ATTENTION_NAME = "tunesmith_packed"


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    segments: tuple[Segment, ...] | None = None,
    bounds: varlen.SegmentBounds | None = None,
    attention_plan: AttentionPlan | None = None,
    **layer_options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer: query [1, H, T, D], key and value [1, K, T, D] with K dividing H; returns [1, T, H, D].

    Read from `layer_options`: `sliding_window` (tokens a query sees, itself included), `softcap`, and `windows`, a dictionary
    that records the sliding window under the layer's number. Raises Misuse for what is not exact: attention dropout,
    attention sinks, a mask of the model's own.
    """
    if segments is None or attention_mask is not None:
        raise Misuse("packed attention needs segments and no mask", hint="call the model through packed.hidden_states")
    if dropout or layer_options.get("s_aux") is not None:
        raise Misuse("attention dropout and attention sinks are not supported in packed batches")
    window = layer_options.get("sliding_window")
    if (windows := layer_options.get("windows")) is not None:
        windows[module.layer_idx] = window
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    options = AttentionOptions(scale, window, layer_options.get("softcap"))
    if bounds is not None and varlen.is_supported(query, options):
        out = varlen.attend(query, key, value, bounds=bounds, options=options)
    else:
        out = attend_segments(query, key, value, segments=segments, options=options, plan=attention_plan)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION_NAME, packed_attention)
