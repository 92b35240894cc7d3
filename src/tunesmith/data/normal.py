"""Normal form of a text, in which copies that differ in case, signs or spaces are equal."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

APOSTROPHES: Final = "'’‘`´"
UNSPACED: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x9FFF),
    (0xF900, 0xFAFF),
)
"""Thai and Lao, Myanmar, Khmer, kana, Han: written without spaces, so each character counts as a word."""
FRAME_ROWS: Final = 20
FRAME_WORDS: Final = 4
"""A beginning or end of this many words that all rows of a file of at least this many rows share is a template."""


class _Characters(dict[int, str]):
    """What becomes of a character; worked out once for each."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cf" or character in APOSTROPHES:
            made = ""
        elif any(low <= code <= high for low, high in UNSPACED):
            made = f" {character} "
        else:
            made = character if category[0] in "LMN" else " "
        self[code] = made
        return made


_CHARACTERS = _Characters()


def normal(text: str) -> str:
    """Compatibility form (NFKC), case folded, without punctuation, symbols and hidden characters, words one space apart."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_CHARACTERS).split())


def without_frames(texts: Sequence[str], files: Sequence[str]) -> list[str]:
    """Normal texts without the template of their files: a shared instruction would make all rows near-duplicates.

    Frames are gathered from all files and taken off every text that has one, so equal texts stay equal across files. A
    text that is nothing but frame is left as it is.
    """
    groups: dict[str, list[list[str]]] = {}
    for text, file in zip(texts, files, strict=True):
        groups.setdefault(file, []).append(text.split())
    starts = _longest_first(_shared(group) for group in groups.values())
    ends = _longest_first(_shared([words[::-1] for words in group])[::-1] for group in groups.values())
    if not starts and not ends:
        return list(texts)
    return [_stripped(text, starts, ends) for text in texts]


def _shared(group: list[list[str]]) -> list[str]:
    """The words that all texts begin with: those that the least and the greatest in order have in common."""
    least, greatest = min(group), max(group)
    count = next((at for at, word in enumerate(least) if at >= len(greatest) or word != greatest[at]), len(least))
    return least[:count] if len(group) >= FRAME_ROWS and count >= FRAME_WORDS else []


def _longest_first(frames: Iterable[list[str]]) -> list[str]:
    return sorted({" ".join(frame) for frame in frames if frame}, key=lambda frame: (-len(frame), frame))


def _stripped(text: str, starts: list[str], ends: list[str]) -> str:
    inner = text
    start = next((frame for frame in starts if inner.startswith(f"{frame} ")), "")
    inner = inner[len(start) :].strip()
    end = next((frame for frame in ends if inner.endswith(f" {frame}")), "")
    return inner[: len(inner) - len(end)].strip() or text
