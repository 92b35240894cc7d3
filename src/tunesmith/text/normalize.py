"""Normal form of a text: copies that differ only in case, punctuation or white space become equal."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa
from pyarrow import compute

APOSTROPHES: Final = "'’‘`´"
UNSPACED_SCRIPT_RANGES: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x9FFF),
    (0xF900, 0xFAFF),
)
"""Code points of scripts written without spaces (Thai and Lao, Myanmar, Khmer, kana, Han): each character counts as a word."""
MIN_AFFIX_ROWS: Final = 20
MIN_AFFIX_WORDS: Final = 4
"""A prefix or suffix of MIN_AFFIX_WORDS words that all rows of a file share is a template, in files of MIN_AFFIX_ROWS rows."""


class _CharacterTable(dict[int, str]):
    """Replacement text of each code point after case folding, computed on first use."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cf" or character in APOSTROPHES:
            replacement = ""
        elif any(low <= code <= high for low, high in UNSPACED_SCRIPT_RANGES):
            replacement = f" {character} "
        else:
            replacement = character if category[0] in "LMN" else " "
        self[code] = replacement
        return replacement


_CHARACTER_TABLE = _CharacterTable()


_NON_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_REMOVED_ASCII: Final = bytes(code for code in range(128) if not _CHARACTER_TABLE[code])
_ASCII_TABLE: Final = bytes(
    ord(_CHARACTER_TABLE[ord(chr(code).lower())] or " ") if code < 128 else code for code in range(256)
)
"""Replacements of ASCII bytes, several times faster than character by character; bytes of other characters are kept."""


def normalize(text: str) -> str:
    """NFKC, case folded, without punctuation, symbols and invisible characters; words separated by one space."""
    if not text.isascii():
        folded = unicodedata.normalize("NFKC", text).casefold()
        text = _NON_ASCII.sub(lambda match: _CHARACTER_TABLE[ord(match[0])], folded)
    return b" ".join(text.encode().translate(_ASCII_TABLE, _REMOVED_ASCII).split()).decode()


def strip_shared_affixes(texts: pa.ChunkedArray, files: pa.ChunkedArray) -> pa.ChunkedArray:
    """Normalised texts without the template of their file: a shared instruction would make all rows near-duplicates.

    Affixes are collected from all files and removed from every text that has one, so equal texts stay equal across files.
    A text that consists of affixes only is left unchanged.
    """
    starts = _longest_first(_shared_prefixes(texts, files))
    ends = _longest_first(affix[::-1] for affix in _shared_prefixes(compute.utf8_reverse(texts), files))
    if not starts and not ends:
        return texts
    return pa.chunked_array([_strip_chunk(chunk, starts, ends) for chunk in texts.chunks], type=texts.type)


def _shared_prefixes(texts: pa.ChunkedArray, files: pa.ChunkedArray) -> Iterator[str]:
    """The whole words that all texts of a file begin with: the common prefix of the first and last text in sorted order."""
    groups = pa.table({"file": files, "text": texts}).group_by("file")
    summary = groups.aggregate([("text", "min"), ("text", "max"), ("text", "count")])
    for first, last, count in zip(
        *(summary.column(f"text_{name}").to_pylist() for name in ("min", "max", "count")), strict=True
    ):
        words, others = first.split(), last.split()
        same = next((at for at, word in enumerate(words) if at >= len(others) or word != others[at]), len(words))
        if count >= MIN_AFFIX_ROWS and same >= MIN_AFFIX_WORDS:
            yield " ".join(words[:same])


def _longest_first(affixes: Iterable[str]) -> list[str]:
    return sorted(set(affixes), key=lambda affix: (-len(affix), affix))


def _strip_chunk(texts: pa.Array, starts: list[str], ends: list[str]) -> pa.Array:
    return pa.array([_strip_text(text, starts, ends) for text in texts.to_pylist()], type=texts.type)


def _strip_text(text: str, starts: list[str], ends: list[str]) -> str:
    inner = text
    start = next((affix for affix in starts if inner.startswith(f"{affix} ")), "")
    inner = inner[len(start) :].strip()
    end = next((affix for affix in ends if inner.endswith(f" {affix}")), "")
    return inner[: len(inner) - len(end)].strip() or text
