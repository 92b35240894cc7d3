"""Attention of one segment after the other by torch's scaled_dot_product_attention: any device, any precision, exact.

A segment's queries see its whole path, causally, aligned at the end. A row of its own needs no mask. Behind a short shared
prefix the prefix's queries are computed along and thrown away, which costs less than a mask over a square. Otherwise, and
under a sliding window or a soft cap, the queries go block by block against the keys that they can see. So no mask and no
score matrix is ever larger than one block of a segment's queries by its keys. Short rows are stacked (see stacks.py).
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
"""Queries per block where a mask is needed."""


@dataclass(frozen=True)
class AttentionOptions:
    """What the model asks of its attention: the scale of the scores, a window of tokens (None: all), a soft cap (None: none)."""

    scale: float
    window: int | None = None
    softcap: float | None = None


def attend_segments(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    segments: Sequence[Segment],
    rule: AttentionOptions,
    arrangement: AttentionPlan | None = None,
) -> torch.Tensor:
    """query [1, H, T, D], key and value [1, K, T, D] with K dividing H; returns [1, H, T, D], zeros where no segment is.

    `arrangement` stacks short rows; it is passed over where a window or a soft cap would reach into them.
    """
    reached = rule.softcap is not None or (
        rule.window is not None and arrangement and arrangement.longest > rule.window
    )
    if arrangement is not None and arrangement.roots and not reached and query.shape[-1] == value.shape[-1]:
        return attend_shared_prefixes(query, key, value, arrangement=arrangement, scale=rule.scale)
    if arrangement is None or not arrangement.stacks or arrangement.roots or reached:
        wanted = range(len(segments))
        return _concatenate_outputs(
            _attend_each(query, key, value, segments=segments, rule=rule, wanted=wanted), segments, query
        )
    flat = [tensor[0].transpose(0, 1).flatten(1) for tensor in (query, key, value)]
    heads = (query.shape[1], key.shape[1])
    outputs = [_attend_batch(stack, flat, heads, rule) for stack in arrangement.stacks]
    for one in _attend_each(query, key, value, segments=segments, rule=rule, wanted=arrangement.alone):
        outputs.append(one[0].transpose(0, 1).flatten(1))
    if arrangement.gaps:
        outputs.append(outputs[0].new_zeros(1, outputs[0].shape[1]))
    whole = embedding(arrangement.order, torch.cat(outputs))
    return whole.view(whole.shape[0], heads[0], -1).transpose(0, 1)[None]


def _attend_batch(
    stack: AttentionBatch, flat: Sequence[torch.Tensor], heads: tuple[int, int], rule: AttentionOptions
) -> torch.Tensor:
    """[rows * queries, H * D] of one stack, out of queries, keys and values that are laid flat [T, heads * D]."""
    asked = stack.places if stack.asked is None else stack.asked
    wanted = ((asked, stack.queries, heads[0]), (stack.places, stack.length, heads[1]))
    q, k, v = (
        embedding(places, rows).view(stack.rows, slots, count, -1).transpose(1, 2)
        for rows, (places, slots, count) in zip(flat, (*wanted, wanted[1]), strict=True)
    )
    out = scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=stack.mask,
        is_causal=stack.mask is None,
        scale=rule.scale,
        enable_gqa=heads[0] != heads[1],
    )
    return out.transpose(1, 2).reshape(stack.rows * stack.queries, -1)


def _concatenate_outputs(
    outputs: Sequence[torch.Tensor], segments: Sequence[Segment], query: torch.Tensor
) -> torch.Tensor:
    """Outputs of all segments at their places, zeros between them."""
    pieces, at = [], 0
    for one, output in zip(segments, outputs, strict=True):
        if one.start > at:
            pieces.append(output.new_zeros(*output.shape[:2], one.start - at, output.shape[3]))
        pieces.append(output)
        at = one.start + one.length
    if at < query.shape[2]:
        first = outputs[0]
        pieces.append(first.new_zeros(*first.shape[:2], query.shape[2] - at, first.shape[3]))
    return torch.cat(pieces, dim=2)


def _attend_each(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    segments: Sequence[Segment],
    rule: AttentionOptions,
    wanted: Sequence[int],
) -> list[torch.Tensor]:
    """[1, H, n, D] of every wanted segment."""
    if not wanted:
        return []
    queries, keys, values = (_split_segments(tensor, segments) for tensor in (query, key, value))
    behind = [at for at in wanted if segments[at].runs]
    together = {
        at for at in behind if rule.window is None and rule.softcap is None and _is_cheaper_with_prefix(segments[at])
    }
    longer_keys = _gather_paths(key, segments, behind)
    longer_values = _gather_paths(value, segments, behind)
    longer_queries = _gather_paths(query, segments, sorted(together))
    outputs = []
    for at in wanted:
        if at in together:
            whole = _attend_segment(longer_queries[at], longer_keys[at], longer_values[at], rule)
            outputs.append(whole[:, :, segments[at].depth :])
        elif segments[at].runs:
            outputs.append(_attend_segment(queries[at], longer_keys[at], longer_values[at], rule))
        else:
            outputs.append(_attend_segment(queries[at], keys[at], values[at], rule))
    return outputs


def _split_segments(tensor: torch.Tensor, segments: Sequence[Segment]) -> list[torch.Tensor]:
    """The own tokens of every segment, in one operation: its backward is one copy."""
    lengths, at = [], 0
    for one in segments:
        lengths += [one.start - at, one.length]
        at = one.start + one.length
    return list(tensor.split([*lengths, tensor.shape[2] - at], dim=2)[1::2])


def _is_cheaper_with_prefix(segment: Segment) -> bool:
    """Half of (depth + length) squared, without a mask, against length times (depth + length), with one."""
    return segment.depth < segment.length


def _attend_segment(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: AttentionOptions
) -> torch.Tensor:
    """One segment: query [1, H, n, D] are the last n of the m places of key and value [1, K, m, D]."""
    n, m = query.shape[2], key.shape[2]
    grouped = query.shape[1] != key.shape[1]
    windowed = rule.window is not None and m > rule.window
    if n == m and not windowed and rule.softcap is None:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=rule.scale, enable_gqa=grouped)
    outputs = []
    for start in range(0, n, QUERIES_PER_BLOCK):
        end = min(n, start + QUERIES_PER_BLOCK)
        first = max(0, m - n + start + 1 - rule.window) if rule.window is not None else 0
        last = m - n + end
        q, k, v = query[:, :, start:end], key[:, :, first:last], value[:, :, first:last]
        mask = _causal_mask(end - start, last - first, rule.window, query.device)
        if rule.softcap is None:
            outputs.append(scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=rule.scale, enable_gqa=grouped))
        else:
            outputs.append(_attend_with_softcap(q, k, v, mask, rule))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


@lru_cache(maxsize=64)
def _causal_mask(n: int, m: int, window: int | None, device: torch.device) -> torch.Tensor:
    """[n, m] bool: query i stands at place m - n + i and sees itself and what is before it, up to `window` places in all."""
    seen = torch.ones(n, m, dtype=torch.bool, device=device).tril(m - n)
    return seen if window is None else seen.triu(m - n - window + 1)


def _attend_with_softcap(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, rule: AttentionOptions
) -> torch.Tensor:
    """Scores through `softcap * tanh(scores / softcap)` before the mask (Gemma 2, arXiv 2408.00118), softmax in fp32."""
    cap = rule.softcap or 0.0
    groups = query.shape[1] // key.shape[1]
    folded = query.unflatten(1, (key.shape[1], groups))
    scores = torch.einsum("bkgnd,bkmd->bkgnm", folded, key) * rule.scale
    scores = (cap * torch.tanh(scores / cap)).masked_fill(~mask, -torch.inf)
    chances = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.einsum("bkgnm,bkmd->bkgnd", chances, value).flatten(1, 2)


def _gather_paths(tensor: torch.Tensor, segments: Sequence[Segment], wanted: Sequence[int]) -> dict[int, torch.Tensor]:
    """The rows of `tensor` [1, N, T, D] along the whole path of each wanted segment."""
    if not wanted:
        return {}
    runs = tuple(run for at in wanted for run in segments[at].path)
    lengths = [segments[at].depth + segments[at].length for at in wanted]
    gathered: torch.Tensor = _GatherRanges.apply(tensor, runs)  # type: ignore[no-untyped-call]
    return dict(zip(wanted, gathered.split(lengths, dim=2), strict=True))


class _GatherRanges(torch.autograd.Function):
    """Runs of places laid end to end. Its backward adds every row's gradient onto the shared places, run by run, in order."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, runs: tuple[IndexRange, ...]) -> torch.Tensor:
        ctx.runs, ctx.length = runs, tensor.shape[2]
        return torch.cat([tensor[:, :, start:end] for start, end in runs], dim=2)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (grad,) = grads
        total = grad.new_zeros((*grad.shape[:2], ctx.length, grad.shape[3]))
        at = 0
        for start, end in ctx.runs:
            total[:, :, start:end] += grad[:, :, at : at + end - start]
            at += end - start
        return total, None
