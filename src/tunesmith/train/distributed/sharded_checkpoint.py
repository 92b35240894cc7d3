"""Checkpoints of a model that is cut up: every rank writes its slices, and any number of ranks reads them.

torch.distributed.checkpoint in its safetensors layout: a file per rank, every tensor with its offset in the whole. No pickle is
written or read. A checkpoint of one process reads the same way: each of its tensors is one slice.
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
"""Beside the tensors of a checkpoint: how many ranks made it, and the files of slices with their bytes."""

START_OVER_HINT: Final = "delete the folder to start over"


def write_slices(folder: Path, tensors: Mapping[str, torch.Tensor], ranks: Ranks) -> None:
    """Make `folder` anew with every rank's slices in it. All ranks call it; a tensor that is not cut up is written once."""
    if ranks.leads:
        with disk_errors(folder):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
    barrier(ranks)
    with disk_errors(folder), _lowest_rank_error():
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        save(dict(tensors), storage_writer=writer)
    if ranks.leads:
        write_ranks_file(folder, ranks)
    barrier(ranks)


def read_slices(
    folder: Path, tensors: Mapping[str, torch.Tensor], ranks: Ranks, *, optimizer: Optimizers | None = None
) -> None:
    """Put tensors, and the optimiser's state, back in place from the slices of however many ranks wrote them.

    Each rank reads what its own slices need. A weight in bf16 whose master was kept comes back from the master, be it here a
    pair again or one slice in fp32. Raises IntegrityBroken when a file or a tensor is missing or cut short.
    """
    _check_files(folder)
    try:
        with _lowest_rank_error(), warnings.catch_warnings():
            # Said by torch 2.13 when one process reads, which is what is meant here.
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            reader = HuggingFaceStorageReader(str(folder))
            state = {} if optimizer is None else _empty_optimizer_state(optimizer, reader)
            load({**_load_targets(tensors, optimizer, reader), **state}, storage_reader=reader, no_dist=ranks.size == 1)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise IntegrityBroken(
            f"a checkpoint cannot be read: {error}", where=str(folder), hint=START_OVER_HINT
        ) from error
    if optimizer is None:
        return
    with torch.no_grad():
        for weight, master in optimizer.masters:
            weight.copy_(master)
    optimizer.restore(state)


def write_ranks_file(folder: Path, ranks: Ranks) -> None:
    """Leave the record in a checkpoint of several ranks; one of a single process has none."""
    if ranks.size > 1:
        slices = {path.name: path.stat().st_size for path in sorted(folder.glob("shard-*.safetensors"))}
        write_atomic(folder / RANKS_FILE, canonical_bytes({"ranks": ranks.size, "slices": slices}))


def saved_rank_count(folder: Path) -> int:
    """How many ranks made a checkpoint."""
    return int(_read_ranks_file(folder)["ranks"])


def is_sharded(folder: Path) -> bool:
    """Whether a checkpoint holds slices of tensors."""
    return bool(_read_ranks_file(folder)["slices"])


def _read_ranks_file(folder: Path) -> dict[str, Any]:
    path = folder / RANKS_FILE
    if not path.is_file():
        return {"ranks": 1, "slices": {}}
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise IntegrityBroken(f"not JSON: {error}", where=str(path), hint=START_OVER_HINT) from error
    return found


def _check_files(folder: Path) -> None:
    """torch takes a tensor whose slice is missing for complete and leaves the gap as it was; so files are counted first."""
    for name, size in _read_ranks_file(folder)["slices"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            said = "a checkpoint cannot be read: a rank's slices are missing or cut short"
            raise IntegrityBroken(said, where=str(path), hint=START_OVER_HINT)


def _load_targets(
    tensors: Mapping[str, torch.Tensor], optimizer: Optimizers | None, reader: Any
) -> dict[str, torch.Tensor]:
    """Where each tensor goes, by the name under which it is read: a master in fp32 comes before the weight made from it."""
    if optimizer is None:
        return {name: value.detach() for name, value in tensors.items()}
    saved = reader.read_metadata().state_dict_metadata
    numbers = {
        id(value): f"{part}.{index}.{MASTER_KEY}"
        for part, values in enumerate(_tensors_by_part(optimizer))
        for index, value in enumerate(values)
    }
    moved = {name: optimizer.moved_for(value) for name, value in tensors.items()}
    return {
        numbers[id(value)] if numbers[id(value)] in saved else name: value.detach() for name, value in moved.items()
    }


def _tensors_by_part(optimizer: Optimizers) -> list[list[torch.Tensor]]:
    """What each part of the optimiser moves, in the order of its state."""
    return [[one for group in part.param_groups for one in group["params"]] for part, _ in optimizer.parts]


def _empty_optimizer_state(optimizer: Optimizers, reader: Any) -> dict[str, torch.Tensor]:
    """Empty tensors for the optimiser's state as it was saved: cut up like its parameter where it has its shape."""
    values = _tensors_by_part(optimizer)
    room: dict[str, torch.Tensor] = {}
    for key, entry in reader.read_metadata().state_dict_metadata.items():
        part, _, rest = key.partition(".")
        if not part.isdecimal() or rest.endswith(f".{MASTER_KEY}"):
            continue
        value = values[int(part)][int(rest.partition(".")[0])].detach()
        same = entry.size == value.shape
        dtype = entry.properties.dtype
        room[key] = torch.zeros_like(value, dtype=dtype) if same else torch.zeros(entry.size, dtype=dtype)
    return room


@contextmanager
def _lowest_rank_error() -> Iterator[None]:
    """The failure of the lowest rank, out of the exception in which torch wraps all of them."""
    try:
        yield
    except CheckpointException as error:
        failures = error.failures
        raise failures[min(failures)][0] from error
