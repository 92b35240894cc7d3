"""Gradients across ranks: all-reduce once per step, clip by the total norm, and check that all ranks hold the same weights."""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from tunesmith.errors import IntegrityBroken
from tunesmith.train.distributed.ranks import Ranks

BUCKET_ELEMENTS: Final = 2**24
"""Elements that one all-reduce carries: 64 MB in fp32."""


def all_reduce_gradients(values: Sequence[torch.Tensor], ranks: Ranks) -> None:
    """Replace every gradient by its sum over the ranks, added in fp32. The sum is right because each rank has divided its loss
    by the weight of the whole step.

    A tensor without a gradient on this rank counts as zero; one without a gradient on every rank keeps none, so that the
    optimizer skips it as in a single process. Does nothing for a single rank, and under FSDP2, which sums gradients itself.
    """
    if ranks.size == 1 or ranks.sharded:
        return
    has_gradient = torch.tensor(
        [value.grad is not None for value in values], dtype=torch.int32, device=values[0].device
    )
    distributed.all_reduce(has_gradient, distributed.ReduceOp.MAX)
    for bucket in _buckets([value for value, has in zip(values, has_gradient.tolist(), strict=True) if has]):
        flat = torch.cat([_gradient_or_zeros(value).reshape(-1).float() for value in bucket])
        distributed.all_reduce(flat)
        for value, part in zip(bucket, flat.split([value.numel() for value in bucket]), strict=True):
            value.grad = part.view_as(value).to(value.grad_dtype)


def clip_gradients(values: Sequence[torch.Tensor], max_norm: float) -> float:
    """Scale all gradients to a total norm of at most `max_norm`. Returns the norm before that, over the slices of all ranks."""
    norm = torch.nn.utils.get_total_norm([value.grad for value in values if value.grad is not None])
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    torch.nn.utils.clip_grads_with_norm_(list(values), max_norm, norm)
    return float(norm)


def check_same_weights(values: Sequence[torch.Tensor], ranks: Ranks) -> None:
    """Raises IntegrityBroken when ranks that must hold the same weights do not, by a checksum of the bits of each tensor."""
    if ranks.size == 1 or ranks.sharded:
        return
    checksums = torch.stack([_bit_checksum(value) for value in values])
    least, most = checksums.clone(), checksums.clone()
    distributed.all_reduce(least, distributed.ReduceOp.MIN)
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    different = int((least != most).sum())
    if different:
        what = f"{different} of {len(values)} tensors differ between the ranks"
        raise IntegrityBroken(what, hint="start all ranks on the same kind of machine, with the same libraries")


def _buckets(values: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Groups of consecutive tensors of at most BUCKET_ELEMENTS together; a larger tensor is a group of its own."""
    bucket: list[torch.Tensor] = []
    count = 0
    for value in values:
        if bucket and count + value.numel() > BUCKET_ELEMENTS:
            yield bucket
            bucket, count = [], 0
        bucket.append(value)
        count += value.numel()
    if bucket:
        yield bucket


def _gradient_or_zeros(value: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(value) if value.grad is None else value.grad


def _bit_checksum(value: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor's bits, read as 16-bit integers."""
    return value.detach().contiguous().view(-1).view(torch.int16).sum(dtype=torch.int64)
