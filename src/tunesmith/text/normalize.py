"""Normal form of a text, in which copies that differ in case, signs or spaces are equal."""

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
"""Thai and Lao, Myanmar, Khmer, kana, Han: written without spaces, so each character counts as a word."""
MIN_AFFIX_ROWS: Final = 20
MIN_AFFIX_WORDS: Final = 4
"""A beginning or end of this many words that all rows of a file of at least this many rows share is a template."""


class _CharacterTable(dict[int, str]):
    """What becomes of a character; worked out once for each."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cf" or character in APOSTROPHES:
            made = ""
        elif any(low <= code <= high for low, high in UNSPACED_SCRIPT_RANGES):
            made = f" {character} "
        else:
            made = character if category[0] in "LMN" else " "
        self[code] = made
        return made


_CHARACTER_TABLE = _CharacterTable()


_NON_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_REMOVED_ASCII: Final = bytes(code for code in range(128) if not _CHARACTER_TABLE[code])
_ASCII_TABLE: Final = bytes(
    ord(_CHARACTER_TABLE[ord(chr(code).lower())] or " ") if code < 128 else code for code in range(256)
)
"""What becomes of ASCII, byte by byte, several times as fast as text by text; the bytes of other characters stay."""


def normalize(text: str) -> str:
    """Compatibility form (NFKC), case folded, without punctuation, symbols and hidden characters, words one space apart."""
    if not text.isascii():
        folded = unicodedata.normalize("NFKC", text).casefold()
        text = _NON_ASCII.sub(lambda found: _CHARACTER_TABLE[ord(found[0])], folded)
    return b" ".join(text.encode().translate(_ASCII_TABLE, _REMOVED_ASCII).split()).decode()


def strip_shared_affixes(texts: pa.ChunkedArray, files: pa.ChunkedArray) -> pa.ChunkedArray:
    """Normal texts without the template of their files: a shared instruction would make all rows near-duplicates.

    Frames are gathered from all files and taken off every text that has one, so equal texts stay equal across files. A
    text that is nothing but frame is left as it is.
    """
    starts = _longest_first(_shared_prefixes(texts, files))
    ends = _longest_first(frame[::-1] for frame in _shared_prefixes(compute.utf8_reverse(texts), files))
    if not starts and not ends:
        return texts
    return pa.chunked_array([_strip_chunk(chunk, starts, ends) for chunk in texts.chunks], type=texts.type)


def _shared_prefixes(texts: pa.ChunkedArray, files: pa.ChunkedArray) -> Iterator[str]:
    """The whole words that all texts of a file begin with: what the least and the greatest in order have in common."""
    groups = pa.table({"file": files, "text": texts}).group_by("file")
    found = groups.aggregate([("text", "min"), ("text", "max"), ("text", "count")])
    for least, greatest, count in zip(
        *(found.column(f"text_{name}").to_pylist() for name in ("min", "max", "count")), strict=True
    ):
        words, others = least.split(), greatest.split()
        same = next((at for at, word in enumerate(words) if at >= len(others) or word != others[at]), len(words))
        if count >= MIN_AFFIX_ROWS and same >= MIN_AFFIX_WORDS:
            yield " ".join(words[:same])


def _longest_first(frames: Iterable[str]) -> list[str]:
    return sorted(set(frames), key=lambda frame: (-len(frame), frame))


def _strip_chunk(texts: pa.Array, starts: list[str], ends: list[str]) -> pa.Array:
    return pa.array([_strip_text(text, starts, ends) for text in texts.to_pylist()], type=texts.type)


def _strip_text(text: str, starts: list[str], ends: list[str]) -> str:
    inner = text
    start = next((frame for frame in starts if inner.startswith(f"{frame} ")), "")
    inner = inner[len(start) :].strip()
    end = next((frame for frame in ends if inner.endswith(f" {frame}")), "")
    return inner[: len(inner) - len(end)].strip() or text
