"""Redaction: spans replaced by typed placeholders; the same value has the same number throughout the data set."""

from typing import Final

from tunesmith.artifacts import Example, Message, Span, Text

REMOVE_SEPARATORS: Final = str.maketrans("", "", "-()/")


class Redactor:
    """Replaces spans in one example after the other, e.g. by [email-1]; remembers what was numbered how.

    Values count as the same without regard to case, spaces and the hyphens, slashes and brackets in a number, so that a card
    is one card however it is grouped. Numbers follow the order of the examples, so they are the same each time.
    """

    def __init__(self) -> None:
        self._numbers = _PlaceholderNumbers()

    def of(self, example: Example, spans: list[Span]) -> Example:
        """The example with the spans replaced; what else it holds stays."""
        if not example.messages:
            return example.model_copy(update={"text": _redact_text(example.text or "", spans, self._numbers)})
        turns = tuple(
            _redact_message(turn, [span for span in spans if span.message == number], self._numbers)
            for number, turn in enumerate(example.messages)
        )
        return example.model_copy(update={"messages": turns})


class _PlaceholderNumbers:
    """Placeholders given so far, by kind and value."""

    def __init__(self) -> None:
        self._given: dict[str, dict[str, int]] = {}

    def placeholder(self, kind: str, value: str) -> str:
        given = self._given.setdefault(kind, {})
        number = given.setdefault(_normalized_value(value), len(given) + 1)
        return f"[{kind}-{number}]"


def _normalized_value(value: str) -> str:
    """What all ways to write a value have in common; a hyphen in an address with an @ is part of the name."""
    tight = "".join(value.split()).casefold()
    return tight if "@" in tight else tight.translate(REMOVE_SEPARATORS)


def _redact_message(turn: Message, spans: list[Span], numbers: _PlaceholderNumbers) -> Message:
    """The turn with its text parts joined into one, since a span may reach over two; media parts follow."""
    if not spans:
        return turn
    media = tuple(part for part in turn.content if not isinstance(part, Text))
    return turn.model_copy(update={"content": (Text(text=_redact_text(turn.text, spans, numbers)), *media)})


def _redact_text(text: str, spans: list[Span], numbers: _PlaceholderNumbers) -> str:
    made, position = "", 0
    for start, end, kind in _merge_spans(spans):
        made += text[position:start] + numbers.placeholder(kind, text[start:end])
        position = end
    return made + text[position:]


def _merge_spans(spans: list[Span]) -> list[tuple[int, int, str]]:
    """Spans in order; those that overlap become one, of the kind that starts first, so that nothing is left standing."""
    merged: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.kind)):
        if merged and span.start < merged[-1][1]:
            start, end, kind = merged[-1]
            merged[-1] = (start, max(end, span.end), kind)
        else:
            merged.append((span.start, span.end, span.kind))
    return merged
