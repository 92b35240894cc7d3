"""Checkpoints: tensors as safetensors, the rest as JSON, complete before the pointer to them moves."""

import shutil
from pathlib import Path

from tunesmith import process
from tunesmith.errors import IntegrityBroken
from tunesmith.store.objects import disk_errors, write_atomic
from tunesmith.train.distributed.gradients import check_alike
from tunesmith.train.distributed.ranks import ALONE, Ranks, wait
from tunesmith.train.distributed.shards import is_cut_up, note_ranks, read_slices, write_slices
from tunesmith.train.optimizers import Optimizers
from tunesmith.train.state import TrainState

process.prepare()

import torch  # noqa: E402
from safetensors import SafetensorError  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

POINTER = "latest"
BEST_SLICES = "best-slices"
START_OVER = "delete the folder to start over"


def trainable(model: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that move, by name, in the model's order."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: Optimizers, *, state: TrainState, ranks: Ranks = ALONE
) -> None:
    """Write `step-<n>/`, then move the pointer, then delete what the pointer no longer names.

    All ranks call it. Rank 0 writes, after a check that all hold the same; where tensors are cut up each writes its slices.
    """
    target = folder / f"step-{state.step}"
    values = {name: value.detach() for name, value in trainable(model).items()}
    check_alike(list(values.values()), ranks)
    if ranks.sharded:
        write_slices(target, {**values, **optimizer.tensors()}, ranks)
    elif ranks.leads:
        with disk_errors(target):
            if target.exists():
                shutil.rmtree(target)
            target.mkdir(parents=True)
            save_file(values, target / "model.safetensors")
            save_file(optimizer.tensors(), target / "optimizer.safetensors")
        note_ranks(target, ranks)
    if ranks.leads:
        _point_to(target, state)
    wait(ranks)


def _point_to(target: Path, state: TrainState) -> None:
    folder = target.parent
    write_atomic(target / "state.json", state.canonical())
    write_atomic(folder / POINTER, target.name.encode())
    for old in folder.glob("step-*"):
        if old.name != target.name:
            shutil.rmtree(old)


def load_state(folder: Path, key: str) -> TrainState | None:
    """The state the pointer names, or None when there is none. Raises IntegrityBroken when it belongs to another run."""
    pointer = folder / POINTER
    if not pointer.exists():
        return None
    described = folder / pointer.read_text() / "state.json"
    if not described.is_file():
        raise IntegrityBroken("a checkpoint is missing", where=str(described), hint=START_OVER)
    state = TrainState.from_bytes(described.read_bytes())
    if state.key != key:
        raise IntegrityBroken(
            "the checkpoint belongs to other data, another recipe or other code",
            where=str(folder),
            hint=START_OVER,
        )
    return state


def load_tensors(folder: Path, model: nn.Module, optimizer: Optimizers, *, step: int, ranks: Ranks = ALONE) -> None:
    """Put the tensors of a checkpoint back in place, bit for bit. Raises IntegrityBroken when a file is gone or cut short."""
    source = folder / f"step-{step}"
    if ranks.sharded or is_cut_up(source):
        read_slices(source, trainable(model), ranks, optimizer=optimizer)
        return
    _put_back(model, _tensors(source / "model.safetensors"))
    optimizer.restore(_tensors(source / "optimizer.safetensors"))


def save_best(folder: Path, model: nn.Module, ranks: Ranks = ALONE) -> None:
    """Keep the weights with the lowest validation loss so far. All ranks call it."""
    if ranks.sharded:
        write_slices(folder / BEST_SLICES, {name: value.detach() for name, value in trainable(model).items()}, ranks)
        return
    if not ranks.leads:
        return
    with disk_errors(folder):
        shutil.rmtree(folder / BEST_SLICES, ignore_errors=True)
        temporary = folder / "best.tmp.safetensors"
        save_file({name: value.detach() for name, value in trainable(model).items()}, temporary)
        temporary.replace(folder / "best.safetensors")


def load_best(folder: Path, model: nn.Module, ranks: Ranks = ALONE) -> None:
    """Put the best weights back in place."""
    wait(ranks)
    slices = (folder / BEST_SLICES).is_dir()
    if ranks.sharded or slices:
        read_slices(folder / BEST_SLICES if slices else folder, trainable(model), ranks)
        return
    _put_back(model, _tensors(folder / "best.safetensors"))


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise IntegrityBroken(f"a checkpoint cannot be read: {error}", where=str(path), hint=START_OVER) from error


def _put_back(model: nn.Module, saved: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in trainable(model).items():
            value.copy_(saved[name])
