"""Attention of all segments in one kernel call: PyTorch's variable-length FlashAttention, on CUDA in bf16 or fp16.

Queries stay flat. Keys and values are gathered path by path, so a segment with a shared prefix has more keys than queries; the
kernel aligns its causal mask at the end, so each query sees the whole prefix. The flash-attn package is not needed.
`exactness.check_packable` checks the kernel on the device before a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.attention.varlen import varlen_attn

from tunesmith.models.packed.prefix_trie import Segment, path_indices
from tunesmith.models.packed.sdpa import AttentionOptions

MAX_HEAD_DIMENSION = 256


@dataclass(frozen=True)
class SegmentBounds:
    """Where the N segments begin among queries and keys. Built once per batch, so that no layer waits for the device."""

    query_starts: torch.Tensor
    """[N + 1] int32 on the device: start of each segment among the flat queries, and their number."""

    key_starts: torch.Tensor
    """[N + 1] int32 on the device: the same among the gathered keys."""

    max_queries: int
    max_keys: int

    key_indices: torch.Tensor | None
    """[M] int64: the flat index of each gathered key; None if no row shares a prefix."""


def segment_bounds(segments: Sequence[Segment], device: torch.device) -> SegmentBounds:
    """The bounds of a batch's segments, on a device."""
    queries = [segment.length for segment in segments]
    keys = [segment.path_length for segment in segments]
    key_indices = [index for segment in segments for index in path_indices(segment.path)]
    has_prefix = any(segment.prefix for segment in segments)
    return SegmentBounds(
        _cumulative_lengths(queries, device),
        _cumulative_lengths(keys, device),
        max(queries),
        max(keys),
        torch.tensor(key_indices, dtype=torch.int64, device=device) if has_prefix else None,
    )


def _cumulative_lengths(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).to(device=device, dtype=torch.int32)


def is_supported(query: torch.Tensor, options: AttentionOptions) -> bool:
    """Whether the kernel computes this: CUDA, half precision, head dimension up to 256, no soft cap."""
    is_half = query.dtype in (torch.bfloat16, torch.float16)
    return query.is_cuda and is_half and query.shape[-1] <= MAX_HEAD_DIMENSION and options.softcap is None


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, bounds: SegmentBounds, options: AttentionOptions
) -> torch.Tensor:
    """query [1, H, T, D], key and value [1, K, T, D] with K dividing H; returns [1, H, T, D]."""
    flat_query, flat_key, flat_value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # (T, heads, D)
    if bounds.key_indices is not None:
        flat_key, flat_value = (tensor.index_select(0, bounds.key_indices) for tensor in (flat_key, flat_value))
    left = -1 if options.window is None else options.window - 1
    out = varlen_attn(
        flat_query,
        flat_key,
        flat_value,
        bounds.query_starts,
        bounds.key_starts,
        bounds.max_queries,
        bounds.max_keys,
        scale=options.scale,
        window_size=(left, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return out.transpose(0, 1)[None]  # type: ignore[union-attr]
