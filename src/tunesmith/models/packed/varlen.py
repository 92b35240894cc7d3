"""Attention of all segments in one call of torch's variable-length FlashAttention: CUDA, bf16 or fp16, no flash-attn package.

Queries stay flat; keys and values are laid out path by path, so a segment has more keys than queries, and causal attention
is aligned at the end: a suffix sees its whole prefix. `check.check_packable` tries that on the device before a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.attention.varlen import varlen_attn

from tunesmith.models.packed.prefix_trie import Segment
from tunesmith.models.packed.sdpa import AttentionOptions

MAX_HEAD_DIMENSION = 256


@dataclass(frozen=True)
class SegmentBounds:
    """Where segments begin in the flat queries and in the laid-out keys: int32 [N + 1] on the device, and their maxima.

    `gather` [M] int64 is the place of every key, None when no row shares anything. Made once per pass on the CPU, so that no
    layer waits for the device.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    most_queries: int
    most_keys: int
    gather: torch.Tensor | None


def segment_bounds(segments: Sequence[Segment], device: torch.device) -> SegmentBounds:
    """The bounds of a pass."""
    queries = [segment.length for segment in segments]
    keys = [segment.depth + segment.length for segment in segments]
    places = [place for segment in segments for start, end in segment.path for place in range(start, end)]
    shared = any(segment.runs for segment in segments)
    return SegmentBounds(
        _cumulative_lengths(queries, device),
        _cumulative_lengths(keys, device),
        max(queries),
        max(keys),
        torch.tensor(places, dtype=torch.int64, device=device) if shared else None,
    )


def _cumulative_lengths(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).to(device=device, dtype=torch.int32)


def is_supported(query: torch.Tensor, rule: AttentionOptions) -> bool:
    """Whether the kernel can do it: CUDA, half precision, a head of at most 256, no soft cap."""
    half = query.dtype in (torch.bfloat16, torch.float16)
    return query.is_cuda and half and query.shape[-1] <= MAX_HEAD_DIMENSION and rule.softcap is None


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, bounds: SegmentBounds, rule: AttentionOptions
) -> torch.Tensor:
    """query [1, H, T, D], key and value [1, K, T, D]; returns [1, H, T, D]. K and V are never repeated per query head."""
    flat_query, flat_key, flat_value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    if bounds.gather is not None:
        flat_key, flat_value = (tensor.index_select(0, bounds.gather) for tensor in (flat_key, flat_value))
    left = -1 if rule.window is None else rule.window - 1
    out = varlen_attn(
        flat_query,
        flat_key,
        flat_value,
        bounds.queries,
        bounds.keys,
        bounds.most_queries,
        bounds.most_keys,
        scale=rule.scale,
        window_size=(left, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return out.transpose(0, 1)[None]  # type: ignore[union-attr]
