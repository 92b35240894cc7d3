"""TrainState: everything an interrupted run needs to go on to the same bytes."""

from tunesmith.artifacts import Artifact, CurvePoint
from tunesmith.artifacts.report import WatchFinding


class TrainState(Artifact):
    """The part of the state that is not tensors. `key` is the content key of the run that made it; another key refuses it.

    `step` counts finished optimiser steps; the order of rows follows from the recipe, so a cursor is all that is kept.
    `threads` is fixed at step 0: another count sums in another order and changes bits. `distinct_tokens` is how many tokens
    went through the trunk so far.
    """

    key: str
    step: int
    threads: int
    curve: tuple[CurvePoint, ...] = ()
    held_out: tuple[CurvePoint, ...] = ()
    best_step: int | None = None
    distinct_tokens: int = 0
    watch: tuple[WatchFinding, ...] = ()
