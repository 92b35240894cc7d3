"""Whether tensors moved, from one number a tensor: no copy of the weights is kept."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch.distributed.tensor import DTensor

from tunesmith.train.optimizers import Optimizers
from tunesmith.train.watchers.observations import TensorChange

CHUNK_ELEMENTS: Final = 1 << 20
"""Elements that are widened to 64 bits at once; bounds the memory of a look."""

INTEGER_DTYPES: Final = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
HASH_MULTIPLIER: Final = -7046029254386353131
"""2^64 divided by the golden ratio, as a signed number: an odd factor whose multiples are spread over all 64 bits."""


def fingerprints(tensors: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """One 64-bit number a tensor; another bit in the tensor makes another number, but for one chance in about 2^60."""
    return {name: fingerprint(value) for name, value in tensors.items()}


def fingerprint(tensor: torch.Tensor) -> int:
    """The sum of the elements' bits, each times a factor of its place, modulo 2^64; a place has one factor in its chunk."""
    bits = _local_slice(tensor.detach()).reshape(-1).view(INTEGER_DTYPES[tensor.element_size()])
    places = torch.arange(1, min(CHUNK_ELEMENTS, max(1, bits.numel())) + 1, device=bits.device)
    factors = (places * HASH_MULTIPLIER) ^ (places * HASH_MULTIPLIER >> 29) | 1
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for chunk in bits.split(CHUNK_ELEMENTS):
        total = total * HASH_MULTIPLIER + (chunk.long() * factors[: chunk.numel()]).sum()
    return int(total)


def tensor_changes(
    start: Mapping[str, int], tensors: Mapping[str, torch.Tensor], optimizer: Optimizers
) -> tuple[TensorChange, ...]:
    """Every tensor against its fingerprint at step 0, and whether the optimiser ever had a gradient for it.

    Of a tensor that is cut up among ranks, the slice of this one. A tensor with a master in fp32 has moved when that has.
    """
    return tuple(
        TensorChange(
            name,
            moved=fingerprint(value) != start[name] or _master_changed(value, optimizer.moved_for(value)),
            pushed=_had_gradient(optimizer.moved_for(value), optimizer),
        )
        for name, value in tensors.items()
    )


def _master_changed(value: torch.Tensor, master: torch.Tensor) -> bool:
    """Whether a master is elsewhere than the tensor that was made from it; at step 0 they are equal."""
    return not torch.equal(_local_slice(master.detach()), _local_slice(value.detach()).to(master.dtype))


def _had_gradient(tensor: torch.Tensor, optimizer: Optimizers) -> bool:
    """Whether a moment of the tensor is not exactly zero, or the state does not tell; moments have the tensor's shape."""
    kept: dict[str, Any] = {}
    for part, _ in optimizer.parts:
        kept.update(part.state.get(tensor, {}))
    entries = [value for value in kept.values() if isinstance(value, torch.Tensor) and value.shape == tensor.shape]
    moments = [value for value in entries if value.is_floating_point()]
    if kept and not moments:
        return True
    return any(bool(_local_slice(value).any()) for value in moments)


def _local_slice(tensor: torch.Tensor) -> torch.Tensor:
    """This rank's slice."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
