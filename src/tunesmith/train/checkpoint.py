"""Checkpoints: tensors as safetensors, the rest as JSON. A checkpoint is complete before the `latest` pointer names it."""

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tunesmith.errors import IntegrityBroken
from tunesmith.store.objects import disk_errors, write_atomic
from tunesmith.train.distributed.gradients import check_same_weights
from tunesmith.train.distributed.ranks import SINGLE_RANK, Ranks, barrier
from tunesmith.train.distributed.sharded_checkpoint import (
    START_OVER_HINT,
    is_sharded,
    read_slices,
    write_ranks_file,
    write_slices,
)
from tunesmith.train.optimizers import Optimizers
from tunesmith.train.state import TrainState

POINTER_FILE = "latest"
BEST_SLICES_FOLDER = "best-slices"


def trainable_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that require gradients, by name, in the model's order."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: Optimizers, *, state: TrainState, ranks: Ranks = SINGLE_RANK
) -> None:
    """Write `step-<n>/`, then move the pointer to it, then delete older checkpoints.

    All ranks call it. Under ddp rank 0 writes, after a check that all ranks hold the same weights; under fsdp every rank
    writes its slices. Raises MachineFailure when the disk is full.
    """
    target = folder / f"step-{state.step}"
    values = {name: value.detach() for name, value in trainable_tensors(model).items()}
    check_same_weights(list(values.values()), ranks)
    if ranks.sharded:
        write_slices(target, {**values, **optimizer.tensors()}, ranks)
    elif ranks.is_main:
        with disk_errors(target):
            if target.exists():
                shutil.rmtree(target)
            target.mkdir(parents=True)
            save_file(values, target / "model.safetensors")
            save_file(optimizer.tensors(), target / "optimizer.safetensors")
        write_ranks_file(target, ranks)
    if ranks.is_main:
        _move_pointer(target, state)
    barrier(ranks)


def _move_pointer(target: Path, state: TrainState) -> None:
    folder = target.parent
    write_atomic(target / "state.json", state.canonical())
    write_atomic(folder / POINTER_FILE, target.name.encode())
    for old in folder.glob("step-*"):
        if old.name != target.name:
            shutil.rmtree(old)


def load_state(folder: Path, key: str) -> TrainState | None:
    """The state of the latest checkpoint, or None without one. Raises IntegrityBroken when it belongs to another run."""
    pointer = folder / POINTER_FILE
    if not pointer.exists():
        return None
    path = folder / pointer.read_text() / "state.json"
    if not path.is_file():
        raise IntegrityBroken("the checkpoint is missing", where=str(path), hint=START_OVER_HINT)
    state = TrainState.from_bytes(path.read_bytes())
    if state.key != key:
        raise IntegrityBroken(
            "the checkpoint is of other data, another recipe or other code",
            where=str(folder),
            hint=START_OVER_HINT,
        )
    return state


def load_tensors(
    folder: Path, model: nn.Module, optimizer: Optimizers, *, step: int, ranks: Ranks = SINGLE_RANK
) -> None:
    """Load the tensors of a checkpoint, bit for bit. Raises IntegrityBroken when a file is missing or truncated."""
    source = folder / f"step-{step}"
    if ranks.sharded or is_sharded(source):
        read_slices(source, trainable_tensors(model), ranks, optimizer=optimizer)
        return
    _copy_into(model, _read_tensors(source / "model.safetensors"))
    optimizer.restore(_read_tensors(source / "optimizer.safetensors"))


def save_best(folder: Path, model: nn.Module, ranks: Ranks = SINGLE_RANK) -> None:
    """Save the weights with the lowest validation loss so far. All ranks call it."""
    if ranks.sharded:
        write_slices(
            folder / BEST_SLICES_FOLDER,
            {name: value.detach() for name, value in trainable_tensors(model).items()},
            ranks,
        )
        return
    if not ranks.is_main:
        return
    with disk_errors(folder):
        shutil.rmtree(folder / BEST_SLICES_FOLDER, ignore_errors=True)
        temporary = folder / "best.tmp.safetensors"
        save_file({name: value.detach() for name, value in trainable_tensors(model).items()}, temporary)
        temporary.replace(folder / "best.safetensors")


def load_best(folder: Path, model: nn.Module, ranks: Ranks = SINGLE_RANK) -> None:
    """Load the weights with the lowest validation loss. All ranks call it."""
    barrier(ranks)
    slices = (folder / BEST_SLICES_FOLDER).is_dir()
    if ranks.sharded or slices:
        read_slices(folder / BEST_SLICES_FOLDER if slices else folder, trainable_tensors(model), ranks)
        return
    _copy_into(model, _read_tensors(folder / "best.safetensors"))


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise IntegrityBroken(
            f"the checkpoint cannot be read: {error}", where=str(path), hint=START_OVER_HINT
        ) from error


def _copy_into(model: nn.Module, saved: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in trainable_tensors(model).items():
            value.copy_(saved[name])
