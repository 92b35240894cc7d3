"""Gradients over ranks: summed once a step, clipped by their common norm, and a check that weights have stayed alike."""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from tunesmith.errors import IntegrityBroken
from tunesmith.train.distributed.ranks import Ranks

BUCKET_ELEMENTS: Final = 2**24
"""Values that travel at once: 64 MB in fp32."""


def all_reduce_gradients(values: Sequence[torch.Tensor], ranks: Ranks) -> None:
    """Replace every gradient by its sum over the ranks, added in fp32. Each rank's loss is over the weight of the whole step.

    A tensor without a gradient on this rank counts as zero; one without a gradient on any rank keeps none, so that the
    optimiser passes it over as it would in one process. Does nothing for one rank, nor under FSDP2, which has summed them.
    """
    if ranks.size == 1 or ranks.sharded:
        return
    has = torch.tensor([value.grad is not None for value in values], dtype=torch.int32, device=values[0].device)
    distributed.all_reduce(has, distributed.ReduceOp.MAX)
    for bucket in _buckets([value for value, some in zip(values, has.tolist(), strict=True) if some]):
        flat = torch.cat([_gradient_or_zeros(value).reshape(-1).float() for value in bucket])
        distributed.all_reduce(flat)
        for value, part in zip(bucket, flat.split([value.numel() for value in bucket]), strict=True):
            value.grad = part.view_as(value).to(value.grad_dtype)


def clip_gradients(values: Sequence[torch.Tensor], largest: float) -> float:
    """Scale all gradients down to a common norm of at most `largest`; the norm before that, over the slices of all ranks."""
    norm = torch.nn.utils.get_total_norm([value.grad for value in values if value.grad is not None])
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    torch.nn.utils.clip_grads_with_norm_(list(values), largest, norm)
    return float(norm)


def check_same_weights(values: Sequence[torch.Tensor], ranks: Ranks) -> None:
    """Raises IntegrityBroken when ranks that should hold the same weights do not, by a checksum over their bits."""
    if ranks.size == 1 or ranks.sharded:
        return
    sums = torch.stack([_bit_checksum(value) for value in values])
    least, most = sums.clone(), sums.clone()
    distributed.all_reduce(least, distributed.ReduceOp.MIN)
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    apart = int((least != most).sum())
    if apart:
        said = f"{apart} of {len(values)} tensors differ between the ranks"
        raise IntegrityBroken(said, hint="are all ranks on the same kind of machine, with the same libraries?")


def _buckets(values: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Neighbouring tensors of about `BUCKET` values; a larger tensor travels alone."""
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
    """The sum of a tensor's bits, taken as integers of 16."""
    return value.detach().contiguous().view(-1).view(torch.int16).sum(dtype=torch.int64)
