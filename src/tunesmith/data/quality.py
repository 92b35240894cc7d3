"""Signs of low quality in a text: loops, keyboard noise, remnants of a page. Code, tables and formulas are passed over.

Thresholds follow the rules by which web pages are filtered, laxer where an answer may be a list or a poem: Gopher (Rae et al.
2021, arXiv:2112.11446, appendix A), C4 (Raffel et al. 2020, arXiv:1910.10683, section 2.2), FineWeb (Penedo et al. 2024,
arXiv:2406.17557, section 3).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.data.characters import MOST, Counts, count, profile
from tunesmith.data.remnants import HEADS, boilerplate, broken, tags, without_code

Rule = Literal["repetition", "lines", "run", "signs", "gibberish", "boilerplate", "mojibake", "markup"]
RULES: Final[tuple[Rule, ...]] = (
    *("repetition", "lines", "run", "signs", "gibberish", "boilerplate", "mojibake", "markup"),
)
MARKED: Final[tuple[Rule, ...]] = ("run", "boilerplate", "mojibake", "markup")
"""Rules that find certain characters, which are looked for natively first; the others count shares."""

SHARES: Final[tuple[Rule, ...]] = tuple(rule for rule in RULES if rule not in MARKED)
GRAM: Final = 5
"""Words of a run that counts as a copy."""

COPIED_LINES: Final = 3
"""A refrain of two lines is no fault."""

RUN: Final = 16
VOWELS: Final = 0.3
"""English has 40% (y too), German 38%, Polish 41%; letters drawn at random 23%, a fist on the keyboard less."""

RUNNING: Final = "!?,;:%&@"
"""Signs that are not repeated for the looks, as `-`, `=`, `.`, `_`, `*` and `#` are."""

LONG_RUN: Final = re.compile(rf"([A-Za-z{RUNNING}])\1{{{RUN - 1},}}")
WORD: Final = re.compile(r"(?<![\w@#/\\.'’-])[A-Z]?[a-z]{4,}(?![\w@/\\'’-]|\.\w)")
UNSPEAKABLE: Final = re.compile(r"[^aeiouy]{5}|[aeiou]{5}|^[^aeiouy]+$", re.IGNORECASE)
GATE: Final = (
    HEADS
    + "|"
    + "|".join(rf"\x{ord(sign):02x}{{{RUN}}}" for sign in (*map(chr, (*range(65, 91), *range(97, 123))), *RUNNING))
)


class Flaw(NamedTuple):
    """What is wrong (`rule`), in words with the number, and where: [start, end) characters, both 0 for the whole text."""

    rule: Rule
    reason: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Thresholds:
    """From where on a text is reported: shares of its words, characters or letters, numbers of words, lines and tags."""

    repetition: Annotated[float, Field(gt=0, le=1)] = 0.5
    lines: Annotated[float, Field(gt=0, le=1)] = 0.3
    signs: Annotated[float, Field(gt=0, le=1)] = 0.5
    gibberish: Annotated[float, Field(gt=0, le=1)] = 0.4
    markup: Annotated[int, Field(ge=1)] = 3
    words: Annotated[int, Field(ge=GRAM)] = 50


def suspects(texts: pa.Array, thresholds: Thresholds) -> npt.NDArray[np.uint8]:
    """Which texts have to be looked at with `flaws`: 0 where there is none, null too; 1 where there is none of `MARKED`."""
    texts = compute.fill_null(texts, "")
    counts = profile(texts, ("vowels", "signs", "beyond", "spaces"))
    lengths = np.asarray(compute.binary_length(texts), dtype=np.int64)
    packed = lengths - counts["spaces"] - counts["beyond"]
    signs = counts["signs"] >= thresholds.signs * (packed + counts["beyond"] // 4)
    marked = np.array(compute.match_substring_regex(texts, GATE), dtype=np.bool_)
    found = marked | (np.asarray(compute.count_substring(texts, "\n")) >= 3)
    found |= (lengths > MOST) | (signs & (counts["signs"] >= 40 * thresholds.signs))
    found |= _few_vowels(packed - counts["signs"], counts["vowels"], counts["beyond"])
    spaces = counts["spaces"] + counts["beyond"]
    wordy = np.flatnonzero(~found & (spaces >= thresholds.words - 1))
    for place, text in zip(wordy.tolist(), texts.take(pa.array(wordy)).to_pylist(), strict=True):
        found[place] = _few_words(text.split(), thresholds)
    return np.where(marked, 2, found).astype(np.uint8)


def flaws(text: str, thresholds: Thresholds, *, rules: tuple[Rule, ...] = RULES) -> list[Flaw]:
    """Every flaw, in the order of `rules`. What counts a share must hold of the whole text and of the text without its code."""
    plain = without_code(text)
    return [flaw for rule in rules for flaw in _FINDERS[rule](text, plain, thresholds)]


def copied(words: list[str]) -> int:
    """How many words stand in a run of five that stood there before; they are no new words, so at most the rest differ."""
    seen: set[tuple[str, ...]] = set()
    count, covered = 0, 0
    for at in range(len(words) - GRAM + 1):
        gram = tuple(words[at : at + GRAM])
        if gram in seen:
            count += at + GRAM - max(covered, at)
            covered = at + GRAM
        seen.add(gram)
    return count


def _few_words(words: list[str], thresholds: Thresholds) -> bool:
    """What holds of every text with enough words of which enough are copied, see `copied`."""
    return len(words) >= thresholds.words and len(set(words)) <= (1 - thresholds.repetition) * len(words)


def _few_vowels(letters: Counts, vowels: Counts, beyond: Counts) -> npt.NDArray[np.bool_]:
    """Latin text without accents that has hardly any vowels."""
    few: npt.NDArray[np.bool_] = (letters >= 20) & (vowels < VOWELS * letters) & (10 * beyond < letters)
    return few


def _repetition(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    words = plain.split()
    if not _few_words(text.split(), thresholds) or not _few_words(words, thresholds):
        return
    share = copied(words) / len(words)
    if share >= thresholds.repetition:
        yield Flaw("repetition", f"{share:.0%} of its {len(words)} words repeat runs of {GRAM} words")


def _lines(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    lines = [line.strip() for line in plain.split("\n") if len(line.split()) >= 3]
    total, once = sum(map(len, lines)), sum(map(len, set(lines)))
    again = len(lines) - len(set(lines))
    if again >= COPIED_LINES and total - once >= thresholds.lines * total:
        yield Flaw("lines", f"{again} of its {len(lines)} lines are copies, {1 - once / total:.0%} of their characters")


def _run(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    found = LONG_RUN.search(plain)
    if found is not None:
        yield Flaw("run", f"{found[1]!r} {len(found[0])} times in a row", *found.span())


def _signs(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    share, (plain_share, length) = _sign_share(text)[0], _sign_share(plain)
    if length >= 40 and min(share, plain_share) >= thresholds.signs:
        yield Flaw("signs", f"{plain_share:.0%} of its {length} characters are signs")


def _sign_share(text: str) -> tuple[float, int]:
    """(share of ASCII signs, number of characters), white space left out."""
    length = sum(map(len, text.split()))
    return count(text, "signs") / max(1, length), length


def _gibberish(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    if not _few_vowels(*(np.array([count(text, name)]) for name in ("letters", "vowels", "beyond")))[0]:
        return
    words = WORD.findall(plain)
    bad = sum(UNSPEAKABLE.search(word) is not None for word in words)
    if len(words) >= 5 and bad >= thresholds.gibberish * len(words):
        yield Flaw("gibberish", f"{bad} of its {len(words)} words cannot be spoken")


def _boilerplate(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    found = boilerplate(plain)
    if found is not None:
        what, start, end = found
        yield Flaw("boilerplate", f"{what} {' '.join(plain[start:end].split())!r}", start, end)


def _mojibake(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    found = broken(plain)
    if found:
        yield Flaw("mojibake", f"{len(found)} runs of broken characters", *found[0])


def _markup(text: str, plain: str, thresholds: Thresholds) -> Iterator[Flaw]:
    found = tags(plain)
    if len(found) >= thresholds.markup:
        start, end = found[0]
        yield Flaw(
            "markup", f"{len(found)} tags or character references, the first {plain[start:end][:40]!r}", start, end
        )


_FINDERS: Final[Mapping[Rule, Callable[[str, str, Thresholds], Iterator[Flaw]]]] = {
    "repetition": _repetition,
    "lines": _lines,
    "run": _run,
    "signs": _signs,
    "gibberish": _gibberish,
    "boilerplate": _boilerplate,
    "mojibake": _mojibake,
    "markup": _markup,
}
