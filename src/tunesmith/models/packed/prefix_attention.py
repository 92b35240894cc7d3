"""Attention behind shared prefixes on a CPU: a prefix's keys and values are read in place, never copied per row.

All queries behind a shared prefix attend to it in one kernel call without a mask; each row attends to its own tokens in
another. The two results are halves of one softmax and are merged exactly. With outputs o1, o2 and log-sum-exps l1, l2 of the
scores, and l = log(exp l1 + exp l2), the whole output is

    o1 exp(l1 - l) + o2 exp(l2 - l).

PyTorch's flash attention kernel for CPUs returns the log-sum-exps. Its backward kernel, given the merged output and l, returns
the half's share of the gradients (as in ring attention, Liu et al. 2023, arXiv 2310.01889).

Shapes: H query heads, K key heads with K dividing H, T tokens of the batch, D head dimension.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.models.packed.padded_batches import AttentionBatch, AttentionPlan
from tunesmith.models.packed.prefix_trie import IndexRange, path_indices

Indices = IndexRange | torch.Tensor
"""A range of flat indices, or any flat indices [n] int64."""

QUERIES_PER_BLOCK = 1024
"""Queries of a single segment per call where a mask is needed."""


@dataclass(frozen=True)
class _KernelCall:
    """One call of the kernel: `rows` rows of queries against as many rows of keys, concatenated.

    A query sees the keys up to its own (`causal`), those that `mask` allows, or with neither all keys of its row.
    `gradients` are the query indices again, with T for queries whose output is discarded.
    """

    rows: int
    queries: Indices
    keys: Indices
    gradients: Indices
    causal: bool = False
    mask: torch.Tensor | None = None


def attend_shared_prefixes(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, plan: AttentionPlan, scale: float
) -> torch.Tensor:
    """query [1, H, T, D], key and value [1, K, T, D] on a CPU; returns [1, H, T, D], zeros at indices in no segment."""
    out: torch.Tensor = _SharedPrefixAttention.apply(query, key, value, plan, scale)  # type: ignore[no-untyped-call]
    return out.transpose(0, 1)[None]


class _SharedPrefixAttention(torch.autograd.Function):
    """Returns [T, H, D]."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> torch.Tensor:
        query, key, value, plan, scale = args
        q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # (T, heads, D)
        outputs, log_sums = [], []
        for call in _row_calls(plan, len(q)):
            row_out, row_log_sum = _call_kernel(call, q, k, v, scale)
            outputs.append(row_out)
            log_sums.append(row_log_sum)
        if plan.has_gaps:
            outputs.append(outputs[0].new_zeros(1, *outputs[0].shape[1:]))
            log_sums.append(log_sums[0].new_full((1, log_sums[0].shape[1]), -torch.inf))
        out = torch.cat(outputs).index_select(0, plan.output_order)  # (T, H, D)
        log_sum = torch.cat(log_sums).index_select(0, plan.output_order)  # (T, H)
        for call in _prefix_calls(plan):
            prefix_out, prefix_log_sum = _call_kernel(call, q, k, v, scale)
            _merge_softmax(out, log_sum, call.queries, prefix_out, prefix_log_sum)
        if plan.has_gaps:
            # An index that no query computes must have probability 0 in the backward pass: exp(score - inf), not NaN.
            log_sum.masked_fill_(log_sum == -torch.inf, torch.inf)
        out = out.to(query.dtype)
        ctx.plan, ctx.scale = plan, scale
        ctx.save_for_backward(query, key, value, out, log_sum)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, log_sum = ctx.saved_tensors
        plan, scale = ctx.plan, ctx.scale
        q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # (T, heads, D)
        # Row T of zeros is the gradient of discarded outputs.
        grad_out = torch.cat([grads[0], grads[0].new_zeros(1, *grads[0].shape[1:])])
        tensors = (q, k, v, grad_out, out, log_sum)
        grad_queries: list[torch.Tensor] = []
        grad_k, grad_v = torch.zeros_like(k), torch.zeros_like(v)
        for call in _row_calls(plan, len(q)):
            of_query, of_key, of_value = _call_kernel_backward(call, tensors, scale)
            grad_queries.append(of_query)
            _add_at(grad_k, call.keys, of_key)
            _add_at(grad_v, call.keys, of_value)
        if plan.has_gaps:
            grad_queries.append(grad_queries[0].new_zeros(1, *grad_queries[0].shape[1:]))
        grad_q = torch.cat(grad_queries).index_select(0, plan.output_order)
        for call in _prefix_calls(plan):
            of_query, of_key, of_value = _call_kernel_backward(call, tensors, scale)
            _add_at(grad_q, call.queries, of_query)
            _add_at(grad_k, call.keys, of_key)
            _add_at(grad_v, call.keys, of_value)
        return (*(grad.transpose(0, 1)[None] for grad in (grad_q, grad_k, grad_v)), None, None)


def _row_calls(plan: AttentionPlan, total: int) -> Iterator[_KernelCall]:
    """Padded batches, then single segments: the order of the outputs that `plan.output_order` refers to."""
    for batch in plan.batches:
        yield _batch_call(batch)
    for number in plan.single:
        segment = plan.segments[number]
        own = (segment.start, segment.end)
        if not segment.prefix:
            yield _KernelCall(1, own, own, own, causal=True)
            continue
        path, before = torch.tensor(path_indices(segment.path)), segment.prefix_length
        for first in range(0, segment.length, QUERIES_PER_BLOCK):
            last = min(segment.length, first + QUERIES_PER_BLOCK)
            block = (segment.start + first, segment.start + last)
            mask = torch.ones(last - first, before + last, dtype=torch.bool).tril(before + first)  # (queries, keys)
            yield _KernelCall(1, block, path[: before + last], block, mask=mask)


def _batch_call(batch: AttentionBatch) -> _KernelCall:
    queries = batch.key_indices if batch.query_indices is None else batch.query_indices
    causal = batch.mask is None
    return _KernelCall(batch.rows, queries, batch.key_indices, batch.gradient_indices, causal=causal, mask=batch.mask)


def _prefix_calls(plan: AttentionPlan) -> Iterator[_KernelCall]:
    for prefix in plan.shared_prefixes:
        queries: Indices = (prefix.end, prefix.stop) if prefix.query_indices is None else prefix.query_indices
        yield _KernelCall(1, queries, (prefix.start, prefix.end), queries)


def _select(tensor: torch.Tensor, indices: Indices) -> torch.Tensor:
    if isinstance(indices, torch.Tensor):
        return tensor.index_select(0, indices)
    return tensor[indices[0] : indices[1]]


def _in_rows(tensor: torch.Tensor, indices: Indices, rows: int) -> torch.Tensor:
    """[T, heads, D] to [rows, heads, n, D]."""
    selected = _select(tensor, indices)
    return selected.view(rows, -1, *selected.shape[1:]).transpose(1, 2)


def _call_kernel(
    call: _KernelCall, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs [rows * n, H, D] and log-sum-exps [rows * n, H], both in fp32 if the tensors are narrower."""
    out, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        _in_rows(q, call.queries, call.rows),
        _in_rows(k, call.keys, call.rows),
        _in_rows(v, call.keys, call.rows),
        0.0,
        call.causal,
        attn_mask=_additive_mask(call.mask, q),
        scale=scale,
    )
    return out.transpose(1, 2).flatten(0, 1).to(log_sum.dtype), log_sum.transpose(1, 2).flatten(0, 1)


def _call_kernel_backward(
    call: _KernelCall, tensors: Sequence[torch.Tensor], scale: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of a call's queries [rows * n, H, D], keys and values [rows * m, K, D]."""
    q, k, v, grad_out, out, log_sum = tensors
    of_query, of_key, of_value = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        _in_rows(grad_out, call.gradients, call.rows),
        _in_rows(q, call.queries, call.rows),
        _in_rows(k, call.keys, call.rows),
        _in_rows(v, call.keys, call.rows),
        _in_rows(out, call.queries, call.rows),
        _select(log_sum, call.queries).view(call.rows, -1, log_sum.shape[1]).transpose(1, 2),  # (rows, H, n)
        0.0,
        call.causal,
        attn_mask=_additive_mask(call.mask, q),
        scale=scale,
    )
    flat = [grad.transpose(1, 2).flatten(0, 1) for grad in (of_query, of_key, of_value)]
    return flat[0], flat[1], flat[2]


def _additive_mask(mask: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    """The form that the kernel takes: 0 where a query sees a key, -inf elsewhere."""
    if mask is None:
        return None
    if mask.ndim == 2:
        mask = mask[None, None]
    return torch.zeros(mask.shape, dtype=like.dtype).masked_fill_(~mask, -torch.inf)


def _merge_softmax(
    out: torch.Tensor, log_sum: torch.Tensor, indices: Indices, other_out: torch.Tensor, other_log_sum: torch.Tensor
) -> None:
    """Merge attention over further keys into outputs [T, H, D] and log-sum-exps [T, H], in place."""
    before = _select(log_sum, indices)
    merged_log_sum = torch.logaddexp(before, other_log_sum)
    merged = _select(out, indices) * (before - merged_log_sum).exp()[..., None]
    merged.addcmul_(other_out, (other_log_sum - merged_log_sum).exp()[..., None])
    if isinstance(indices, torch.Tensor):
        out.index_copy_(0, indices, merged)
        log_sum.index_copy_(0, indices, merged_log_sum)
    else:
        out[indices[0] : indices[1]] = merged
        log_sum[indices[0] : indices[1]] = merged_log_sum


def _add_at(target: torch.Tensor, indices: Indices, rows: torch.Tensor) -> None:
    """Add `rows` [n, heads, D] to `target` [T, heads, D]; indices may repeat."""
    if isinstance(indices, torch.Tensor):
        # The backward pass of `embedding` is a scatter-add in a fixed order.
        flat = rows.reshape(len(rows), -1)
        target += torch.ops.aten.embedding_dense_backward(flat, indices, len(target), -1, False).view_as(target)
    else:
        target[indices[0] : indices[1]] += rows
