"""What a text holds of the toxicity lexicon: (start, end, entry) of each hit that its context does not make clean."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from tunesmith.detect.lexicons.english import ENGLISH
from tunesmith.detect.lexicons.entry import LexiconEntry, bounded_regex, gate_regex
from tunesmith.detect.lexicons.other_languages import FRENCH, GERMAN, SPANISH

TOXIC_ENTRIES: Final[tuple[LexiconEntry, ...]] = (*ENGLISH, *GERMAN, *SPANISH, *FRENCH)
CONTEXT_CHARACTERS: Final = 60
WIDE_CONTEXT_CHARACTERS: Final = 160
"""Characters on either side in which an entry's own clean contexts, and talk about words, are looked for."""

MAX_QUOTE_DISTANCE_CHARACTERS: Final = 60
"""Characters between a quotation mark and a hit at most, for the hit to stand in quotation marks."""

QUOTATION_MARKS: Final = "\"“”„«»‘’'`"
METALANGUAGE: Final = re.compile(
    r"\b(?:slurs?|hate speech|offensive|polic(?:y|ies)|moderat\w+|guidelines?|prohibit\w*|banned|not allowed|forbid\w*|"
    r"never (?:say|write|use)|(?:do not|don['’]t|must not) (?:say|use|write)|derogatory|insults?|harass\w*|bully\w*|abusive|"
    r"reported|filters?|examples? of|means?|meaning|translat\w+|etymolog\w+|the (?:word|term|phrase)s?|flag\w*|"
    r"bedeute(?:t|n)|bedeutung|übersetz\w+|heißt|schimpfw\w+|beleidigung\w*|wort|wörter|"
    r"significa\w*|traduc\w+|insulto\w*|palabras?|veut dire|veulent dire|signifie\w*|tradui\w*|insultes?|mots?)\b",
    re.IGNORECASE,
)
NAMED_WORD: Final = re.compile(
    r"\b(?:the|this|that|words?|terms?|slurs?|phrases?) (?:word|term|slur|phrase|insult)s? ?\W?$", re.IGNORECASE
)


@cache
def toxic_gate() -> str:
    """One RE2 expression that matches every text in which `found` finds something."""
    return "(?i)" + "|".join(gate_regex(entry.regex) for entry in TOXIC_ENTRIES)


def find_toxic_terms(text: str) -> list[tuple[int, int, int]]:
    """(start, end, number in ENTRIES) in order; of overlapping hits the first entry's counts."""
    taken: list[tuple[int, int, int]] = []
    for number, (expression, unless) in enumerate(_compiled_entries()):
        for start, end in _matches(text, expression, unless):
            if all(end <= one or start >= other for one, other, _ in taken):
                taken.append((start, end, number))
    return sorted(taken)


def _matches(text: str, expression: re.Pattern[str], unless: re.Pattern[str] | None) -> Iterator[tuple[int, int]]:
    for hit in expression.finditer(text):
        start, end = hit.span()
        around = text[max(0, start - CONTEXT_CHARACTERS) : end + CONTEXT_CHARACTERS]
        if (unless is None or unless.search(around) is None) and not _is_quoted_usage(text, start, end):
            yield start, end


def _is_quoted_usage(text: str, start: int, end: int) -> bool:
    """Whether the text speaks about the words: "the word X", or in quotation marks beside talk of policy or meaning."""
    if NAMED_WORD.search(text[max(0, start - 30) : start]):
        return True
    before, after = (
        text[max(0, start - MAX_QUOTE_DISTANCE_CHARACTERS) : start],
        text[end : end + MAX_QUOTE_DISTANCE_CHARACTERS],
    )
    quoted = any(mark in before for mark in QUOTATION_MARKS) and any(mark in after for mark in QUOTATION_MARKS)
    outside = text[max(0, start - WIDE_CONTEXT_CHARACTERS) : start] + " " + text[end : end + WIDE_CONTEXT_CHARACTERS]
    return quoted and METALANGUAGE.search(outside) is not None


@cache
def _compiled_entries() -> tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...]:
    return tuple(
        (
            re.compile(bounded_regex(entry.regex), re.IGNORECASE),
            re.compile(rf"\b(?:{entry.unless})", re.IGNORECASE) if entry.unless else None,
        )
        for entry in TOXIC_ENTRIES
    )
