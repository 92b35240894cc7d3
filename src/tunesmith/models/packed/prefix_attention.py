"""Attention of rows that begin alike, with the keys and values of what they share read where they stand and never copied.

All tokens behind a shared prefix ask its keys in one call without a mask; what each row has of its own is attended by itself,
in stacks. Two such halves are one softmax: outputs o1, o2 with log-sums l1, l2 of their scores give o1 exp(l1 - l) + o2
exp(l2 - l) with l = log(exp l1 + exp l2). torch's kernel for a CPU gives these log-sums, and its backward, told the common
output and log-sum, gives each half's part of the gradients (as in ring attention, Liu et al. 2023, arXiv 2310.01889).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.models.packed.padded_batches import AttentionBatch, AttentionPlan
from tunesmith.models.packed.prefix_trie import IndexRange

Indices = IndexRange | torch.Tensor
"""Neighbouring places, or any places [n] int64."""

QUERIES_PER_BLOCK = 1024
"""Queries of a lone row per call where a mask is needed."""


@dataclass(frozen=True)
class _KernelCall:
    """One call of the kernel: `rows` rows of queries against as many rows of keys, laid end to end.

    `counted` are the places of the queries once more, T where a slot is padding. A query sees what comes before it
    (`causal`), what `mask` says, or with neither every key.
    """

    rows: int
    queries: Indices
    keys: Indices
    counted: Indices
    causal: bool = False
    mask: torch.Tensor | None = None


def attend_shared_prefixes(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, arrangement: AttentionPlan, scale: float
) -> torch.Tensor:
    """query [1, H, T, D], key and value [1, K, T, D] on a CPU, K dividing H; returns [1, H, T, D], zeros where nothing asks."""
    out: torch.Tensor = _SharedPrefixAttention.apply(query, key, value, (arrangement, scale))  # type: ignore[no-untyped-call]
    return out.transpose(0, 1)[None]


class _SharedPrefixAttention(torch.autograd.Function):
    """Out of it comes [T, H, D]."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        query, key, value, how = given
        arrangement, scale = how
        q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        own, sums = [], []
        for call in _row_calls(arrangement, len(q)):
            o, s = _call_kernel(call, q, k, v, scale)
            own.append(o)
            sums.append(s)
        if arrangement.gaps:
            own.append(own[0].new_zeros(1, *own[0].shape[1:]))
            sums.append(sums[0].new_full((1, sums[0].shape[1]), -torch.inf))
        out = torch.cat(own).index_select(0, arrangement.order)
        total = torch.cat(sums).index_select(0, arrangement.order)
        for call in _prefix_calls(arrangement):
            o, s = _call_kernel(call, q, k, v, scale)
            _merge_softmax(out, total, call.queries, o, s)
        if arrangement.gaps:
            # A slot of a place that nothing asks is thrown away; it must weigh nothing in the backward pass, and not NaN.
            total.masked_fill_(total == -torch.inf, torch.inf)
        out = out.to(query.dtype)
        ctx.how = how
        ctx.save_for_backward(query, key, value, out, total)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, total = ctx.saved_tensors
        arrangement, scale = ctx.how
        q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        asked = torch.cat([grads[0], grads[0].new_zeros(1, *grads[0].shape[1:])])
        known = (q, k, v, asked, out, total)
        dq: list[torch.Tensor] = []
        dk, dv = torch.zeros_like(k), torch.zeros_like(v)
        for call in _row_calls(arrangement, len(q)):
            found = _call_kernel_backward(call, known, scale)
            dq.append(found[0])
            _add_at(dk, call.keys, found[1])
            _add_at(dv, call.keys, found[2])
        if arrangement.gaps:
            dq.append(dq[0].new_zeros(1, *dq[0].shape[1:]))
        moved = torch.cat(dq).index_select(0, arrangement.order)
        for call in _prefix_calls(arrangement):
            found = _call_kernel_backward(call, known, scale)
            for target, places, one in zip((moved, dk, dv), (call.queries, call.keys, call.keys), found, strict=True):
                _add_at(target, places, one)
        return (*(one.transpose(0, 1)[None] for one in (moved, dk, dv)), None)


def _row_calls(arrangement: AttentionPlan, total: int) -> Iterator[_KernelCall]:
    """Stacks, then lone rows, in the order of `arrangement.order`. Place `total` is one of zeros."""
    for stack in arrangement.stacks:
        yield _batch_call(stack)
    for at in arrangement.alone:
        one = arrangement.parts[at]
        own = (one.start, one.start + one.length)
        if not one.runs:
            yield _KernelCall(1, own, own, own, causal=True)
            continue
        path = torch.tensor([place for start, end in one.path for place in range(start, end)])
        for first in range(0, one.length, QUERIES_PER_BLOCK):
            last = min(one.length, first + QUERIES_PER_BLOCK)
            block = (one.start + first, one.start + last)
            mask = torch.ones(last - first, one.depth + last, dtype=torch.bool).tril(one.depth + first)
            yield _KernelCall(1, block, path[: one.depth + last], block, mask=mask)


def _batch_call(stack: AttentionBatch) -> _KernelCall:
    asked = stack.places if stack.asked is None else stack.asked
    return _KernelCall(stack.rows, asked, stack.places, stack.counted, causal=stack.mask is None, mask=stack.mask)


def _prefix_calls(arrangement: AttentionPlan) -> Iterator[_KernelCall]:
    for root in arrangement.roots:
        queries: Indices = (root.end, root.stop) if root.asked is None else root.asked
        yield _KernelCall(1, queries, (root.start, root.end), queries)


def _select(tensor: torch.Tensor, places: Indices) -> torch.Tensor:
    if isinstance(places, torch.Tensor):
        return tensor.index_select(0, places)
    return tensor[places[0] : places[1]]


def _in_rows(tensor: torch.Tensor, places: Indices, rows: int) -> torch.Tensor:
    """[T, N, D] to [rows, N, n, D]."""
    taken = _select(tensor, places)
    return taken.view(rows, -1, *taken.shape[1:]).transpose(1, 2)


def _call_kernel(
    call: _KernelCall, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs [rows * n, H, D] and log-sums [rows * n, H], in fp32 where the tensors are narrower."""
    out, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        _in_rows(q, call.queries, call.rows),
        _in_rows(k, call.keys, call.rows),
        _in_rows(v, call.keys, call.rows),
        0.0,
        call.causal,
        attn_mask=_additive_mask(call.mask, q),
        scale=scale,
    )
    return out.transpose(1, 2).flatten(0, 1).to(sums.dtype), sums.transpose(1, 2).flatten(0, 1)


def _call_kernel_backward(call: _KernelCall, known: Sequence[torch.Tensor], scale: float) -> tuple[torch.Tensor, ...]:
    """Gradients of a call's queries [rows * n, H, D], keys and values [rows * m, K, D]."""
    q, k, v, asked, out, total = known
    found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        _in_rows(asked, call.counted, call.rows),
        _in_rows(q, call.queries, call.rows),
        _in_rows(k, call.keys, call.rows),
        _in_rows(v, call.keys, call.rows),
        _in_rows(out, call.queries, call.rows),
        _select(total, call.queries).view(call.rows, -1, total.shape[1]).transpose(1, 2),
        0.0,
        call.causal,
        attn_mask=_additive_mask(call.mask, q),
        scale=scale,
    )
    return tuple(one.transpose(1, 2).flatten(0, 1) for one in found)


def _additive_mask(mask: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    """The kernel's own form of a mask: what is added to the scores."""
    if mask is None:
        return None
    if mask.ndim == 2:
        mask = mask[None, None]
    return torch.zeros(mask.shape, dtype=like.dtype).masked_fill_(~mask, -torch.inf)


def _merge_softmax(
    out: torch.Tensor, total: torch.Tensor, places: Indices, more: torch.Tensor, sums: torch.Tensor
) -> None:
    """Bring further keys into outputs and log-sums, in place."""
    old, before = _select(out, places), _select(total, places)
    both = torch.logaddexp(before, sums)
    mixed = old * (before - both).exp()[..., None]
    mixed.addcmul_(more, (sums - both).exp()[..., None])
    if isinstance(places, torch.Tensor):
        out.index_copy_(0, places, mixed)
        total.index_copy_(0, places, both)
    else:
        out[places[0] : places[1]] = mixed
        total[places[0] : places[1]] = both


def _add_at(target: torch.Tensor, places: Indices, part: torch.Tensor) -> None:
    """Add rows at their places; places may repeat."""
    if isinstance(places, torch.Tensor):
        flat = part.reshape(len(part), -1)
        target += torch.ops.aten.embedding_dense_backward(flat, places, len(target), -1, False).view_as(target)
    else:
        target[places[0] : places[1]] += part
