"""Score: what one scorer says of one example."""

from tunesmith.artifacts.base import Artifact


class Score(Artifact):
    """The value of one scorer on one example, with the output it was read from.

    `value` is None when the example cannot be scored; `note` says what was odd.
    """

    row_id: str
    scorer: str
    value: float | None
    output: str = ""
    expected: str = ""
    note: str = ""
