"""Under torchrun: rank 0 runs the recipe and talks, the others take part in its training until they are let go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunesmith import process

if TYPE_CHECKING:
    from tunesmith.context import Context


def is_distributed() -> bool:
    """Whether torchrun has started this process as one of its ranks."""
    return process.environment("RANK") is not None


def run_as_worker(context: "Context") -> bool:
    """Whether this process is another rank than 0; then it has done its part when this returns."""
    if not is_distributed():
        return False
    from tunesmith import train

    if not train.is_follower():
        return False
    train.follow_rank_zero(context)
    return True


@contextmanager
def lead_workers() -> Iterator[None]:
    """Around what rank 0 does; the others are let go at its end, well or not."""
    try:
        yield
    finally:
        if is_distributed():
            from tunesmith import train

            train.dismiss_followers()
