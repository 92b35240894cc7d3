"""Under torchrun: rank 0 runs the recipe and talks, the others take part in its training until they are let go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunesmith import process

if TYPE_CHECKING:
    from tunesmith.context import Context


def several() -> bool:
    """Whether torchrun has started this process as one of its ranks."""
    return process.environment("RANK") is not None


def took_part(context: "Context") -> bool:
    """Whether this process is another rank than 0; then it has done its part when this returns."""
    if not several():
        return False
    from tunesmith import train

    if not train.follows():
        return False
    train.follow(context)
    return True


@contextmanager
def leading() -> Iterator[None]:
    """Around what rank 0 does; the others are let go at its end, well or not."""
    try:
        yield
    finally:
        if several():
            from tunesmith import train

            train.dismiss()
