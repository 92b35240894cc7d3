"""SplitSummary: how rows were split into training rows and test rows."""

from tunesmith.artifacts.base import Artifact


class SplitSummary(Artifact):
    """The test share that the recipe sets (`asked`) and the share `reached`; `largest` is the size of the largest cluster.

    `label_gap` is the largest distance of a label's test share from that of all rows, when stratified. In a split by time,
    `cut` is the first test day, and `pulled` counts earlier rows that moved to the test side with their cluster.
    """

    asked: float | None
    reached: float
    rows: int
    held_out: int
    clusters: int
    largest: int
    by: tuple[str, ...]
    label_gap: float | None = None
    cut: str | None = None
    pulled: int = 0
