"""The attention that every decoder family of transformers is given: each row of a pass sees itself alone, causally.

Registered once. The name is not in transformers' mask registry, so the model passes mask None and hands `segments`,
`bounds` and `arrangement` through to every layer. Which kernel does the work depends on the device and the precision alone.
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
    arrangement: AttentionPlan | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, H, T, D], key and value [1, K, T, D] with K dividing H; returns [1, T, H, D].

    `options` may hold `sliding_window` (tokens a query sees, itself included) and `softcap`. Raises Misuse for what it
    cannot do exactly: attention dropout, attention sinks, a mask of the model's own.
    """
    if segments is None or attention_mask is not None:
        raise Misuse("packed attention needs segments and no mask", hint="call the model through packed.forward")
    if dropout or options.get("s_aux") is not None:
        raise Misuse("this model's attention (dropout or sinks) cannot be packed exactly")
    if (windows := options.get("windows")) is not None:
        windows[module.layer_idx] = options.get("sliding_window")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    rule = AttentionOptions(scale, options.get("sliding_window"), options.get("softcap"))
    if bounds is not None and varlen.is_supported(query, rule):
        out = varlen.attend(query, key, value, bounds=bounds, rule=rule)
    else:
        out = attend_segments(query, key, value, segments=segments, rule=rule, arrangement=arrangement)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION_NAME, packed_attention)
