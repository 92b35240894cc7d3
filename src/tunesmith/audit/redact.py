"""Replace spans by typed placeholders; equal values get the same number throughout the data set."""

from typing import Final

from tunesmith.artifacts import Example, Message, Span, Text

REMOVE_SEPARATORS: Final = str.maketrans("", "", "-()/")


class Redactor:
    """Replaces spans by placeholders such as [email-1] and remembers the number of each value.

    Values are compared without case, spaces, hyphens, slashes and brackets, so a card number matches however it is grouped.
    Numbers follow the order of the examples, so they are reproducible.
    """

    def __init__(self) -> None:
        self._numbers = _PlaceholderNumbers()

    def redact(self, example: Example, spans: list[Span]) -> Example:
        """The example with the spans replaced and everything else unchanged."""
        if not example.messages:
            return example.model_copy(update={"text": _redact_text(example.text or "", spans, self._numbers)})
        messages = tuple(
            _redact_message(message, [span for span in spans if span.message == number], self._numbers)
            for number, message in enumerate(example.messages)
        )
        return example.model_copy(update={"messages": messages})


class _PlaceholderNumbers:
    """Placeholder numbers assigned so far, by kind and value."""

    def __init__(self) -> None:
        self._by_kind: dict[str, dict[str, int]] = {}

    def placeholder(self, kind: str, value: str) -> str:
        numbers = self._by_kind.setdefault(kind, {})
        number = numbers.setdefault(_normalized_value(value), len(numbers) + 1)
        return f"[{kind}-{number}]"


def _normalized_value(value: str) -> str:
    """A form shared by all spellings of a value; in values with an @, hyphens are kept as part of the address."""
    compact = "".join(value.split()).casefold()
    return compact if "@" in compact else compact.translate(REMOVE_SEPARATORS)


def _redact_message(message: Message, spans: list[Span], numbers: _PlaceholderNumbers) -> Message:
    """The redacted message, its text parts joined since a span may cross two of them; media parts follow."""
    if not spans:
        return message
    media = tuple(part for part in message.content if not isinstance(part, Text))
    return message.model_copy(update={"content": (Text(text=_redact_text(message.text, spans, numbers)), *media)})


def _redact_text(text: str, spans: list[Span], numbers: _PlaceholderNumbers) -> str:
    redacted, position = "", 0
    for start, end, kind in _merge_spans(spans):
        redacted += text[position:start] + numbers.placeholder(kind, text[start:end])
        position = end
    return redacted + text[position:]


def _merge_spans(spans: list[Span]) -> list[tuple[int, int, str]]:
    """Spans in order; overlapping ones are merged under the kind that starts first, so nothing remains unredacted."""
    merged: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.kind)):
        if merged and span.start < merged[-1][1]:
            start, end, kind = merged[-1]
            merged[-1] = (start, max(end, span.end), kind)
        else:
            merged.append((span.start, span.end, span.kind))
    return merged
