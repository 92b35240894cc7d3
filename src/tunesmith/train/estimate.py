"""What a run will need. Memory that stays is counted tensor by tensor; activations and time come from one pass that is tried.

The tried pass runs forward and backward as the loop would run it, and leaves the model as it was: no optimiser step, no
gradient kept, mode and random state put back.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from tunesmith.artifacts import FixedMemory
from tunesmith.models.packed.lean_layers import use_lean_layers
from tunesmith.models.tasks import PACKED_BATCHING, Batching, EncodedRow
from tunesmith.ports import Clock
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.optimizers import Muon, Optimizers

ADAMW_STEP_BYTES: Final = 4
"""Bytes of the fp32 step counter that torch's AdamW keeps for every tensor."""

MIN_8_BIT_ELEMENTS: Final = 4096
ELEMENTS_PER_8_BIT_BLOCK: Final = 256
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
class PassMeasurement:
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
        weights=sum({tensor.data_ptr(): _tensor_bytes(tensor) for tensor in tensors}.values()),
        gradients=sum(_gradient_bytes(value) for value in trainable_tensors(model).values()),
        optimizer=sum(_state_bytes(part, value) for part, value in _optimizer_tensors(optimizer))
        + sum(_tensor_bytes(master) for _, master in optimizer.masters),
    )


def measure_pass(
    model: Any,
    rows: Sequence[EncodedRow],
    *,
    settings: TrainSettings,
    share: bool,
    clock: Clock,
    passes: Batching = PACKED_BATCHING,
) -> PassMeasurement:
    """Forward and backward over `rows` twice: once to count what autograd keeps, once against the clock."""
    batch = passes.pack(rows, next(model.parameters()).device, share=share)
    with temporary_training_mode(model), use_lean_layers(model):
        kept: dict[int, int] = {}
        own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
        with torch.autograd.graph.saved_tensors_hooks(_storage_counter(kept), _identity):
            loss = passes.loss(model, batch, label_smoothing=settings.label_smoothing)
        loss.backward()
        _clear_gradients(model)
        _synchronize(batch.ids)
        before = clock.seconds()
        passes.loss(model, batch, label_smoothing=settings.label_smoothing).backward()
        _synchronize(batch.ids)
        seconds = clock.seconds() - before
    return PassMeasurement(batch.tokens, seconds, sum(size for place, size in kept.items() if place not in own))


@contextmanager
def temporary_training_mode(model: nn.Module) -> Iterator[None]:
    """Training mode for a while; afterwards mode, random state and the absence of gradients are as before."""
    devices = sorted({value.device.index or 0 for value in model.parameters() if value.is_cuda})
    training = model.training
    with torch.random.fork_rng(devices=devices):
        model.train()
        try:
            yield
        finally:
            _clear_gradients(model)
            model.train(training)


def _clear_gradients(model: nn.Module) -> None:
    for value in model.parameters():
        value.grad = None


def _synchronize(ids: torch.Tensor) -> None:
    """Wait for the device: CUDA runs behind the program."""
    if ids.is_cuda:
        torch.cuda.synchronize(ids.device)


def _storage_counter(kept: dict[int, int]) -> Any:
    """A hook that notes each storage once; views of one storage share it."""

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    return note


def _identity(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _tensor_bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _gradient_bytes(value: torch.Tensor) -> int:
    kept = value.grad_dtype or value.dtype
    return value.numel() * kept.itemsize


def _optimizer_tensors(optimizer: Optimizers) -> Iterable[tuple[torch.optim.Optimizer, torch.Tensor]]:
    for part, _ in optimizer.parts:
        for group in part.param_groups:
            yield from ((part, value) for value in group["params"])


def _state_bytes(part: torch.optim.Optimizer, value: torch.Tensor) -> int:
    """Bytes of state for one tensor, by the kind of its optimiser."""
    match part:
        case Muon():
            return _tensor_bytes(value)
        case torch.optim.AdamW():
            return 2 * _tensor_bytes(value) + ADAMW_STEP_BYTES
        case _ if value.numel() < MIN_8_BIT_ELEMENTS:
            return 8 * value.numel()
        case _:
            return 2 * value.numel() + 8 * -(-value.numel() // ELEMENTS_PER_8_BIT_BLOCK)
