"""Estimates of the memory and time of a run. Fixed memory is counted tensor by tensor; activations and time are measured.

The measured micro-batch runs forward and backward as in the training loop, and leaves the model unchanged: no optimizer step, no
gradient kept, mode and random state restored.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from tunesmith.artifacts import FixedMemory
from tunesmith.models.packed import use_lean_layers
from tunesmith.models.tasks import PACKED_BATCHING, Batching, EncodedRow
from tunesmith.ports import Clock
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.optimizers import Muon, Optimizers

ADAMW_STEP_BYTES: Final = 4
"""Bytes of the fp32 step count that torch's AdamW keeps per tensor."""

MIN_8_BIT_ELEMENTS: Final = 4096
ELEMENTS_PER_8_BIT_BLOCK: Final = 256
"""bitsandbytes keeps fp32 states for tensors under 4,096 elements; for others two bytes per element and two fp32 scales per block
of 256 elements. Source: `bitsandbytes/optim/optimizer.py` of 0.45 and later. Its two shared tables of 1 kB are not counted.
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
class MicroBatchMeasurement:
    """A measured micro-batch: computed tokens, seconds for forward and backward, and activation bytes kept in between."""

    tokens: int
    seconds: float
    kept_bytes: int


def fixed_memory(model: nn.Module, optimizer: Optimizers) -> FixedMemory:
    """Bytes of weights and buffers (tied ones once), of the gradients of all trainable tensors, and of the optimizer.

    Gradients are counted in the precision in which they are accumulated, which is fp32 for bf16 weights too: four bytes per
    element. The fp32 master of a bf16 weight is counted with the optimizer, and uses the weight's gradient.
    """
    tensors = [*model.state_dict(keep_vars=True).values(), *model.parameters(), *model.buffers()]
    return FixedMemory(
        weights=sum({tensor.data_ptr(): _tensor_bytes(tensor) for tensor in tensors}.values()),
        gradients=sum(_gradient_bytes(value) for value in trainable_tensors(model).values()),
        optimizer=sum(_state_bytes(part, value) for part, value in _optimizer_tensors(optimizer))
        + sum(_tensor_bytes(master) for _, master in optimizer.masters),
    )


def measure_micro_batch(
    model: Any,
    rows: Sequence[EncodedRow],
    *,
    settings: TrainSettings,
    share: bool,
    clock: Clock,
    batching: Batching = PACKED_BATCHING,
) -> MicroBatchMeasurement:
    """Run forward and backward over `rows` twice: first to count the bytes that autograd keeps, then to measure the time."""
    batch = batching.pack(rows, next(model.parameters()).device, share=share)
    with temporary_training_mode(model), use_lean_layers(model):
        kept: dict[int, int] = {}  # bytes by storage address
        own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
        with torch.autograd.graph.saved_tensors_hooks(_storage_counter(kept), _identity):
            loss = batching.loss(model, batch, label_smoothing=settings.label_smoothing)
        loss.backward()
        _clear_gradients(model)
        _synchronize(batch.ids)
        started = clock.seconds()
        batching.loss(model, batch, label_smoothing=settings.label_smoothing).backward()
        _synchronize(batch.ids)
        seconds = clock.seconds() - started
    return MicroBatchMeasurement(
        batch.tokens, seconds, sum(size for address, size in kept.items() if address not in own)
    )


@contextmanager
def temporary_training_mode(model: nn.Module) -> Iterator[None]:
    """Training mode while the block runs; then the mode and random state are restored and gradients are cleared."""
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
    """Wait for the device: CUDA runs asynchronously."""
    if ids.is_cuda:
        torch.cuda.synchronize(ids.device)


def _storage_counter(kept: dict[int, int]) -> Any:
    """A pack hook that records the bytes of each storage once; views of a tensor share its storage."""

    def record(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    return record


def _identity(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _tensor_bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _gradient_bytes(value: torch.Tensor) -> int:
    dtype = value.grad_dtype or value.dtype
    return value.numel() * dtype.itemsize


def _optimizer_tensors(optimizer: Optimizers) -> Iterable[tuple[torch.optim.Optimizer, torch.Tensor]]:
    for part, _ in optimizer.parts:
        for group in part.param_groups:
            yield from ((part, value) for value in group["params"])


def _state_bytes(part: torch.optim.Optimizer, value: torch.Tensor) -> int:
    """Bytes of optimizer state for one tensor, by the kind of optimizer."""
    match part:
        case Muon():
            return _tensor_bytes(value)
        case torch.optim.AdamW():
            return 2 * _tensor_bytes(value) + ADAMW_STEP_BYTES
        case _ if value.numel() < MIN_8_BIT_ELEMENTS:
            return 8 * value.numel()
        case _:
            return 2 * value.numel() + 8 * -(-value.numel() // ELEMENTS_PER_8_BIT_BLOCK)
