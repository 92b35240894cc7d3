"""One rank reads the base, the others are sent their slices of it: a rank without weights gets the bits of rank 0.

Values travel as bytes, tensor by tensor, each rank's slice to that rank alone, so that a rank never holds more than its slices.
Rank 0 holds the whole base, since it has tried the model before it is cut up, and lets it go layer by layer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.tensor import DTensor

from tunesmith.errors import Misuse
from tunesmith.train.distributed.ranks import Ranks, all_gather, broadcast, rank_device


def is_meta(model: nn.Module) -> bool:
    """Whether a model is a frame without weights, on torch's meta device."""
    return any(value.is_meta for value in model.parameters())


def meta_ranks(model: nn.Module, ranks: Ranks) -> list[int]:
    """The ranks whose model has no weights yet. All ranks call it.

    Their tensors take the precision of rank 0's. Raises Misuse when a frame has other tensors than rank 0's model.
    """
    found = [rank for rank, hollow in enumerate(all_gather(ranks, is_meta(model))) if hollow]
    if not found:
        return []
    shapes = broadcast(
        ranks, lambda: {name: (tuple(value.shape), value.dtype) for name, value in parameters_and_buffers(model)}
    )
    if not is_meta(model):
        return found
    mine = dict(parameters_and_buffers(model))
    if {name: tuple(value.shape) for name, value in mine.items()} != {
        name: shape for name, (shape, _) in shapes.items()
    }:
        said = f"rank {ranks.rank} makes another model from the base's config.json than rank 0 has read"
        raise Misuse(said, where="base", hint="install the same libraries on every machine")
    for name, value in mine.items():
        value.data = value.data.to(shapes[name][1])
    return found


def parameters_and_buffers(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, then buffers, those too that no state holds; each once, in the model's order."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def own_tensors(modules: Sequence[nn.Module]) -> list[torch.Tensor]:
    """The tensors that some modules own themselves, each once."""
    each = [one for module in modules for one in (*module.parameters(recurse=False), *module.buffers(recurse=False))]
    return list({id(one): one for one in each}.values())


def send_weights(
    modules: Sequence[nn.Module], whole: Sequence[torch.Tensor], *, ranks: Ranks, hollow: Sequence[int]
) -> None:
    """Give the `hollow` ranks their part of what some modules own, after they were cut up. All ranks call it.

    `whole` are rank 0's tensors as they were before, in the order of `values_of`; the other ranks' are not looked at.
    """
    if ranks.rank in hollow:
        for module in modules:
            module.to_empty(device=rank_device(), recurse=False)
    with torch.no_grad():
        for value, full in zip(own_tensors(modules), whole, strict=True):
            if ranks.leads:
                _send_slices(full.to(value.dtype), value, ranks=ranks, hollow=hollow)
            elif ranks.rank in hollow:
                _receive_slice(value)


def _send_slices(whole: torch.Tensor, value: torch.Tensor, *, ranks: Ranks, hollow: Sequence[int]) -> None:
    pieces = whole.chunk(ranks.size) if isinstance(value, DTensor) else (whole,) * ranks.size
    for rank in hollow:
        if rank < len(pieces) and pieces[rank].numel():
            distributed.send(_byte_view(pieces[rank].to(rank_device()).contiguous()), rank)


def _receive_slice(value: Any) -> None:
    here = value.to_local() if isinstance(value, DTensor) else value
    if here.numel():
        distributed.recv(_byte_view(here), 0)


def _byte_view(tensor: torch.Tensor) -> torch.Tensor:
    """The memory of a contiguous tensor."""
    return tensor.detach().view(-1).view(torch.uint8)
