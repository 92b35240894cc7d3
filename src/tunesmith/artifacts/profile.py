"""Profile: what a data set looks like at a glance; counts and lengths, never a row's text."""

from tunesmith.artifacts.base import Artifact
from tunesmith.artifacts.lengths import Lengths


class SplitProfile(Artifact):
    """One split as it was read. Lengths are characters; `labels`, `licenses`, `sources` and `languages` count rows.

    `labels` counts the classes of rows that have one; `languages` is empty when no check looked at them. Each lists its 50
    most common values, and under "" the rest; rows that state none are not counted.
    """

    rows: int
    prompts: Lengths | None
    completions: Lengths | None
    labels: dict[str, int]
    languages: dict[str, int]
    sources: dict[str, int]
    licenses: dict[str, int]


class Profile(Artifact):
    """Both splits, and the duplicate clusters of the training rows: {rows of a cluster, the kept one too: clusters}."""

    train: SplitProfile
    test: SplitProfile | None
    clusters: dict[int, int]
