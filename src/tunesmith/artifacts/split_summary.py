"""SplitSummary: how rows were divided into training rows and held-out rows."""

from tunesmith.artifacts.base import Artifact


class SplitSummary(Artifact):
    """What was asked and what was reached. Shares are of rows; `largest` is the rows of the largest cluster.

    `label_gap` is the widest distance of a label's held-out share from that of all rows, when stratified. `cut` is the first
    held-out day, and `pulled` counts earlier rows that a cluster took along.
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
