"""Signs of low quality in a text: repetition, keyboard noise, page remnants. Code, tables and formulas are ignored.

Thresholds follow filters for web pages, with more room where an answer may be a list or a poem: Gopher (Rae et al.
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

from tunesmith.detect.boilerplate import PAGE_REMNANT_GATE, blank_code, find_boilerplate, find_mojibake, find_tags
from tunesmith.detect.characters import MAX_BYTES, ByteCounts, class_counts, count_class

QualityRule = Literal["repetition", "lines", "run", "signs", "gibberish", "boilerplate", "mojibake", "markup"]
QUALITY_RULES: Final[tuple[QualityRule, ...]] = (
    *("repetition", "lines", "run", "signs", "gibberish", "boilerplate", "mojibake", "markup"),
)
CHARACTER_RULES: Final[tuple[QualityRule, ...]] = ("run", "boilerplate", "mojibake", "markup")
"""Rules that look for certain characters, by a native gate first; the others compute shares."""

SHARE_RULES: Final[tuple[QualityRule, ...]] = tuple(rule for rule in QUALITY_RULES if rule not in CHARACTER_RULES)
NGRAM_WORDS: Final = 5
"""Words of an n-gram that counts as a copy when it occurs again."""

MIN_COPIED_LINES: Final = 3
"""A refrain of two lines is acceptable."""

MIN_RUN_CHARACTERS: Final = 16
MIN_VOWEL_SHARE: Final = 0.3
"""English has 40% (with y), German 38%, Polish 41%; random letters have 23%, keyboard noise less."""

RUN_SIGNS: Final = "!?,;:%&@"
"""Signs that are not repeated as decoration; `-`, `=`, `.`, `_`, `*` and `#` are."""

LONG_RUN: Final = re.compile(rf"([A-Za-z{RUN_SIGNS}])\1{{{MIN_RUN_CHARACTERS - 1},}}")
WORD: Final = re.compile(r"(?<![\w@#/\\.'’-])[A-Z]?[a-z]{4,}(?![\w@/\\'’-]|\.\w)")
UNPRONOUNCEABLE: Final = re.compile(r"[^aeiouy]{5}|[aeiou]{5}|^[^aeiouy]+$", re.IGNORECASE)
QUALITY_GATE: Final = (
    PAGE_REMNANT_GATE
    + "|"
    + "|".join(
        rf"\x{ord(sign):02x}{{{MIN_RUN_CHARACTERS}}}"
        for sign in (*map(chr, (*range(65, 91), *range(97, 123))), *RUN_SIGNS)
    )
)


class Flaw(NamedTuple):
    """The rule that a text breaks, the reason with its number, and [start, end) characters; both are 0 for the whole text."""

    rule: QualityRule
    reason: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class QualityThresholds:
    """Limits from which a text is reported: shares of its words, characters or letters, numbers of words, lines and tags."""

    repetition: Annotated[float, Field(gt=0, le=1)] = 0.5
    lines: Annotated[float, Field(gt=0, le=1)] = 0.3
    signs: Annotated[float, Field(gt=0, le=1)] = 0.5
    gibberish: Annotated[float, Field(gt=0, le=1)] = 0.4
    markup: Annotated[int, Field(ge=1)] = 3
    words: Annotated[int, Field(ge=NGRAM_WORDS)] = 50


def suspect_texts(texts: pa.Array, thresholds: QualityThresholds) -> npt.NDArray[np.uint8]:
    """For each text what `find_flaws` can find: 0 nothing, as for null; 1 nothing of CHARACTER_RULES; 2 anything."""
    texts = compute.fill_null(texts, "")
    counts = class_counts(texts, ("vowels", "signs", "beyond", "spaces"))
    lengths = np.asarray(compute.binary_length(texts), dtype=np.int64)
    packed = lengths - counts["spaces"] - counts["beyond"]
    signs = counts["signs"] >= thresholds.signs * (packed + counts["beyond"] // 4)
    marked = np.array(compute.match_substring_regex(texts, QUALITY_GATE), dtype=np.bool_)
    suspect = marked | (np.asarray(compute.count_substring(texts, "\n")) >= 3)
    suspect |= (lengths > MAX_BYTES) | (signs & (counts["signs"] >= 40 * thresholds.signs))
    suspect |= _lacks_vowels(packed - counts["signs"], counts["vowels"], counts["beyond"])
    spaces = counts["spaces"] + counts["beyond"]
    wordy = np.flatnonzero(~suspect & (spaces >= thresholds.words - 1))
    for place, text in zip(wordy.tolist(), texts.take(pa.array(wordy)).to_pylist(), strict=True):
        suspect[place] = _repeats_words(text.split(), thresholds)
    return np.where(marked, 2, suspect).astype(np.uint8)


def find_flaws(
    text: str, thresholds: QualityThresholds, *, rules: tuple[QualityRule, ...] = QUALITY_RULES
) -> list[Flaw]:
    """Every flaw, in the order of `rules`. A share must exceed its limit in the whole text and in the text without its code."""
    plain = blank_code(text)
    return [flaw for rule in rules for flaw in _FINDERS[rule](text, plain, thresholds)]


def count_copied_words(words: list[str]) -> int:
    """Number of words in n-grams of NGRAM_WORDS that occur earlier in the text."""
    seen: set[tuple[str, ...]] = set()
    count, covered = 0, 0
    for at in range(len(words) - NGRAM_WORDS + 1):
        gram = tuple(words[at : at + NGRAM_WORDS])
        if gram in seen:
            count += at + NGRAM_WORDS - max(covered, at)
            covered = at + NGRAM_WORDS
        seen.add(gram)
    return count


def _repeats_words(words: list[str], thresholds: QualityThresholds) -> bool:
    """A necessary condition for repetition: enough words, and few different ones. Copied words add no different ones."""
    return len(words) >= thresholds.words and len(set(words)) <= (1 - thresholds.repetition) * len(words)


def _lacks_vowels(letters: ByteCounts, vowels: ByteCounts, beyond: ByteCounts) -> npt.NDArray[np.bool_]:
    """Whether a Latin text without accents has hardly any vowels."""
    few: npt.NDArray[np.bool_] = (letters >= 20) & (vowels < MIN_VOWEL_SHARE * letters) & (10 * beyond < letters)
    return few


def _repetition(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    words = plain.split()
    if not _repeats_words(text.split(), thresholds) or not _repeats_words(words, thresholds):
        return
    share = count_copied_words(words) / len(words)
    if share >= thresholds.repetition:
        yield Flaw("repetition", f"{share:.0%} of its {len(words)} words repeat runs of {NGRAM_WORDS} words")


def _lines(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    lines = [line.strip() for line in plain.split("\n") if len(line.split()) >= 3]
    total, once = sum(map(len, lines)), sum(map(len, set(lines)))
    again = len(lines) - len(set(lines))
    if again >= MIN_COPIED_LINES and total - once >= thresholds.lines * total:
        yield Flaw("lines", f"{again} of its {len(lines)} lines are copies, {1 - once / total:.0%} of their characters")


def _run(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    match = LONG_RUN.search(plain)
    if match is not None:
        yield Flaw("run", f"{match[1]!r} {len(match[0])} times in a row", *match.span())


def _signs(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    share, (plain_share, length) = _sign_share(text)[0], _sign_share(plain)
    if length >= 40 and min(share, plain_share) >= thresholds.signs:
        yield Flaw("signs", f"{plain_share:.0%} of its {length} characters are signs")


def _sign_share(text: str) -> tuple[float, int]:
    """(share of ASCII signs, number of characters), white space left out."""
    length = sum(map(len, text.split()))
    return count_class(text, "signs") / max(1, length), length


def _gibberish(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    if not _lacks_vowels(*(np.array([count_class(text, name)]) for name in ("letters", "vowels", "beyond")))[0]:
        return
    words = WORD.findall(plain)
    bad = sum(UNPRONOUNCEABLE.search(word) is not None for word in words)
    if len(words) >= 5 and bad >= thresholds.gibberish * len(words):
        yield Flaw("gibberish", f"{bad} of its {len(words)} words cannot be spoken")


def _boilerplate(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    phrase = find_boilerplate(plain)
    if phrase is not None:
        what, start, end = phrase
        yield Flaw("boilerplate", f"{what} {' '.join(plain[start:end].split())!r}", start, end)


def _mojibake(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    runs = find_mojibake(plain)
    if runs:
        yield Flaw("mojibake", f"{len(runs)} runs of broken characters", *runs[0])


def _markup(text: str, plain: str, thresholds: QualityThresholds) -> Iterator[Flaw]:
    spans = find_tags(plain)
    if len(spans) >= thresholds.markup:
        start, end = spans[0]
        yield Flaw(
            "markup", f"{len(spans)} tags or character references, the first {plain[start:end][:40]!r}", start, end
        )


_FINDERS: Final[Mapping[QualityRule, Callable[[str, str, QualityThresholds], Iterator[Flaw]]]] = {
    "repetition": _repetition,
    "lines": _lines,
    "run": _run,
    "signs": _signs,
    "gibberish": _gibberish,
    "boilerplate": _boilerplate,
    "mojibake": _mojibake,
    "markup": _markup,
}
