"""Split a row's text into highlights: matched, replaced and masked text, and differences between two rows.

Rows are stored after redaction, while spans count characters before it. The placeholders align the two, so the page never needs
the text that was removed.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final, Literal

from tunesmith.artifacts import Span
from tunesmith.detect.patterns import PERSONAL, SECRETS, Hit, find_hits

HighlightKind = Literal["plain", "match", "placed", "gone", "masked", "differs"]
"""match: text the rule matched. placed: a placeholder the rule inserted; gone: the text it replaced, masked. masked: personal
data or a secret that stays in the row but is not shown. differs: words that the other row does not have."""

MAX_MESSAGE_CHARACTERS: Final = 520
"""Maximum number of characters shown of a message."""
MAX_LEADING_CHARACTERS: Final = 170
"""Maximum number of characters shown before the first highlight."""
MASK_CHARACTERS: Final = 12
UNREACHABLE: Final = 1 << 60
MAX_COMPARED_CHARACTERS: Final = 6000
"""Maximum number of characters compared of a message."""
MIN_SIMILARITY: Final = 0.3
"""Share of matching words below which two messages count as entirely different."""
_PLACEHOLDER: Final = re.compile(r"\[([a-z0-9-]+)-\d+\]")
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")
_DIRECTION_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Highlight:
    """Consecutive characters of one kind; `note` names the span's kind, for example."""

    text: str
    kind: HighlightKind = "plain"
    note: str = ""


def highlight_message(text: str, cuts: Sequence[Span], spans: Sequence[Span]) -> tuple[Highlight, ...]:
    """Highlights of a stored message; `cuts` are the spans that redaction replaced in it, `spans` those of the finding."""
    pieces: list[Highlight] = []
    for start, end, stored, kind in _align_spans(text, cuts):
        inside = [span for span in spans if span.start < end and span.end > start]
        if kind:
            pieces.append(Highlight(stored, "placed" if inside else "plain", kind if inside else ""))
            continue
        pieces += _split_at_spans(stored, [clip_span(span, start, end) for span in inside])
    return tuple(pieces)


def before_redaction(highlights: Iterable[Highlight]) -> tuple[Highlight, ...]:
    """The message before redaction, with dots in place of each placeholder the rule inserted."""
    return tuple(
        Highlight("•" * MASK_CHARACTERS, "gone", highlight.note) if highlight.kind == "placed" else highlight
        for highlight in highlights
    )


@dataclass(frozen=True)
class MessageComparison:
    """Two messages with their differing words marked; `similarity` is the share of matching words, from 0 to 1."""

    first: tuple[Highlight, ...]
    second: tuple[Highlight, ...]
    similarity: float


def compare_messages(first: Sequence[Highlight], second: Sequence[Highlight]) -> MessageComparison:
    """Compare two messages word by word, ignoring case and the amount of white space."""
    first_words, second_words = (
        list(_split_words(_window(pieces, 0, MAX_COMPARED_CHARACTERS))) for pieces in (first, second)
    )
    matcher = SequenceMatcher(
        None,
        [_comparison_key(piece) for piece in first_words],
        [_comparison_key(piece) for piece in second_words],
        autojunk=False,
    )
    blocks = matcher.get_matching_blocks()
    return MessageComparison(
        _join_neighbours(_mark_differences(first_words, [(block.a, block.size) for block in blocks])),
        _join_neighbours(_mark_differences(second_words, [(block.b, block.size) for block in blocks])),
        matcher.ratio(),
    )


def shorten_message(highlights: Sequence[Highlight], length: int = MAX_MESSAGE_CHARACTERS) -> tuple[Highlight, ...]:
    """At most `length` characters around the first highlight that is not plain, with invisible characters spelled out."""
    total = sum(len(highlight.text) for highlight in highlights)
    focus, position = 0, 0
    for highlight in highlights:
        if highlight.kind != "plain":
            focus = position
            break
        position += len(highlight.text)
    start = max(0, min(focus - min(MAX_LEADING_CHARACTERS, length // 3), total - length))
    shortened = [_spell_out(highlight) for highlight in _window(highlights, start, start + length)]
    head = [Highlight("… ")] if start else []
    tail = [Highlight(" …")] if start + length < total else []
    return tuple(highlight for highlight in (*head, *shortened, *tail) if highlight.text)


def clip_span(span: Span, start: int, end: int) -> Span:
    """The part of a span within [start, end), relative to `start`."""
    return span.model_copy(update={"start": max(span.start, start) - start, "end": min(span.end, end) - start})


def _align_spans(text: str, spans: Sequence[Span]) -> Iterator[tuple[int, int, str, str]]:
    """(start and end before redaction, current text, kind of the placeholder or "") in order.

    If a placeholder is not at its expected position, the rest gets unreachable positions: no highlight rather than a wrong one.
    """
    old, new = 0, 0
    for span in _merge_spans(spans):
        width = span.start - old
        placeholder = _PLACEHOLDER.match(text, new + width)
        if placeholder is None:
            old = UNREACHABLE
            break
        if width:
            yield old, span.start, text[new : new + width], ""
        yield span.start, span.end, placeholder.group(), placeholder.group(1)
        old, new = span.end, placeholder.end()
    if new < len(text):
        yield old, old + len(text) - new, text[new:], ""


def _merge_spans(spans: Sequence[Span]) -> list[Span]:
    """Spans in order with overlapping ones merged, as redaction does."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.kind)):
        if merged and span.start < merged[-1].end:
            merged[-1] = merged[-1].model_copy(update={"end": max(merged[-1].end, span.end)})
        else:
            merged.append(span)
    return merged


def _split_at_spans(text: str, spans: Sequence[Span]) -> list[Highlight]:
    """Plain, matched and masked highlights of text that redaction did not change."""
    hits = _sensitive_hits(text)
    ranges = [*((span.start, span.end) for span in spans), *((hit.start, hit.end) for hit in hits)]
    edges = {0, len(text), *(edge for ends in ranges for edge in ends)}
    pieces = []
    for start, end in pairwise(sorted(edges)):
        hit = next((hit for hit in hits if hit.start <= start < hit.end), None)
        span = next((span for span in spans if span.start <= start < span.end), None)
        pieces += _span_highlight(text, start, end, hit=hit, span=span)
    return pieces


def _sensitive_hits(text: str) -> list[Hit]:
    """Personal data and secrets, with overlapping hits merged so that no part of either is shown."""
    merged: list[Hit] = []
    for hit in sorted([*find_hits(text, PERSONAL), *find_hits(text, SECRETS)]):
        if merged and hit.start < merged[-1].end:
            merged[-1] = replace(merged[-1], end=max(hit.end, merged[-1].end))
        else:
            merged.append(hit)
    return merged


def _span_highlight(text: str, start: int, end: int, *, hit: Hit | None, span: Span | None) -> list[Highlight]:
    if hit is not None:
        return [Highlight("•" * MASK_CHARACTERS, "masked", hit.kind)] if start == hit.start else []
    return [Highlight(text[start:end], "plain" if span is None else "match", "" if span is None else span.kind)]


def _split_words(pieces: Iterable[Highlight]) -> Iterator[Highlight]:
    for piece in pieces:
        if piece.kind in ("placed", "gone", "masked"):
            yield piece
        else:
            yield from (replace(piece, text=word) for word in _WORDS.findall(piece.text))


def _comparison_key(piece: Highlight) -> str:
    """The form in which two words are compared: case-folded, white space as one space."""
    return " " if piece.text.isspace() else piece.text.casefold()


def _mark_differences(words: list[Highlight], blocks: Iterable[tuple[int, int]]) -> list[Highlight]:
    matching = {index for first, size in blocks for index in range(first, first + size)}
    return [
        word if index in matching or word.kind != "plain" or word.text.isspace() else replace(word, kind="differs")
        for index, word in enumerate(words)
    ]


def _join_neighbours(words: Iterable[Highlight]) -> tuple[Highlight, ...]:
    """Merge neighbours of one kind; a space between two differing words joins them."""
    joined: list[Highlight] = []
    for word in words:
        if (
            joined
            and (joined[-1].kind, joined[-1].note) == (word.kind, word.note)
            and word.kind in ("plain", "differs", "match")
        ):
            joined[-1] = replace(joined[-1], text=joined[-1].text + word.text)
        elif len(joined) > 1 and word.kind == joined[-2].kind == "differs" and joined[-1].text.isspace():
            space = joined.pop()
            joined[-1] = replace(joined[-1], text=joined[-1].text + space.text + word.text)
        else:
            joined.append(word)
    return tuple(joined)


def _window(highlights: Iterable[Highlight], start: int, end: int) -> Iterator[Highlight]:
    position = 0
    for highlight in highlights:
        first, last = max(start - position, 0), min(end - position, len(highlight.text))
        if first < last:
            yield replace(highlight, text=highlight.text[first:last])
        position += len(highlight.text)


def _spell_out(piece: Highlight) -> Highlight:
    return replace(piece, text="".join(_spell_character(sign, everything=piece.kind == "match") for sign in piece.text))


def _spell_character(sign: str, *, everything: bool) -> str:
    """Characters that control text direction are always spelled out; other invisible ones only within a match."""
    if sign in "\n\t" or sign.isprintable():
        return sign
    if sign.isspace():
        return " "
    if (
        everything
        or sign in _DIRECTION_CONTROLS
        or unicodedata.category(sign) in ("Cc", "Cs", "Cn")
        or ord(sign) >= 0xE0000
    ):
        return f"⟨U+{ord(sign):04X}⟩"
    return sign
