"""When ranks fail, only the first failure is reported: the ranks that fail because of it raise PeerFailed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from torch import distributed

from tunesmith.errors import MachineFailure, PeerFailed
from tunesmith.train.distributed.ranks import Ranks

FAILURE_KEY: Final = "tunesmith/fault"
CONNECTION_ERRORS: Final = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo", "NCCL")
"""Parts of the RuntimeError messages of torch 2.13 when another process has exited."""


@contextmanager
def first_failure(ranks: Ranks) -> Iterator[None]:
    """Re-raise the first failure of a run, and turn every later one into PeerFailed.

    The first rank to fail sets a key in the rendezvous store. A killed rank sets none: the first rank that loses the
    connection to it raises MachineFailure.
    """
    try:
        yield
    except BaseException as error:
        if ranks.size == 1:
            raise
        if not _is_first(ranks):
            raise PeerFailed("another rank failed first; see its message", where=f"rank {ranks.rank}") from error
        if isinstance(error, RuntimeError) and any(word in str(error) for word in CONNECTION_ERRORS):
            hint = "check whether it was killed or ran out of memory; the same command resumes from the last checkpoint"
            raise MachineFailure("another rank has exited", where=f"rank {ranks.rank}", hint=hint) from error
        raise


def has_failed(ranks: Ranks) -> bool:
    """Whether a rank of this run has failed, or the rendezvous store can no longer be reached."""
    if ranks.size == 1:
        return False
    try:
        return bool(_rendezvous_store().check([FAILURE_KEY]))
    except RuntimeError:
        return True


def _is_first(ranks: Ranks) -> bool:
    """Whether this rank fails first. False when the rendezvous store is gone, because then its host has failed before."""
    try:
        winner = _rendezvous_store().compare_set(FAILURE_KEY, "", str(ranks.rank))
    except RuntimeError:
        return False
    return bool(winner == str(ranks.rank).encode())


def _rendezvous_store() -> Any:
    return distributed.distributed_c10d._get_default_store()
