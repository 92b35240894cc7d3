"""Runs under torchrun: rank 0 runs the recipe and prints; the other ranks only take part in training until released."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunesmith import process

if TYPE_CHECKING:
    from tunesmith.context import Context


def is_distributed() -> bool:
    """Whether this process was started by torchrun."""
    return process.environment("RANK") is not None


def run_as_worker(context: "Context") -> bool:
    """Do the work of a rank other than 0. Returns False on rank 0 and outside torchrun, True once the work is done."""
    if not is_distributed():
        return False
    from tunesmith import train

    if not train.is_follower():
        return False
    train.follow_rank_zero(context)
    return True


@contextmanager
def lead_workers() -> Iterator[None]:
    """Context for the work of rank 0. The other ranks are released on exit, also after an error."""
    try:
        yield
    finally:
        if is_distributed():
            from tunesmith import train

            train.dismiss_followers()
