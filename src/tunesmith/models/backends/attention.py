"""The attention that reads the cache of keys and values. Registered once with transformers, for every decoder family.

As for `tunesmith_packed`, the name is not in transformers' mask registry, so the model passes mask None and hands `seen`
through to every layer.
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
"""Queries per key head and row up to which a stem is worked out by hand; with more, one kernel over all keys is faster."""

MAX_SCORES_IN_MEMORY = 2**24
"""Scores that are held at once where attention is worked out by hand: 64 MB."""


def cached_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    seen: KVCache | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, H, T, D], key and value [1, K, T, D] with K dividing H; returns [1, T, H, D].

    `options` may hold `sliding_window` (tokens a query sees, itself included) and `softcap`. Raises Misuse for what it
    cannot do exactly: dropout, attention sinks, a mask of the model's own, layers without a number.
    """
    layer = getattr(module, "layer_idx", None)
    if seen is None or attention_mask is not None or layer is None:
        raise Misuse("cached attention needs its own cache and no mask", hint="call the model through backends.engine")
    if dropout or options.get("s_aux") is not None:
        raise Misuse("its attention has dropout or sinks")
    window, cap = options.get("sliding_window"), options.get("softcap")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    seen.windows[layer] = window
    keys, values = seen.extend(layer, key[0], value[0])
    grid = seen.grid(query[0])
    if cap is None and seen.is_causal(window):
        grouped = grid.shape[1] != keys.shape[1]
        output = scaled_dot_product_attention(grid, keys, values, is_causal=True, scale=scale, enable_gqa=grouped)
        return seen.flat(output)[None], None
    # The query heads that share a key are laid behind each other as more queries: no kernel has to repeat keys for them.
    groups = grid.shape[1] // keys.shape[1]
    folded = grid.unflatten(1, (-1, groups)).flatten(2, 3)
    visible = seen.visible(window, groups)
    if cap is None and (layer not in seen.stem or folded.shape[2] > MAX_SPLIT_QUERIES):
        if layer in seen.stem:
            keys, values = (
                _concatenate_prefix(stem, own) for stem, own in zip(seen.stem[layer], (keys, values), strict=True)
            )
        output = scaled_dot_product_attention(folded, keys, values, attn_mask=visible, scale=scale)
    else:
        parts = [KeyValueSegment(keys, values, visible[..., seen.stem_length :])]
        if layer in seen.stem:
            hidden = visible[..., : seen.stem_length] if seen.cuts(window) else None
            parts = [KeyValueSegment(*seen.stem[layer], hidden), *parts]
        output = _segmented_attention(folded * scale, parts, cap)
    return seen.flat(output.unflatten(2, (groups, -1)).flatten(1, 2))[None], None


def _concatenate_prefix(stem: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return torch.cat([stem.expand(len(own), -1, -1, -1), own], dim=2)


class KeyValueSegment(NamedTuple):
    """Keys and values [B, K, u, D], or [K, u, D] where all rows have the same; `visible` [B or 1, 1, Q, u], None: all."""

    keys: torch.Tensor
    values: torch.Tensor
    visible: torch.Tensor | None

    def of(self, rows: slice) -> "KeyValueSegment":
        """What some rows need of it."""
        visible = self.visible
        if visible is not None and len(visible) > 1:
            visible = visible[rows]
        if self.keys.dim() == 3:
            return self._replace(visible=visible)
        return KeyValueSegment(self.keys[rows], self.values[rows], visible)


def _segmented_attention(query: torch.Tensor, parts: list[KeyValueSegment], cap: float | None) -> torch.Tensor:
    """Softmax in fp32 (fp64 for a model in fp64) over the keys of all parts, a few rows at a time; with a `cap`, scores
    go through `cap * tanh(scores / cap)` before the mask (Gemma 2, arXiv 2408.00118).

    query [B, K, Q, D], scaled; returns the same shape.
    """
    wide = sum(part.keys.shape[-2] for part in parts)
    step = max(1, MAX_SCORES_IN_MEMORY // (query.shape[1] * query.shape[2] * wide))
    starts = range(0, len(query), step)
    outputs = [
        _attend_to_segments(query[at : at + step], [part.of(slice(at, at + step)) for part in parts], cap)
        for at in starts
    ]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _attend_to_segments(query: torch.Tensor, parts: list[KeyValueSegment], cap: float | None) -> torch.Tensor:
    scores = [_scores(query, part, cap) for part in parts]
    peak = torch.stack([part.amax(dim=-1, keepdim=True) for part in scores]).amax(dim=0)
    chances = [part.sub_(peak).exp_() for part in scores]
    total = torch.stack([part.sum(dim=-1, keepdim=True) for part in chances]).sum(dim=0)
    outputs = [_shared_matmul(chance.to(query.dtype), part.values) for chance, part in zip(chances, parts, strict=True)]
    return torch.stack(outputs).sum(dim=0) / total.to(query.dtype)


def _scores(query: torch.Tensor, part: KeyValueSegment, cap: float | None) -> torch.Tensor:
    scores = _shared_matmul(query, part.keys.transpose(-1, -2))
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    return scores if part.visible is None else scores.masked_fill_(~part.visible, -torch.inf)


def _shared_matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left [B, K, Q, m] times right [B, K, m, n], or times [K, m, n], which all rows share, in one product per head."""
    if right.dim() == 4:
        return left @ right
    flat = left.transpose(0, 1).flatten(1, 2) @ right
    return flat.view(len(flat), len(left), -1, flat.shape[2]).transpose(0, 1)


AttentionInterface.register(CACHED_ATTENTION, cached_attention)
