"""Character offsets of normalised words in the original text."""

from functools import cache

from tunesmith.text.normalize import normalize


def word_offsets(text: str) -> list[tuple[int, int]]:
    """(first character, end) in `text` of every word of its normal form.

    Characters are normalised one by one. Where combining marks give another number of words, every word gets the whole text.
    """
    starts: list[int] = []
    ends: list[int] = []
    inside = False
    for position, character in enumerate(text):
        for piece in _normalized_character(character):
            if piece == " ":
                inside = False
                continue
            if not inside:
                starts.append(position)
                ends.append(position)
                inside = True
            ends[-1] = position + 1
    count = len(normalize(text).split())
    return list(zip(starts, ends, strict=True)) if len(starts) == count else [(0, len(text))] * count


@cache
def _normalized_character(character: str) -> str:
    """The normal form of a character within a word: empty, letters, or a space where it separates words."""
    framed = normalize(f"x{character}x")
    return framed[1:-1] if len(framed) > 1 and framed[0] == framed[-1] == "x" else character
