"""Whether tensors have changed since step 0, by one 64-bit fingerprint per tensor instead of a copy of the weights."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch.distributed.tensor import DTensor

from tunesmith.train.optimizers import Optimizers
from tunesmith.train.watchers.observations import TensorChange

CHUNK_ELEMENTS: Final = 1 << 20
"""Elements widened to 64 bits at once; bounds the memory that fingerprinting takes."""

INTEGER_DTYPES: Final = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
HASH_MULTIPLIER: Final = -7046029254386353131
"""2^64 divided by the golden ratio, as a signed integer: an odd multiplier that spreads its multiples over all 64 bits."""


def fingerprints(tensors: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """A 64-bit fingerprint per tensor. A changed bit changes the fingerprint, except with a chance of about 2^-60."""
    return {name: fingerprint(value) for name, value in tensors.items()}


def fingerprint(tensor: torch.Tensor) -> int:
    """The sum modulo 2^64 of the elements' bits, each times an odd factor that depends on its position in its chunk."""
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
    """Compare every tensor with its fingerprint at step 0, and see whether the optimizer ever had a gradient for it.

    Of a sharded tensor only this rank's slice is compared. A tensor with an fp32 master has changed when its master has.
    """
    return tuple(
        TensorChange(
            name,
            changed=fingerprint(value) != start[name] or _master_changed(value, optimizer.master_for(value)),
            had_gradient=_had_gradient(optimizer.master_for(value), optimizer),
        )
        for name, value in tensors.items()
    )


def _master_changed(value: torch.Tensor, master: torch.Tensor) -> bool:
    """Whether a master differs from the weight that is rounded from it; at step 0 they are equal."""
    return not torch.equal(_local_slice(master.detach()), _local_slice(value.detach()).to(master.dtype))


def _had_gradient(tensor: torch.Tensor, optimizer: Optimizers) -> bool:
    """Whether a moment of the tensor is not exactly zero, or cannot be read (8-bit). Moments have the tensor's shape."""
    state: dict[str, Any] = {}
    for part, _ in optimizer.parts:
        state.update(part.state.get(tensor, {}))
    entries = [value for value in state.values() if isinstance(value, torch.Tensor) and value.shape == tensor.shape]
    moments = [value for value in entries if value.is_floating_point()]
    if state and not moments:
        return True
    return any(bool(_local_slice(value).any()) for value in moments)


def _local_slice(tensor: torch.Tensor) -> torch.Tensor:
    """This rank's slice of a sharded tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
