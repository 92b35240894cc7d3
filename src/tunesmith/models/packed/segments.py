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

from tunesmith import process
from tunesmith.models.packed.layout import Run, Segment
from tunesmith.models.packed.stacks import Arrangement

process.prepare()

import torch  # noqa: E402
from torch.nn.functional import embedding, scaled_dot_product_attention  # noqa: E402

BLOCK = 1024
"""Queries per block where a mask is needed."""


@dataclass(frozen=True)
class Rule:
    """What the model asks of its attention: the scale of the scores, a window of tokens (None: all), a soft cap (None: none)."""

    scale: float
    window: int | None = None
    softcap: float | None = None


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    segments: Sequence[Segment],
    rule: Rule,
    arrangement: Arrangement | None = None,
) -> torch.Tensor:
    """query [1, H, T, D], key and value [1, K, T, D] with K dividing H; returns [1, H, T, D].

    `arrangement` stacks short rows; it is passed over where a window or a soft cap would reach into them.
    """
    reached = rule.softcap is not None or (
        rule.window is not None and arrangement and arrangement.longest > rule.window
    )
    if arrangement is None or not arrangement.stacks or reached:
        return torch.cat(
            _one_by_one(query, key, value, segments=segments, rule=rule, wanted=range(len(segments))), dim=2
        )
    flat = [tensor[0].transpose(0, 1).flatten(1) for tensor in (query, key, value)]
    heads = [tensor.shape[1] for tensor in (query, key, value)]
    outputs = []
    for stack in arrangement.stacks:
        shape = (stack.rows, stack.length)
        q, k, v = (
            embedding(stack.places, rows).view(*shape, count, -1).transpose(1, 2)
            for rows, count in zip(flat, heads, strict=True)
        )
        out = scaled_dot_product_attention(q, k, v, is_causal=True, scale=rule.scale, enable_gqa=heads[0] != heads[1])
        outputs.append(out.transpose(1, 2).reshape(stack.rows * stack.length, -1))
    for one in _one_by_one(query, key, value, segments=segments, rule=rule, wanted=arrangement.alone):
        outputs.append(one[0].transpose(0, 1).flatten(1))
    whole = embedding(arrangement.order, torch.cat(outputs))
    return whole.view(whole.shape[0], heads[0], -1).transpose(0, 1)[None]


def _one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    segments: Sequence[Segment],
    rule: Rule,
    wanted: Sequence[int],
) -> list[torch.Tensor]:
    """[1, H, n, D] of every wanted segment."""
    if not wanted:
        return []
    lengths = [segment.length for segment in segments]
    queries, keys, values = (tensor.split(lengths, dim=2) for tensor in (query, key, value))
    behind = [at for at in wanted if segments[at].runs]
    together = {at for at in behind if rule.window is None and rule.softcap is None and _cheaper_whole(segments[at])}
    longer_keys = _paths(key, segments, behind)
    longer_values = _paths(value, segments, behind)
    longer_queries = _paths(query, segments, sorted(together))
    outputs = []
    for at in wanted:
        if at in together:
            whole = _attend(longer_queries[at], longer_keys[at], longer_values[at], rule)
            outputs.append(whole[:, :, segments[at].depth :])
        elif segments[at].runs:
            outputs.append(_attend(queries[at], longer_keys[at], longer_values[at], rule))
        else:
            outputs.append(_attend(queries[at], keys[at], values[at], rule))
    return outputs


def _cheaper_whole(segment: Segment) -> bool:
    """Half of (depth + length) squared, without a mask, against length times (depth + length), with one."""
    return segment.depth < segment.length


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: Rule) -> torch.Tensor:
    """One segment: query [1, H, n, D] are the last n of the m places of key and value [1, K, m, D]."""
    n, m = query.shape[2], key.shape[2]
    grouped = query.shape[1] != key.shape[1]
    windowed = rule.window is not None and m > rule.window
    if n == m and not windowed and rule.softcap is None:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=rule.scale, enable_gqa=grouped)
    outputs = []
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        first = max(0, m - n + start + 1 - rule.window) if rule.window is not None else 0
        last = m - n + end
        q, k, v = query[:, :, start:end], key[:, :, first:last], value[:, :, first:last]
        mask = _visible(end - start, last - first, rule.window, query.device)
        if rule.softcap is None:
            outputs.append(scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=rule.scale, enable_gqa=grouped))
        else:
            outputs.append(_capped(q, k, v, mask, rule))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


@lru_cache(maxsize=64)
def _visible(n: int, m: int, window: int | None, device: torch.device) -> torch.Tensor:
    """[n, m] bool: query i stands at place m - n + i and sees itself and what is before it, up to `window` places in all."""
    seen = torch.ones(n, m, dtype=torch.bool, device=device).tril(m - n)
    return seen if window is None else seen.triu(m - n - window + 1)


def _capped(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, rule: Rule
) -> torch.Tensor:
    """Scores through `softcap * tanh(scores / softcap)` before the mask (Gemma 2, arXiv 2408.00118), softmax in fp32."""
    cap = rule.softcap or 0.0
    groups = query.shape[1] // key.shape[1]
    folded = query.unflatten(1, (key.shape[1], groups))
    scores = torch.einsum("bkgnd,bkmd->bkgnm", folded, key) * rule.scale
    scores = (cap * torch.tanh(scores / cap)).masked_fill(~mask, -torch.inf)
    chances = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.einsum("bkgnm,bkmd->bkgnd", chances, value).flatten(1, 2)


def _paths(tensor: torch.Tensor, segments: Sequence[Segment], wanted: Sequence[int]) -> dict[int, torch.Tensor]:
    """The rows of `tensor` [1, N, T, D] along the whole path of each wanted segment."""
    if not wanted:
        return {}
    runs = tuple(run for at in wanted for run in segments[at].path)
    lengths = [segments[at].depth + segments[at].length for at in wanted]
    gathered: torch.Tensor = _Gather.apply(tensor, runs)  # type: ignore[no-untyped-call]
    return dict(zip(wanted, gathered.split(lengths, dim=2), strict=True))


class _Gather(torch.autograd.Function):
    """Runs of places laid end to end. Its backward adds every row's gradient onto the shared places, run by run, in order."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, runs: tuple[Run, ...]) -> torch.Tensor:
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
