"""The attention that every decoder family of transformers is given: each row of a pass sees itself alone, causally.

Registered once. The name is not in transformers' mask registry, so the model passes mask None and hands `segments`,
`bounds` and `arrangement` through to every layer. Which kernel does the work depends on the device and the precision alone.
"""

from typing import Any

from tunesmith import process
from tunesmith.errors import Misuse
from tunesmith.models.packed import varlen
from tunesmith.models.packed.layout import Segment
from tunesmith.models.packed.segments import Rule, attend
from tunesmith.models.packed.stacks import Arrangement

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402
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
    segments: tuple[Segment, ...] | None = None,
    bounds: varlen.Bounds | None = None,
    arrangement: Arrangement | None = None,
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
    rule = Rule(scale, options.get("sliding_window"), options.get("softcap"))
    if bounds is not None and varlen.fits(query, rule):
        out = varlen.attend(query, key, value, bounds=bounds, rule=rule)
    else:
        out = attend(query, key, value, segments=segments, rule=rule, arrangement=arrangement)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, packed_attention)
