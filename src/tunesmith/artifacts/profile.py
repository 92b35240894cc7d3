"""Profile: counts and lengths of a data set, never a row's text."""

from tunesmith.artifacts.base import Artifact
from tunesmith.artifacts.lengths import Lengths


class SplitProfile(Artifact):
    """One split as it was read. Lengths are characters; `labels`, `licenses`, `sources` and `languages` count rows.

    `labels` counts the classes of rows that have one; `languages` is empty when no check detected them. Each has its 50 most
    common values, and the rest under ""; rows without a value are not counted.
    """

    rows: int
    prompts: Lengths | None
    completions: Lengths | None
    labels: dict[str, int]
    languages: dict[str, int]
    sources: dict[str, int]
    licenses: dict[str, int]


class Profile(Artifact):
    """Both splits, and duplicate clusters of the training rows: {cluster size, including the kept row: number of clusters}."""

    train: SplitProfile
    test: SplitProfile | None
    clusters: dict[int, int]
