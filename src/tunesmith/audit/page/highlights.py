"""A row's text cut into pieces: what a rule matched, what was replaced, what is masked, and where two rows differ.

Rows are read as they were kept, after redaction, while spans count characters from before it. The placeholders say how the
two line up, so that no page needs the text that was taken out.
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
"""match: what the rule is about. placed: a placeholder that the rule put in; gone: where it stood before. masked: personal
data or a secret that stays in the row and is not shown. differs: other words than in the row beside it."""

MAX_MESSAGE_CHARACTERS: Final = 520
"""Characters of a message that are shown at most."""
MAX_LEADING_CHARACTERS: Final = 170
"""Characters of it that come before the first matched one."""
MASK_CHARACTERS: Final = 12
UNREACHABLE: Final = 1 << 60
MAX_COMPARED_CHARACTERS: Final = 6000
"""Characters of a message that are compared at most."""
MIN_SIMILARITY: Final = 0.3
"""Messages of which fewer words agree are different altogether."""
_PLACEHOLDER: Final = re.compile(r"\[([a-z0-9-]+)-\d+\]")
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")
_DIRECTION_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Highlight:
    """A run of characters of one kind; `note` says what it is, e.g. the kind of a span."""

    text: str
    kind: HighlightKind = "plain"
    note: str = ""


def highlight_message(text: str, cuts: Sequence[Span], spans: Sequence[Span]) -> tuple[Highlight, ...]:
    """A message as it was kept; `cuts` are the spans that redaction replaced in it, `spans` those of the finding."""
    pieces: list[Highlight] = []
    for start, end, kept, kind in _align_spans(text, cuts):
        inside = [span for span in spans if span.start < end and span.end > start]
        if kind:
            pieces.append(Highlight(kept, "placed" if inside else "plain", kind if inside else ""))
            continue
        pieces += _split_at_spans(kept, [clip_span(span, start, end) for span in inside])
    return tuple(pieces)


def before_redaction(pieces: Iterable[Highlight]) -> tuple[Highlight, ...]:
    """The same as it stood before redaction: dots in place of each placeholder that the rule put in."""
    return tuple(
        Highlight("•" * MASK_CHARACTERS, "gone", piece.note) if piece.kind == "placed" else piece for piece in pieces
    )


@dataclass(frozen=True)
class MessageComparison:
    """Two messages with the words marked that the other has not; `alike` is the share of words that agree, from 0 to 1."""

    one: tuple[Highlight, ...]
    other: tuple[Highlight, ...]
    alike: float


def compare_messages(one: Sequence[Highlight], other: Sequence[Highlight]) -> MessageComparison:
    """Two messages side by side; case and the width of spaces do not count."""
    left, right = (list(_split_words(_window(pieces, 0, MAX_COMPARED_CHARACTERS))) for pieces in (one, other))
    matcher = SequenceMatcher(
        None, [_comparison_key(piece) for piece in left], [_comparison_key(piece) for piece in right], autojunk=False
    )
    blocks = matcher.get_matching_blocks()
    return MessageComparison(
        _join_neighbours(_mark_differences(left, [(block.a, block.size) for block in blocks])),
        _join_neighbours(_mark_differences(right, [(block.b, block.size) for block in blocks])),
        matcher.ratio(),
    )


def shorten_message(pieces: Sequence[Highlight], length: int = MAX_MESSAGE_CHARACTERS) -> tuple[Highlight, ...]:
    """At most `length` characters around the first piece that is not plain; signs that nobody sees are spelled out."""
    total = sum(len(piece.text) for piece in pieces)
    focus, place = 0, 0
    for piece in pieces:
        if piece.kind != "plain":
            focus = place
            break
        place += len(piece.text)
    start = max(0, min(focus - min(MAX_LEADING_CHARACTERS, length // 3), total - length))
    cut = [_spell_out(piece) for piece in _window(pieces, start, start + length)]
    head = [Highlight("… ")] if start else []
    tail = [Highlight(" …")] if start + length < total else []
    return tuple(piece for piece in (*head, *cut, *tail) if piece.text)


def clip_span(span: Span, start: int, end: int) -> Span:
    """The part of a span within [start, end), counted from `start`."""
    return span.model_copy(update={"start": max(span.start, start) - start, "end": min(span.end, end) - start})


def _align_spans(text: str, cuts: Sequence[Span]) -> Iterator[tuple[int, int, str, str]]:
    """(start and end before redaction, what stands there now, kind of the placeholder) in order.

    Where a placeholder is not where it should be, the rest has places that no span reaches: better no mark than a wrong one.
    """
    old, new = 0, 0
    for cut in _merge_spans(cuts):
        width = cut.start - old
        found = _PLACEHOLDER.match(text, new + width)
        if found is None:
            old = UNREACHABLE
            break
        if width:
            yield old, cut.start, text[new : new + width], ""
        yield cut.start, cut.end, found.group(), found.group(1)
        old, new = cut.end, found.end()
    if new < len(text):
        yield old, old + len(text) - new, text[new:], ""


def _merge_spans(cuts: Sequence[Span]) -> list[Span]:
    """As redaction merges them: in order, those that overlap as one."""
    merged: list[Span] = []
    for cut in sorted(cuts, key=lambda span: (span.start, -span.end, span.kind)):
        if merged and cut.start < merged[-1].end:
            merged[-1] = merged[-1].model_copy(update={"end": max(merged[-1].end, cut.end)})
        else:
            merged.append(cut)
    return merged


def _split_at_spans(text: str, spans: Sequence[Span]) -> list[Highlight]:
    """Plain, matched and masked pieces of a run of text that redaction left as it was."""
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
    """Personal data and secrets, those that overlap as one, so that nothing of either is left standing."""
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
    """What counts when two words are compared: white space and case do not."""
    return " " if piece.text.isspace() else piece.text.casefold()


def _mark_differences(words: list[Highlight], blocks: Iterable[tuple[int, int]]) -> list[Highlight]:
    agree = {place for first, size in blocks for place in range(first, first + size)}
    return [
        piece if place in agree or piece.kind != "plain" or piece.text.isspace() else replace(piece, kind="differs")
        for place, piece in enumerate(words)
    ]


def _join_neighbours(words: Iterable[Highlight]) -> tuple[Highlight, ...]:
    """Neighbours of one kind as one piece; a space between two that differ goes with them."""
    made: list[Highlight] = []
    for word in words:
        if (
            made
            and (made[-1].kind, made[-1].note) == (word.kind, word.note)
            and word.kind in ("plain", "differs", "match")
        ):
            made[-1] = replace(made[-1], text=made[-1].text + word.text)
        elif len(made) > 1 and word.kind == made[-2].kind == "differs" and made[-1].text.isspace():
            space = made.pop()
            made[-1] = replace(made[-1], text=made[-1].text + space.text + word.text)
        else:
            made.append(word)
    return tuple(made)


def _window(pieces: Iterable[Highlight], start: int, end: int) -> Iterator[Highlight]:
    place = 0
    for piece in pieces:
        first, last = max(start - place, 0), min(end - place, len(piece.text))
        if first < last:
            yield replace(piece, text=piece.text[first:last])
        place += len(piece.text)


def _spell_out(piece: Highlight) -> Highlight:
    return replace(piece, text="".join(_spell_character(sign, everything=piece.kind == "match") for sign in piece.text))


def _spell_character(sign: str, *, everything: bool) -> str:
    """Characters that steer the reader's screen are always spelled out, others that are not seen where a rule is about them."""
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
