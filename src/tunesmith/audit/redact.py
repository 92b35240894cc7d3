"""Redaction: spans replaced by typed placeholders; the same value has the same number throughout the data set."""

from collections.abc import Iterable, Mapping, Sequence

from tunesmith.artifacts import Example, Message, Row, Span, Text


def redact(rows: Sequence[Row], spans: Mapping[int, Iterable[Span]]) -> list[Row]:
    """Rows with the spans of each (by its number) replaced, e.g. by [email-1]. Row ids, files and lines stay.

    Values count as the same without regard to case and spaces. Numbers follow the order of rows, so they are the same
    each time.
    """
    numbers = _Numbers()
    return [_row(row, list(spans[number]), numbers) if number in spans else row for number, row in enumerate(rows)]


class _Numbers:
    """Placeholders given so far, by kind and value."""

    def __init__(self) -> None:
        self._given: dict[str, dict[str, int]] = {}

    def placeholder(self, kind: str, value: str) -> str:
        given = self._given.setdefault(kind, {})
        number = given.setdefault("".join(value.split()).casefold(), len(given) + 1)
        return f"[{kind}-{number}]"


def _row(row: Row, spans: list[Span], numbers: _Numbers) -> Row:
    example = row.example
    if not example.messages:
        text = _text(example.text or "", spans, numbers)
        return row.model_copy(update={"example": Example(text=text, labels=example.labels)})
    turns = tuple(
        _turn(turn, [span for span in spans if span.message == number], numbers)
        for number, turn in enumerate(example.messages)
    )
    return row.model_copy(update={"example": Example(messages=turns)})


def _turn(turn: Message, spans: list[Span], numbers: _Numbers) -> Message:
    """The turn with its text parts joined into one, since a span may reach over two; media parts follow."""
    if not spans:
        return turn
    media = tuple(part for part in turn.content if not isinstance(part, Text))
    return turn.model_copy(update={"content": (Text(text=_text(turn.text, spans, numbers)), *media)})


def _text(text: str, spans: list[Span], numbers: _Numbers) -> str:
    made, position = "", 0
    for start, end, kind in _merged(spans):
        made += text[position:start] + numbers.placeholder(kind, text[start:end])
        position = end
    return made + text[position:]


def _merged(spans: list[Span]) -> list[tuple[int, int, str]]:
    """Spans in order; those that overlap become one, of the kind that starts first, so that nothing is left standing."""
    merged: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.kind)):
        if merged and span.start < merged[-1][1]:
            start, end, kind = merged[-1]
            merged[-1] = (start, max(end, span.end), kind)
        else:
            merged.append((span.start, span.end, span.kind))
    return merged
