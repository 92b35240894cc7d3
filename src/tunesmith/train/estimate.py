"""What a run will need. Memory that stays is counted tensor by tensor; activations and time come from one pass that is tried.

The tried pass runs forward and backward as the loop would run it, and leaves the model as it was: no optimiser step, no
gradient kept, mode and random state put back.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tunesmith import process
from tunesmith.artifacts import FixedMemory
from tunesmith.models.packed.lean import lean
from tunesmith.models.tasks import PACKED, EncodedRow, Passes
from tunesmith.ports import Clock
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable
from tunesmith.train.optimizers import Muon, Optimizers

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402

STEP_COUNTER: Final = 4
"""Bytes of the fp32 step counter that torch's AdamW keeps for every tensor."""

SMALLEST_IN_8_BIT: Final = 4096
BLOCK_8_BIT: Final = 256
"""bitsandbytes: tensors below 4,096 elements keep fp32 states; the others two bytes an element and, for every 256 elements,
two fp32 scales. Source: `bitsandbytes/optim/optimizer.py` of 0.45 and later; its two shared tables of 1 kB are left out.
"""

ACTIVATIONS_HOW: Final = (
    "bytes that autograd kept for the backward of the largest pass, without what one layer or one slice of logits needs "
    "for a moment"
)
TIME_HOW: Final = (
    "the largest pass forward and backward, timed once after an untimed round, times the tokens of all passes; without "
    "optimiser steps, validation and checkpoints"
)


@dataclass(frozen=True)
class Trial:
    """One pass as it was tried: tokens through the trunk, seconds forward and backward, bytes kept in between."""

    tokens: int
    seconds: float
    kept_bytes: int


def fixed_memory(model: nn.Module, optimizer: Optimizers) -> FixedMemory:
    """Bytes of weights and buffers (tied ones once), of a gradient for every tensor that moves, and of the optimiser.

    A gradient is in the precision in which passes are summed: fp32 under weights in bf16 too, four bytes where the weight has
    two. The master of such a weight is counted with the optimiser; it reads that gradient and needs none of its own.
    """
    tensors = [*model.state_dict(keep_vars=True).values(), *model.parameters(), *model.buffers()]
    return FixedMemory(
        weights=sum({tensor.data_ptr(): _size(tensor) for tensor in tensors}.values()),
        gradients=sum(_gradient_size(value) for value in trainable(model).values()),
        optimizer=sum(_state_size(part, value) for part, value in _moved(optimizer))
        + sum(_size(master) for _, master in optimizer.masters),
    )


def try_pass(
    model: Any,
    rows: Sequence[EncodedRow],
    *,
    settings: TrainSettings,
    share: bool,
    clock: Clock,
    passes: Passes = PACKED,
) -> Trial:
    """Forward and backward over `rows` twice: once to count what autograd keeps, once against the clock."""
    batch = passes.pack(rows, next(model.parameters()).device, share=share)
    with untouched(model), lean(model):
        kept: dict[int, int] = {}
        own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
        with torch.autograd.graph.saved_tensors_hooks(_count_into(kept), _as_it_is):
            loss = passes.loss(model, batch, label_smoothing=settings.label_smoothing)
        loss.backward()
        _forget_gradients(model)
        _settle(batch.ids)
        before = clock.seconds()
        passes.loss(model, batch, label_smoothing=settings.label_smoothing).backward()
        _settle(batch.ids)
        seconds = clock.seconds() - before
    return Trial(batch.tokens, seconds, sum(size for place, size in kept.items() if place not in own))


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Training mode for a while; afterwards mode, random state and the absence of gradients are as before."""
    devices = sorted({value.device.index or 0 for value in model.parameters() if value.is_cuda})
    training = model.training
    with torch.random.fork_rng(devices=devices):
        model.train()
        try:
            yield
        finally:
            _forget_gradients(model)
            model.train(training)


def _forget_gradients(model: nn.Module) -> None:
    for value in model.parameters():
        value.grad = None


def _settle(ids: torch.Tensor) -> None:
    """Wait for the device: CUDA runs behind the program."""
    if ids.is_cuda:
        torch.cuda.synchronize(ids.device)


def _count_into(kept: dict[int, int]) -> Any:
    """A hook that notes each storage once; views of one storage share it."""

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    return note


def _as_it_is(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _gradient_size(value: torch.Tensor) -> int:
    kept = value.grad_dtype or value.dtype
    return value.numel() * kept.itemsize


def _moved(optimizer: Optimizers) -> Iterable[tuple[torch.optim.Optimizer, torch.Tensor]]:
    for part, _ in optimizer.parts:
        for group in part.param_groups:
            yield from ((part, value) for value in group["params"])


def _state_size(part: torch.optim.Optimizer, value: torch.Tensor) -> int:
    """Bytes of state for one tensor, by the kind of its optimiser."""
    match part:
        case Muon():
            return _size(value)
        case torch.optim.AdamW():
            return 2 * _size(value) + STEP_COUNTER
        case _ if value.numel() < SMALLEST_IN_8_BIT:
            return 8 * value.numel()
        case _:
            return 2 * value.numel() + 8 * -(-value.numel() // BLOCK_8_BIT)
