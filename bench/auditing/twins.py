"""Near duplicates planted among texts: a copy of an earlier text, changed in one of six ways."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple


class Row(NamedTuple):
    """A text; of a planted copy also how it was changed, and the number of the row that it copies (-1 for others)."""

    text: str
    change: str = ""
    original: int = -1


Change = Callable[[list[str], random.Random], list[str]]


def _case(words: list[str], _: random.Random) -> list[str]:
    return [word.upper() if number % 2 else word.lower() for number, word in enumerate(words)]


def _one_word(words: list[str], rng: random.Random) -> list[str]:
    return _replaced(words, 1, rng)


def _three_words(words: list[str], rng: random.Random) -> list[str]:
    return _replaced(words, 3, rng)


def _framed(words: list[str], _: random.Random) -> list[str]:
    return ["Hello", "dear", "team", "-", *words, "-", "many", "thanks", "indeed"]


def _truncated(words: list[str], _: random.Random) -> list[str]:
    return words[: len(words) * 3 // 4]


def _half_swapped(words: list[str], _: random.Random) -> list[str]:
    middle = len(words) // 2
    return words[middle:] + words[:middle]


def _replaced(words: list[str], count: int, rng: random.Random) -> list[str]:
    changed = list(words)
    for number in rng.sample(range(len(words)), count):
        changed[number] = f"changed{rng.randrange(10**6)}"
    return changed


CHANGES: Final[dict[str, Change]] = {
    "case": _case,
    "one word": _one_word,
    "three words": _three_words,
    "prefix and suffix": _framed,
    "truncated to three quarters": _truncated,
    "halves swapped": _half_swapped,
}
LEAST: Final = 40
"""Words of a text that is copied: three changed words of fewer would leave less than half of the triples."""


def with_twins(texts: Sequence[str], *, share: float, seed: int) -> Iterator[Row]:
    """The texts with copies among them, `share` of their number; a text is copied once at most, and its copy comes after it."""
    rng = random.Random(seed)
    long = [number for number, text in enumerate(texts) if len(text.split()) >= LEAST]
    copied = sorted(rng.sample(long, int(len(texts) * share)))
    after: dict[int, list[tuple[int, str]]] = {}
    for turn, number in enumerate(copied):
        place = rng.randrange(number, len(texts))
        after.setdefault(place, []).append((number, list(CHANGES)[turn % len(CHANGES)]))
    position: dict[int, int] = {}
    written = 0
    for number, text in enumerate(texts):
        position[number] = written
        yield Row(text)
        written += 1
        for original, change in after.get(number, ()):
            yield Row(" ".join(CHANGES[change](texts[original].split(), rng)), change, position[original])
            written += 1


def jaccard(one: str, other: str) -> float:
    """Shared share of the word triples of two texts, case and signs evened out: what the pairs found are held against."""
    first, second = _triples(one), _triples(other)
    return len(first & second) / len(first | second) if first | second else 1.0


def _triples(text: str) -> set[tuple[str, ...]]:
    words = "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
    return set(zip(words, words[1:], words[2:], strict=False)) or {tuple(words)}
