"""The ranks of a run and how they talk: one leads, the others are told."""

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
"""How long a rank waits for another: ranks wait while the first one audits. A rank that dies is noticed at once."""


@dataclass(frozen=True)
class Ranks:
    """This process among the `size` of a run. Rank 0 leads: it alone writes and talks.

    `root` is the module that FSDP2 gathers parameters for (`shard.Whole`), None where every rank holds the whole model.
    """

    rank: int = 0
    size: int = 1
    strategy: Strategy = "ddp"
    root: Any = None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether parameters are cut up among the ranks."""
        return self.size > 1 and self.strategy == "fsdp"

    @property
    def mark(self) -> str:
        """What tells this rank's random streams from the others'; empty on rank 0, which draws what one process draws."""
        return "" if self.leads else f"@{self.rank}"


SINGLE_RANK: Final = Ranks()


def join_ranks(strategy: Strategy = "ddp") -> Ranks:
    """The ranks that torchrun or Ray Train has started, this process among them; one rank when there are no others.

    The process group is opened once per process. Raises Misuse when the environment names ranks but no meeting place, or
    when a rank has no GPU of its own on a machine with GPUs.
    """
    if not distributed.is_initialized():
        if (_integer_variable("WORLD_SIZE") or 1) == 1:
            return Ranks(strategy=strategy)
        _init_process_group()
    return Ranks(distributed.get_rank(), distributed.get_world_size(), strategy)


def rank_device() -> torch.device:
    """Where this rank computes: its own GPU, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def broadcast(ranks: Ranks, make: Callable[[], T]) -> T:
    """What `make` gives on rank 0, on every rank; no other rank calls it."""
    if ranks.size == 1:
        return make()
    box: list[Any] = [make() if ranks.leads else None]
    distributed.broadcast_object_list(box, src=0)
    told: T = box[0]
    return told


def all_gather(ranks: Ranks, value: T) -> list[T]:
    """Every rank's value, in the order of the ranks, on every rank."""
    if ranks.size == 1:
        return [value]
    found: list[Any] = [None] * ranks.size
    distributed.all_gather_object(found, value)
    return found


def all_reduce_sum(ranks: Ranks, values: Sequence[float]) -> list[float]:
    """Sums over the ranks, in fp64; the same bits on every rank."""
    if ranks.size == 1:
        return list(values)
    sums = torch.tensor(values, dtype=torch.float64, device=rank_device())
    distributed.all_reduce(sums)
    return [float(value) for value in sums]


def barrier(ranks: Ranks) -> None:
    """Go on when every rank is here."""
    if ranks.size > 1:
        distributed.barrier()


def _init_process_group() -> None:
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if process.environment(name) is None]
    if missing:
        said = f"WORLD_SIZE says {process.environment('WORLD_SIZE')} ranks, but {', '.join(missing)} is not set"
        raise Misuse(said, hint="start the ranks with torchrun, or unset WORLD_SIZE")
    if torch.cuda.is_available():
        local = _integer_variable("LOCAL_RANK") or 0
        if local >= torch.cuda.device_count():
            said = f"rank {local} of this machine has no GPU: there are {torch.cuda.device_count()}"
            raise Misuse(said, hint="start as many ranks on a machine as it has GPUs")
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)
    atexit.register(_destroy_process_group)


def _destroy_process_group() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _integer_variable(name: str) -> int | None:
    said = process.environment(name)
    if said is not None and not said.isdecimal():
        raise Misuse(f"{name} is not a number: {said!r}", where="environment")
    return None if said is None else int(said)
