"""Under FSDP2 only rank 0 reads the weights; the other ranks start on the meta device and are sent their slices.

Tensors are sent as bytes, one at a time, each slice to its rank only, so ranks 1 and up never hold more than their slices.
Rank 0 holds the whole model, because the model is checked before it is sharded, and frees it layer by layer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.tensor import DTensor

from tunesmith.errors import Misuse
from tunesmith.train.distributed.ranks import Ranks, all_gather, broadcast, rank_device


def is_meta(model: nn.Module) -> bool:
    """Whether any parameter of the model is on the meta device, so that it has no weights yet."""
    return any(value.is_meta for value in model.parameters())


def meta_ranks(model: nn.Module, ranks: Ranks) -> list[int]:
    """The ranks whose model is on the meta device. All ranks call it.

    Their tensors take the dtypes of rank 0's. Raises Misuse when a meta model has other tensors than rank 0's model.
    """
    on_meta = [rank for rank, meta in enumerate(all_gather(ranks, is_meta(model))) if meta]
    if not on_meta:
        return []
    shapes = broadcast(
        ranks, lambda: {name: (tuple(value.shape), value.dtype) for name, value in parameters_and_buffers(model)}
    )
    if not is_meta(model):
        return on_meta
    mine = dict(parameters_and_buffers(model))
    if {name: tuple(value.shape) for name, value in mine.items()} != {
        name: shape for name, (shape, _) in shapes.items()
    }:
        what = f"rank {ranks.rank} builds other tensors from the base's config.json than rank 0"
        raise Misuse(what, where="base", hint="install the same libraries on every machine")
    for name, value in mine.items():
        value.data = value.data.to(shapes[name][1])
    return on_meta


def parameters_and_buffers(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, then buffers (non-persistent ones too), each once, in the model's order."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def own_tensors(modules: Sequence[nn.Module]) -> list[torch.Tensor]:
    """Parameters and buffers of these modules, without those of their submodules, each once."""
    tensors = [
        tensor for module in modules for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False))
    ]
    return list({id(tensor): tensor for tensor in tensors}.values())


def send_weights(
    modules: Sequence[nn.Module], whole: Sequence[torch.Tensor], *, ranks: Ranks, meta: Sequence[int]
) -> None:
    """Send the `meta` ranks their slices of the tensors that these modules own, after sharding. All ranks call it.

    `whole` holds rank 0's tensors from before sharding, in the order of `own_tensors`; it is not read on other ranks.
    """
    if ranks.rank in meta:
        for module in modules:
            module.to_empty(device=rank_device(), recurse=False)
    with torch.no_grad():
        for value, full in zip(own_tensors(modules), whole, strict=True):
            if ranks.is_main:
                _send_slices(full.to(value.dtype), value, ranks=ranks, meta=meta)
            elif ranks.rank in meta:
                _receive_slice(value)


def _send_slices(whole: torch.Tensor, value: torch.Tensor, *, ranks: Ranks, meta: Sequence[int]) -> None:
    # FSDP2 cuts along dimension 0; a tensor that is not sharded goes to every rank whole.
    slices = whole.chunk(ranks.size) if isinstance(value, DTensor) else (whole,) * ranks.size
    for rank in meta:
        if rank < len(slices) and slices[rank].numel():
            distributed.send(_byte_view(slices[rank].to(rank_device()).contiguous()), rank)


def _receive_slice(value: Any) -> None:
    local = value.to_local() if isinstance(value, DTensor) else value
    if local.numel():
        distributed.recv(_byte_view(local), 0)


def _byte_view(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a contiguous tensor, as a view: (bytes,) uint8."""
    return tensor.detach().view(-1).view(torch.uint8)
