"""Finding: which row, which rule, against which other row, and what was done about it."""

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
    """A row as a person finds it: its id, the file it was read from and the line (from 1)."""

    row_id: str
    file: str
    line: int


class Span(Artifact):
    """Characters [start, end) of one message (or of the text, message 0), and what kind of thing stands there."""

    message: int
    start: int
    end: int
    kind: str


class Finding(Artifact):
    """One defect of one row (or of a whole source, then `place.line` is 0). `excerpt` never repeats personal data or a secret."""

    rule: str
    severity: Severity
    action: Action
    place: Place
    reason: str
    spans: tuple[Span, ...] = ()
    other: Place | None = None
    similarity: float | None = None
    excerpt: str = ""
