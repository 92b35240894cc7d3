"""Toxic terms in a text, by the lexicons of `toxic/*.yaml`: (start, end, entry) of each match whose context is not clean."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tunesmith.detect.lexicons.entry import LexiconEntry, bounded_regex, gate_regex
from tunesmith.detect.word_files import (
    FOLDER,
    Alternatives,
    Parts,
    WordFile,
    fill_parts,
    merge_languages,
    read_languages,
)

TOXIC_FOLDER: Final = FOLDER / "lexicons" / "toxic"
CONTEXT_CHARACTERS: Final = 60
"""Characters on either side of a match in which its `unless` is looked for."""
WIDE_CONTEXT_CHARACTERS: Final = 160
"""Characters on either side of a match in which words about words are looked for."""
MAX_QUOTE_DISTANCE_CHARACTERS: Final = 60
"""A match stands in quotation marks when one is at most this far before it and one this far behind it."""
QUOTATION_MARKS: Final = "\"“”„«»‘’'`"


class ToxicLexicon(WordFile):
    """The toxic terms of one language; `metalanguage` are words by which a text speaks about words, or bans them."""

    parts: Parts
    metalanguage: Alternatives = ()
    introduction: Alternatives = ()
    """What stands directly before a term that is only named: "the word X"."""
    entries: tuple[LexiconEntry, ...]


@cache
def load_entries(folder: Path = TOXIC_FOLDER) -> tuple[LexiconEntry, ...]:
    """The entries of all languages."""
    return tuple(
        entry.model_copy(
            update={"regex": fill_parts(entry.regex, file.parts), "unless": fill_parts(entry.unless, file.parts)}
        )
        for file in read_languages(folder, ToxicLexicon).values()
        for entry in file.entries
    )


_LEXICON: Final = merge_languages(TOXIC_FOLDER, ToxicLexicon)
TOXIC_ENTRIES: Final = load_entries()
METALANGUAGE: Final = re.compile(rf"\b(?:{'|'.join(_LEXICON.metalanguage)})\b", re.IGNORECASE)
NAMED_WORD: Final = re.compile("|".join(_LEXICON.introduction), re.IGNORECASE)


@cache
def toxic_gate() -> str:
    """One RE2 expression that matches every text in which `find_toxic_terms` finds something."""
    return "(?i)" + "|".join(gate_regex(entry.regex) for entry in TOXIC_ENTRIES)


def find_toxic_terms(text: str) -> list[tuple[int, int, int]]:
    """(start, end, index in TOXIC_ENTRIES) in order; of overlapping matches that of the earlier entry counts."""
    terms: list[tuple[int, int, int]] = []
    for number, (expression, unless) in enumerate(_compiled_entries()):
        for start, end in _matches(text, expression, unless):
            if all(end <= other_start or start >= other_end for other_start, other_end, _ in terms):
                terms.append((start, end, number))
    return sorted(terms)


def _matches(text: str, expression: re.Pattern[str], unless: re.Pattern[str] | None) -> Iterator[tuple[int, int]]:
    for match in expression.finditer(text):
        start, end = match.span()
        around = text[max(0, start - CONTEXT_CHARACTERS) : end + CONTEXT_CHARACTERS]
        if (unless is None or unless.search(around) is None) and not _is_quoted_usage(text, start, end):
            yield start, end


def _is_quoted_usage(text: str, start: int, end: int) -> bool:
    """Whether the term is only mentioned: "the word X", or in quotation marks near words about words."""
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
