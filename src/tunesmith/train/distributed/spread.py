"""What a recipe says about ranks, and where training runs by it."""

from dataclasses import dataclass
from typing import Final, Literal

from tunesmith.train.distributed.ranks import Strategy


@dataclass(frozen=True)
class Spread:
    """`strategy` of several ranks, the `runner` that starts them, and how many `workers` Ray starts."""

    strategy: Strategy = "ddp"
    runner: Literal["local", "ray"] = "local"
    workers: int = 1


HERE: Final = Spread()
