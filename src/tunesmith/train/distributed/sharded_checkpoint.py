"""Sharded checkpoints: every rank writes its slices, and any number of ranks can read them.

Uses torch.distributed.checkpoint with its safetensors storage: a file per rank, every slice with its offset in the whole tensor.
No pickle is written or read. A checkpoint of a single process is read the same way: each of its tensors is one slice.
"""

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from tunesmith.artifacts import canonical_bytes
from tunesmith.errors import IntegrityBroken
from tunesmith.store.objects import disk_errors, write_atomic
from tunesmith.train.distributed.ranks import Ranks, barrier
from tunesmith.train.optimizers import Optimizers
from tunesmith.train.optimizers.container import MASTER_KEY

RANKS_FILE: Final = "ranks.json"
"""In the checkpoint folder: how many ranks wrote it, and the name and size of every slice file."""

START_OVER_HINT: Final = "delete the folder to train from the start"


def write_slices(folder: Path, tensors: Mapping[str, torch.Tensor], ranks: Ranks) -> None:
    """Replace `folder` by one with the slices of all ranks. All ranks call it. A tensor that is not sharded is written once."""
    if ranks.is_main:
        with disk_errors(folder):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
    barrier(ranks)
    with disk_errors(folder), _lowest_rank_error():
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        save(dict(tensors), storage_writer=writer)
    if ranks.is_main:
        write_ranks_file(folder, ranks)
    barrier(ranks)


def read_slices(
    folder: Path, tensors: Mapping[str, torch.Tensor], ranks: Ranks, *, optimizer: Optimizers | None = None
) -> None:
    """Load tensors, and the optimizer's state, in place from a checkpoint of any number of ranks.

    Each rank reads only what its own slices need. A bf16 weight with a saved master is restored from the master, whether it is
    again a weight with a master or one fp32 slice. Raises IntegrityBroken when a file or a tensor is missing or truncated.
    """
    _check_files(folder)
    try:
        with _lowest_rank_error(), warnings.catch_warnings():
            # torch 2.13 warns when a single process reads, which is intended here.
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            reader = HuggingFaceStorageReader(str(folder))
            state = {} if optimizer is None else _empty_optimizer_state(optimizer, reader)
            load({**_load_targets(tensors, optimizer, reader), **state}, storage_reader=reader, no_dist=ranks.size == 1)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise IntegrityBroken(
            f"the checkpoint cannot be read: {error}", where=str(folder), hint=START_OVER_HINT
        ) from error
    if optimizer is None:
        return
    with torch.no_grad():
        for weight, master in optimizer.masters:
            weight.copy_(master)
    optimizer.restore(state)


def write_ranks_file(folder: Path, ranks: Ranks) -> None:
    """Write the ranks file; a checkpoint of a single process has none."""
    if ranks.size > 1:
        slices = {path.name: path.stat().st_size for path in sorted(folder.glob("shard-*.safetensors"))}
        write_atomic(folder / RANKS_FILE, canonical_bytes({"ranks": ranks.size, "slices": slices}))


def saved_rank_count(folder: Path) -> int:
    """How many ranks wrote the checkpoint."""
    return int(_read_ranks_file(folder)["ranks"])


def is_sharded(folder: Path) -> bool:
    """Whether the checkpoint holds slices of tensors."""
    return bool(_read_ranks_file(folder)["slices"])


def _read_ranks_file(folder: Path) -> dict[str, Any]:
    path = folder / RANKS_FILE
    if not path.is_file():
        return {"ranks": 1, "slices": {}}
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise IntegrityBroken(f"the ranks file is not JSON: {error}", where=str(path), hint=START_OVER_HINT) from error
    return content


def _check_files(folder: Path) -> None:
    """Raises IntegrityBroken for a missing or truncated slice file. torch silently leaves its part of a tensor unchanged."""
    for name, size in _read_ranks_file(folder)["slices"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            what = "the checkpoint cannot be read: the slices of a rank are missing or truncated"
            raise IntegrityBroken(what, where=str(path), hint=START_OVER_HINT)


def _load_targets(
    tensors: Mapping[str, torch.Tensor], optimizer: Optimizers | None, reader: Any
) -> dict[str, torch.Tensor]:
    """The tensors to load into, by saved name. A saved fp32 master is loaded in place of the weight that was rounded from it."""
    if optimizer is None:
        return {name: value.detach() for name, value in tensors.items()}
    saved = reader.read_metadata().state_dict_metadata
    master_names = {
        id(value): f"{part}.{index}.{MASTER_KEY}"
        for part, values in enumerate(_tensors_by_part(optimizer))
        for index, value in enumerate(values)
    }
    updated = {name: optimizer.master_for(value) for name, value in tensors.items()}
    return {
        master_names[id(value)] if master_names[id(value)] in saved else name: value.detach()
        for name, value in updated.items()
    }


def _tensors_by_part(optimizer: Optimizers) -> list[list[torch.Tensor]]:
    """The tensors that each part of the optimizer updates, in the order of its state."""
    return [[value for group in part.param_groups for value in group["params"]] for part, _ in optimizer.parts]


def _empty_optimizer_state(optimizer: Optimizers, reader: Any) -> dict[str, torch.Tensor]:
    """Zero tensors to load the saved optimizer state into, sharded like their parameter where they have its shape."""
    values = _tensors_by_part(optimizer)
    state: dict[str, torch.Tensor] = {}
    for key, entry in reader.read_metadata().state_dict_metadata.items():
        part, _, rest = key.partition(".")
        if not part.isdecimal() or rest.endswith(f".{MASTER_KEY}"):
            continue
        value = values[int(part)][int(rest.partition(".")[0])].detach()
        same = entry.size == value.shape
        dtype = entry.properties.dtype
        state[key] = torch.zeros_like(value, dtype=dtype) if same else torch.zeros(entry.size, dtype=dtype)
    return state


@contextmanager
def _lowest_rank_error() -> Iterator[None]:
    """Raise the error of the lowest failing rank in place of torch's exception that wraps the errors of all ranks."""
    try:
        yield
    except CheckpointException as error:
        failures = error.failures
        raise failures[min(failures)][0] from error
