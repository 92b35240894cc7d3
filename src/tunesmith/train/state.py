"""TrainState: what an interrupted run needs, beside its tensors, to resume bit for bit."""

from tunesmith.artifacts import Artifact, CurvePoint
from tunesmith.artifacts.report import WatchFinding


class TrainState(Artifact):
    """The state of a run without its tensors. `key` is the content key of the run; a run with another key refuses the state.

    `step` counts finished optimizer steps; the order of rows follows from the recipe, so no other position is kept. `threads`
    is fixed at step 0, because another count adds in another order and changes bits. `distinct_tokens` counts computed tokens,
    with every shared prefix counted once. `held_out` has the validation losses.
    """

    key: str
    step: int
    threads: int
    curve: tuple[CurvePoint, ...] = ()
    held_out: tuple[CurvePoint, ...] = ()
    best_step: int | None = None
    distinct_tokens: int = 0
    watch: tuple[WatchFinding, ...] = ()
