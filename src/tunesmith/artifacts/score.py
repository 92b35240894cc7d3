"""Score: the value of one metric on one example."""

from tunesmith.artifacts.base import Artifact


class Score(Artifact):
    """The value of one metric on one example, with the output it was computed from.

    `value` is None when the example cannot be scored; `note` explains an unusual case.
    """

    row_id: str
    scorer: str
    value: float | None
    output: str = ""
    expected: str = ""
    note: str = ""
