"""Attention over the KV cache, registered once with transformers for every decoder family.

Like `tunesmith_packed`, the name is not in transformers' mask registry. The model therefore builds no mask and passes the
keyword argument `kv_cache` through to every layer.

Dimensions: B rows, Q grid columns, T flat tokens, H query heads, K key heads, D head size (see `kv_cache`).
"""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from tunesmith.errors import Misuse
from tunesmith.models.backends.kv_cache import KVCache

CACHED_ATTENTION = "tunesmith_cached"

MAX_SPLIT_QUERIES = 16
"""Queries per key head and row up to which a shared prefix is a segment of its own. With more, one kernel over all keys is
faster."""

MAX_SCORES_IN_MEMORY = 2**24
"""Attention scores held at once by `_segmented_attention`: 64 MB in fp32."""


def cached_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    kv_cache: KVCache | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from query [1, H, T, D] to the cache extended by key and value [1, K, T, D], K dividing H.

    Returns [1, T, H, D]. `options` may hold `sliding_window` (tokens that a query sees, itself included) and `softcap`. Raises
    Misuse for what cannot be computed exactly: dropout, attention sinks, a mask of the model's own, layers without an index.
    """
    layer = getattr(module, "layer_idx", None)
    if kv_cache is None or attention_mask is not None or layer is None:
        what = "cached attention needs its own cache, no mask and a layer index"
        raise Misuse(what, hint="call the model through backends.engine.Engine.forward")
    if dropout or options.get("s_aux") is not None:
        raise Misuse("its attention has dropout or sinks")
    window, cap = options.get("sliding_window"), options.get("softcap")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    kv_cache.windows[layer] = window
    keys, values = kv_cache.write(layer, key[0], value[0])  # (B, K, used, D)
    grid = kv_cache.to_grid(query[0])  # (B, H, Q, D)
    if cap is None and kv_cache.is_causal(window):
        grouped = grid.shape[1] != keys.shape[1]
        output = scaled_dot_product_attention(grid, keys, values, is_causal=True, scale=scale, enable_gqa=grouped)
        return kv_cache.to_flat(output)[None], None
    # The query heads that share a key head become more queries of that head, so that no kernel has to repeat keys for them.
    groups = grid.shape[1] // keys.shape[1]
    folded = grid.unflatten(1, (-1, groups)).flatten(2, 3)  # (B, K, groups x Q, D)
    visible = kv_cache.visibility_mask(window, groups)
    if cap is None and (layer not in kv_cache.prefix or folded.shape[2] > MAX_SPLIT_QUERIES):
        if layer in kv_cache.prefix:
            pairs = zip(kv_cache.prefix[layer], (keys, values), strict=True)
            keys, values = (_concatenate_prefix(prefix, own) for prefix, own in pairs)
        output = scaled_dot_product_attention(folded, keys, values, attn_mask=visible, scale=scale)
    else:
        segments = [KeyValueSegment(keys, values, visible[..., kv_cache.prefix_length :])]
        if layer in kv_cache.prefix:
            mask = visible[..., : kv_cache.prefix_length] if kv_cache.is_window_binding(window) else None
            segments = [KeyValueSegment(*kv_cache.prefix[layer], mask), *segments]
        output = _segmented_attention(folded * scale, segments, cap)
    return kv_cache.to_flat(output.unflatten(2, (groups, -1)).flatten(1, 2))[None], None


def _concatenate_prefix(prefix: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """[K, P, D] before each of [B, K, u, D]."""
    return torch.cat([prefix.expand(len(own), -1, -1, -1), own], dim=2)


class KeyValueSegment(NamedTuple):
    """Keys and values [B, K, u, D], or [K, u, D] when all rows share them. `visible` is [B or 1, 1, Q, u]; None shows all."""

    keys: torch.Tensor
    values: torch.Tensor
    visible: torch.Tensor | None

    def of_rows(self, rows: slice) -> "KeyValueSegment":
        """The part of the segment that these rows need."""
        visible = self.visible
        if visible is not None and len(visible) > 1:
            visible = visible[rows]
        if self.keys.dim() == 3:
            return self._replace(visible=visible)
        return KeyValueSegment(self.keys[rows], self.values[rows], visible)


def _segmented_attention(query: torch.Tensor, segments: list[KeyValueSegment], cap: float | None) -> torch.Tensor:
    """Softmax attention of query [B, K, Q, D], already scaled, over the keys of all segments; the same shape.

    The softmax runs in fp32 (fp64 for a model in fp64), a few rows at a time. With a `cap`, scores pass through
    `cap * tanh(scores / cap)` before the mask (Gemma 2, arXiv 2408.00118).
    """
    width = sum(segment.keys.shape[-2] for segment in segments)
    step = max(1, MAX_SCORES_IN_MEMORY // (query.shape[1] * query.shape[2] * width))
    slices = [slice(start, start + step) for start in range(0, len(query), step)]
    outputs = [
        _attend_to_segments(query[rows], [segment.of_rows(rows) for segment in segments], cap) for rows in slices
    ]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _attend_to_segments(query: torch.Tensor, segments: list[KeyValueSegment], cap: float | None) -> torch.Tensor:
    """One softmax over several segments: their exponentials share one maximum and one sum."""
    scores = [_scores(query, segment, cap) for segment in segments]
    peak = torch.stack([part.amax(dim=-1, keepdim=True) for part in scores]).amax(dim=0)
    weights = [part.sub_(peak).exp_() for part in scores]
    total = torch.stack([part.sum(dim=-1, keepdim=True) for part in weights]).sum(dim=0)
    pairs = zip(weights, segments, strict=True)
    outputs = [_shared_matmul(weight.to(query.dtype), segment.values) for weight, segment in pairs]
    return torch.stack(outputs).sum(dim=0) / total.to(query.dtype)


def _scores(query: torch.Tensor, segment: KeyValueSegment, cap: float | None) -> torch.Tensor:
    """[B, K, Q, u] in fp32 or better, minus infinity where a key is not visible."""
    scores = _shared_matmul(query, segment.keys.transpose(-1, -2))
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    return scores if segment.visible is None else scores.masked_fill_(~segment.visible, -torch.inf)


def _shared_matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left [B, K, Q, m] times right [B, K, m, n]; a right of [K, m, n] is shared by all rows and multiplied once per head."""
    if right.dim() == 4:
        return left @ right
    flat = left.transpose(0, 1).flatten(1, 2) @ right  # (K, B x Q, n)
    return flat.view(len(flat), len(left), -1, flat.shape[2]).transpose(0, 1)


AttentionInterface.register(CACHED_ATTENTION, cached_attention)
