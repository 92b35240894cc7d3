"""One message, however many ranks fall: the first to fail says why, the others end quietly behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from torch import distributed

from tunesmith.errors import MachineFailure, PeerFailed
from tunesmith.train.distributed.ranks import Ranks

FAILURE_KEY: Final = "tunesmith/fault"
CONNECTION_ERRORS: Final = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo", "NCCL")
"""What torch 2.13 says in a RuntimeError when another process has gone."""


@contextmanager
def first_failure(ranks: Ranks) -> Iterator[None]:
    """Let the first failure through and turn every later one into PeerFailed, by a mark in the store where ranks meet.

    A rank that was killed leaves no mark: whoever loses the connection to it first raises MachineFailure.
    """
    try:
        yield
    except BaseException as error:
        if ranks.size == 1:
            raise
        if not _is_first(ranks):
            raise PeerFailed("another rank failed first; its message says why", where=f"rank {ranks.rank}") from error
        if isinstance(error, RuntimeError) and any(word in str(error) for word in CONNECTION_ERRORS):
            hint = "was it killed, or out of memory? The same command goes on from the last checkpoint"
            raise MachineFailure("another rank is gone", where=f"rank {ranks.rank}", hint=hint) from error
        raise


def has_failed(ranks: Ranks) -> bool:
    """Whether a rank has failed in this run, or the place where ranks meet is gone."""
    if ranks.size == 1:
        return False
    try:
        return bool(_rendezvous_store().check([FAILURE_KEY]))
    except RuntimeError:
        return True


def _is_first(ranks: Ranks) -> bool:
    """Whether no other rank has failed before; no when the meeting place itself is gone, for then its host has."""
    try:
        found = _rendezvous_store().compare_set(FAILURE_KEY, "", str(ranks.rank))
    except RuntimeError:
        return False
    return bool(found == str(ranks.rank).encode())


def _rendezvous_store() -> Any:
    return distributed.distributed_c10d._get_default_store()
