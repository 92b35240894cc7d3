"""Where the words of the normal form stand in the text itself."""

from functools import cache

from tunesmith.text.normalize import normalize


def word_offsets(text: str) -> list[tuple[int, int]]:
    """First character and end of every word that the text has in normal form.

    Characters are looked at one by one; where marks that combine across them make another number of words, every word has
    the whole text as its place.
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
    """What the normal form makes of a character within a word: nothing, letters, or a space where words part."""
    made = normalize(f"x{character}x")
    return made[1:-1] if len(made) > 1 and made[0] == made[-1] == "x" else character
