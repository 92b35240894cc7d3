"""Attention with PyTorch's scaled_dot_product_attention: any device, any precision, exact.

Short segments are attended in padded batches (see padded_batches.py), the others one by one. A segment's queries are the last
tokens of its row, so the causal mask is aligned at the end. To keep masks small:

- A row without a shared prefix needs no mask.
- Behind a short shared prefix, the prefix's queries are computed too and discarded: cheaper than a mask.
- Otherwise, and under a sliding window or a soft cap, queries go block by block against the keys that they can see. No mask
  and no matrix of scores is larger than one block of queries by its keys.

Shapes: H query heads, K key heads with K dividing H, T tokens of the batch, D head dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.nn.functional import embedding, scaled_dot_product_attention

from tunesmith.models.packed.padded_batches import AttentionBatch, AttentionPlan
from tunesmith.models.packed.prefix_attention import attend_shared_prefixes
from tunesmith.models.packed.prefix_trie import IndexRange, Segment

QUERIES_PER_BLOCK = 1024
"""Queries per call where a mask is needed."""


@dataclass(frozen=True)
class AttentionOptions:
    """The model's attention: factor of the scores, sliding window in tokens (None: all), soft cap of the scores (None: none)."""

    scale: float
    window: int | None = None
    softcap: float | None = None


def attend_segments(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    segments: Sequence[Segment],
    options: AttentionOptions,
    plan: AttentionPlan | None = None,
) -> torch.Tensor:
    """Attend each segment to its row. query [1, H, T, D], key and value [1, K, T, D]; returns [1, H, T, D].

    Outputs are zero at indices in no segment. `plan` is ignored if a sliding window or soft cap would affect what it batches.
    """
    is_limited = options.softcap is not None or (
        options.window is not None and plan is not None and plan.max_keys > options.window
    )
    has_prefixes = plan is not None and bool(plan.shared_prefixes)
    if plan is not None and has_prefixes and not is_limited and query.shape[-1] == value.shape[-1]:
        return attend_shared_prefixes(query, key, value, plan=plan, scale=options.scale)
    if plan is None or not plan.batches or has_prefixes or is_limited:
        numbers = range(len(segments))
        outputs = _attend_each(query, key, value, segments=segments, options=options, numbers=numbers)
        return _concatenate_outputs(outputs, segments, query.shape[2])
    flat = [tensor[0].transpose(0, 1).flatten(1) for tensor in (query, key, value)]  # each (T, heads * D)
    heads = (query.shape[1], key.shape[1])
    rows = [_attend_batch(batch, flat, heads, options) for batch in plan.batches]
    for output in _attend_each(query, key, value, segments=segments, options=options, numbers=plan.single):
        rows.append(output[0].transpose(0, 1).flatten(1))  # (tokens, H * D)
    if plan.has_gaps:
        rows.append(rows[0].new_zeros(1, rows[0].shape[1]))
    # `embedding` selects rows; its backward pass adds gradients of repeated indices in a fixed order on a CPU.
    ordered = embedding(plan.output_order, torch.cat(rows))  # (T, H * D)
    return ordered.view(ordered.shape[0], heads[0], -1).transpose(0, 1)[None]


def _attend_batch(
    batch: AttentionBatch, flat: Sequence[torch.Tensor], heads: tuple[int, int], options: AttentionOptions
) -> torch.Tensor:
    """[rows * queries, H * D] of one padded batch; `flat` holds queries, keys and values as [T, heads * D] each."""
    query_indices = batch.key_indices if batch.query_indices is None else batch.query_indices
    of_queries = (query_indices, batch.queries_per_row, heads[0])
    of_keys = (batch.key_indices, batch.length, heads[1])
    query, key, value = (
        embedding(indices, tensor).view(batch.rows, slots, count, -1).transpose(1, 2)  # (rows, heads, slots, D)
        for tensor, (indices, slots, count) in zip(flat, (of_queries, of_keys, of_keys), strict=True)
    )
    out = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=batch.mask,
        is_causal=batch.mask is None,
        scale=options.scale,
        enable_gqa=heads[0] != heads[1],
    )
    return out.transpose(1, 2).reshape(batch.rows * batch.queries_per_row, -1)


def _concatenate_outputs(outputs: Sequence[torch.Tensor], segments: Sequence[Segment], total: int) -> torch.Tensor:
    """[1, H, total, D]: outputs of all segments at their indices, zeros between them."""
    parts, index = [], 0
    for segment, output in zip(segments, outputs, strict=True):
        if segment.start > index:
            parts.append(output.new_zeros(*output.shape[:2], segment.start - index, output.shape[3]))
        parts.append(output)
        index = segment.end
    if index < total:
        first = outputs[0]
        parts.append(first.new_zeros(*first.shape[:2], total - index, first.shape[3]))
    return torch.cat(parts, dim=2)


def _attend_each(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    segments: Sequence[Segment],
    options: AttentionOptions,
    numbers: Sequence[int],
) -> list[torch.Tensor]:
    """[1, H, n, D] of each of the segments with these numbers, n being its own tokens."""
    if not numbers:
        return []
    queries, keys, values = (_split_segments(tensor, segments) for tensor in (query, key, value))
    with_prefix = [number for number in numbers if segments[number].prefix]
    whole_queries = {
        number
        for number in with_prefix
        if options.window is None and options.softcap is None and _is_cheaper_with_prefix(segments[number])
    }
    path_keys = _gather_paths(key, segments, with_prefix)
    path_values = _gather_paths(value, segments, with_prefix)
    path_queries = _gather_paths(query, segments, sorted(whole_queries))
    outputs = []
    for number in numbers:
        segment = segments[number]
        if number in whole_queries:
            output = _attend_segment(path_queries[number], path_keys[number], path_values[number], options)
            outputs.append(output[:, :, segment.prefix_length :])
        elif segment.prefix:
            outputs.append(_attend_segment(queries[number], path_keys[number], path_values[number], options))
        else:
            outputs.append(_attend_segment(queries[number], keys[number], values[number], options))
    return outputs


def _split_segments(tensor: torch.Tensor, segments: Sequence[Segment]) -> list[torch.Tensor]:
    """Views of the own tokens of every segment. One `split`, because its backward pass is a single copy."""
    lengths, index = [], 0
    for segment in segments:
        lengths += [segment.start - index, segment.length]
        index = segment.end
    return list(tensor.split([*lengths, tensor.shape[2] - index], dim=2)[1::2])


def _is_cheaper_with_prefix(segment: Segment) -> bool:
    """Whether half of (prefix + own)^2 scores, without a mask, cost less than own * (prefix + own), with one."""
    return segment.prefix_length < segment.length


def _attend_segment(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, options: AttentionOptions
) -> torch.Tensor:
    """One segment: query [1, H, n, D] are the last n of the m tokens of key and value [1, K, m, D]."""
    n, m = query.shape[2], key.shape[2]
    grouped = query.shape[1] != key.shape[1]
    windowed = options.window is not None and m > options.window
    if n == m and not windowed and options.softcap is None:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=options.scale, enable_gqa=grouped)
    outputs = []
    for start in range(0, n, QUERIES_PER_BLOCK):
        end = min(n, start + QUERIES_PER_BLOCK)
        # The block's queries are tokens m - n + start to m - n + end of the row; they see keys `first` to `last`.
        first = max(0, m - n + start + 1 - options.window) if options.window is not None else 0
        last = m - n + end
        q, k, v = query[:, :, start:end], key[:, :, first:last], value[:, :, first:last]
        mask = _causal_mask(end - start, last - first, options.window, query.device)
        if options.softcap is None:
            outputs.append(
                scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=options.scale, enable_gqa=grouped)
            )
        else:
            outputs.append(_attend_with_softcap(q, k, v, mask, options))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


@lru_cache(maxsize=64)
def _causal_mask(n: int, m: int, window: int | None, device: torch.device) -> torch.Tensor:
    """[n, m] bool: query i is token m - n + i and sees the `window` tokens that end with itself, or all up to itself."""
    causal = torch.ones(n, m, dtype=torch.bool, device=device).tril(m - n)
    return causal if window is None else causal.triu(m - n - window + 1)


def _attend_with_softcap(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, options: AttentionOptions
) -> torch.Tensor:
    """Scores through `softcap * tanh(scores / softcap)` before the mask (Gemma 2, arXiv 2408.00118), softmax in fp32."""
    cap = options.softcap or 0.0
    groups = query.shape[1] // key.shape[1]
    grouped = query.unflatten(1, (key.shape[1], groups))  # (1, K, H / K, n, D)
    scores = torch.einsum("bkgnd,bkmd->bkgnm", grouped, key) * options.scale
    scores = (cap * torch.tanh(scores / cap)).masked_fill(~mask, -torch.inf)
    probabilities = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.einsum("bkgnm,bkmd->bkgnd", probabilities, value).flatten(1, 2)  # (1, H, n, D)


def _gather_paths(tensor: torch.Tensor, segments: Sequence[Segment], numbers: Sequence[int]) -> dict[int, torch.Tensor]:
    """{segment number: `tensor` [1, N, T, D] along the segment's whole path}."""
    if not numbers:
        return {}
    ranges = tuple(part for number in numbers for part in segments[number].path)
    lengths = [segments[number].path_length for number in numbers]
    gathered: torch.Tensor = _GatherRanges.apply(tensor, ranges)  # type: ignore[no-untyped-call]
    return dict(zip(numbers, gathered.split(lengths, dim=2), strict=True))


class _GatherRanges(torch.autograd.Function):
    """Concatenate ranges of the third dimension. The backward pass adds the gradients of repeated indices in a fixed order."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, ranges: tuple[IndexRange, ...]) -> torch.Tensor:
        ctx.ranges, ctx.length = ranges, tensor.shape[2]
        return torch.cat([tensor[:, :, start:end] for start, end in ranges], dim=2)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (grad,) = grads
        total = grad.new_zeros((*grad.shape[:2], ctx.length, grad.shape[3]))
        index = 0
        for start, end in ctx.ranges:
            total[:, :, start:end] += grad[:, :, index : index + end - start]
            index += end - start
        return total, None
