"""Ranks and their collectives: join the process group, broadcast, all-gather, all-reduce, barrier."""

import atexit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, TypeVar

import torch
from torch import distributed

from tunesmith import process
from tunesmith.errors import Misuse

T = TypeVar("T")
Strategy = Literal["ddp", "fsdp"]

COLLECTIVE_TIMEOUT: Final = timedelta(days=1)
"""How long a collective waits: ranks 1 and up wait while rank 0 audits the data. A rank that dies is noticed at once."""


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among the `size` ranks of a run. Only rank 0 writes to the store and prints.

    `root` is the module whose parameters FSDP2 gathers (`wrap.LossRoot`), or None where every rank holds the whole model.
    """

    rank: int = 0
    size: int = 1
    strategy: Strategy = "ddp"
    root: Any = None

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether parameters are sharded over the ranks."""
        return self.size > 1 and self.strategy == "fsdp"

    @property
    def noise_id(self) -> str:
        """Suffix for the names of noise seeds: ranks draw different noise, and rank 0 (empty) that of a single process."""
        return "" if self.is_main else f"@{self.rank}"


SINGLE_RANK: Final = Ranks()


def join_ranks(strategy: Strategy = "ddp") -> Ranks:
    """The rank of this process among those that torchrun or Ray Train started; a single rank without them.

    The process group is initialized once per process. Raises Misuse when WORLD_SIZE is set without RANK, MASTER_ADDR and
    MASTER_PORT, or when a machine with GPUs has fewer GPUs than ranks.
    """
    if not distributed.is_initialized():
        if (_integer_variable("WORLD_SIZE") or 1) == 1:
            return Ranks(strategy=strategy)
        _init_process_group()
    return Ranks(distributed.get_rank(), distributed.get_world_size(), strategy)


def rank_device() -> torch.device:
    """The device of this rank: its own GPU, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def broadcast(ranks: Ranks, make: Callable[[], T]) -> T:
    """Call `make` on rank 0 only, and return its value on every rank. The value must pickle."""
    if ranks.size == 1:
        return make()
    box: list[Any] = [make() if ranks.is_main else None]
    distributed.broadcast_object_list(box, src=0)
    value: T = box[0]
    return value


def all_gather(ranks: Ranks, value: T) -> list[T]:
    """The values of all ranks, in rank order, on every rank."""
    if ranks.size == 1:
        return [value]
    values: list[Any] = [None] * ranks.size
    distributed.all_gather_object(values, value)
    return values


def all_reduce_sum(ranks: Ranks, values: Sequence[float]) -> list[float]:
    """Element-wise sums over the ranks, in fp64; bit-identical on every rank."""
    if ranks.size == 1:
        return list(values)
    sums = torch.tensor(values, dtype=torch.float64, device=rank_device())
    distributed.all_reduce(sums)
    return [float(value) for value in sums]


def barrier(ranks: Ranks) -> None:
    """Block until every rank has arrived."""
    if ranks.size > 1:
        distributed.barrier()


def _init_process_group() -> None:
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if process.environment(name) is None]
    if missing:
        what = f"WORLD_SIZE is {process.environment('WORLD_SIZE')}, but {', '.join(missing)} is not set"
        raise Misuse(what, hint="start the ranks with torchrun, or unset WORLD_SIZE")
    if torch.cuda.is_available():
        local = _integer_variable("LOCAL_RANK") or 0
        if local >= torch.cuda.device_count():
            what = f"local rank {local} has no GPU: this machine has {torch.cuda.device_count()}"
            raise Misuse(what, hint="start at most one rank per GPU: torchrun --nproc-per-node=<number of GPUs>")
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)
    atexit.register(_destroy_process_group)


def _destroy_process_group() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _integer_variable(name: str) -> int | None:
    value = process.environment(name)
    if value is not None and not value.isdecimal():
        raise Misuse(f"{name} is not a number: {value!r}", where="environment")
    return None if value is None else int(value)
