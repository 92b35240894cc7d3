"""Finding: the row, the rule, the other row it was compared with, and the action taken."""

from typing import Final, Literal

from tunesmith.artifacts.base import Artifact

Severity = Literal["info", "warning", "error"]
Action = Literal["block", "drop", "redact", "warn"]

ACTION_WORDING: Final[dict[Action, str]] = {
    "block": "stopped the run",
    "drop": "taken out",
    "redact": "replaced inside the row",
    "warn": "kept, with a warning",
}
"""What was done about a finding, in words, for terminals and pages."""


class Place(Artifact):
    """Where a row is: its id, the file it was read from, and the line (from 1)."""

    row_id: str
    file: str
    line: int


class Span(Artifact):
    """Characters [start, end) of one message (of the text: message 0), and the kind of match."""

    message: int
    start: int
    end: int
    kind: str


class Finding(Artifact):
    """One defect of a row, or of a source (`place.line` is 0). `excerpt` never contains personal data or a secret."""

    rule: str
    severity: Severity
    action: Action
    place: Place
    reason: str
    spans: tuple[Span, ...] = ()
    other: Place | None = None
    similarity: float | None = None
    excerpt: str = ""
