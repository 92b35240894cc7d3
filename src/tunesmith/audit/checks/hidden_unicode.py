"""Hidden Unicode: characters that readers cannot see but models can.

What it finds: zero-width characters, direction marks and overrides, tag characters (U+E0000 to U+E007F) and supplementary
variation selectors. Allowed are joiners after a letter of a script that needs them or inside an emoji, direction marks in
right-to-left text, and the tags of flag emoji.
Why it matters: hidden characters carry instructions and watermarks, and make copies of one text unequal.
Limits: look-alike letters of other scripts are not found; a joiner inside an Arabic or Indic word is always allowed.
Reference: Unicode Technical Report 36; Boucher et al. 2022, Bad Characters, arXiv:2106.09898.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from pyarrow import compute

from tunesmith.artifacts import Action, Finding, Span
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE

FLAG_EMOJI: Final = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
KINDS: Final = (
    ("zero-width", re.compile("[\u200b\u2060-\u2064\ufeff\u180e\u00ad]+")),
    ("zero-width", re.compile("(?<![\u0590-\u1fff\u200d\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]+")),
    ("direction-override", re.compile("[\u202a-\u202e\u2066-\u2069]+")),
    ("direction-mark", re.compile("[\u200e\u200f\u061c]+")),
    ("tag", re.compile("[\U000e0000-\U000e007f]+")),
    ("variation-selector", re.compile("[\U000e0100-\U000e01ef]+")),
)
PREFILTER: Final = (
    r"[\x{ad}\x{61c}\x{180e}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2069}\x{feff}"
    r"\x{e0000}-\x{e007f}\x{e0100}-\x{e01ef}]"
)
"""RE2 pattern of every character that any of KINDS can match."""


def hidden_characters(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of every run of hidden characters that is not allowed where it occurs."""
    flags = [match.span() for match in FLAG_EMOJI.finditer(text)]
    marks_allowed = RIGHT_TO_LEFT.search(text) is not None
    for kind, expression in KINDS:
        for match in expression.finditer(text):
            in_flag = any(start <= match.start() < end for start, end in flags)
            if not in_flag and not (kind == "direction-mark" and marks_allowed):
                yield match.start(), match.end(), kind


@CHECKS.register
@dataclass(frozen=True)
class HiddenUnicode:
    """One finding per row with all spans; the excerpt spells the characters out."""

    id: ClassVar[str] = "hidden-unicode"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        spans: dict[int, list[Span]] = {}
        messages = corpus.messages.filter(compute.match_substring_regex(corpus.messages.column("text"), PREFILTER))
        columns = (messages.column(name).to_pylist() for name in ("row", "message", "text"))
        for row, message, text in zip(*columns, strict=True):
            for start, end, kind in sorted(hidden_characters(text)):
                spans.setdefault(row, []).append(Span(message=message, start=start, end=end, kind=kind))
        return [
            corpus.finding(self, row, self._reason(row_spans), spans=tuple(row_spans))
            for row, row_spans in spans.items()
        ]

    def _reason(self, spans: list[Span]) -> str:
        counts: Counter[str] = Counter()
        for span in spans:
            counts[span.kind] += span.end - span.start
        return "hidden characters: " + ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
