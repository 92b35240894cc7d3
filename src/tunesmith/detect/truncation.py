"""How a text ends: with a sentence mark, in the middle of a sentence, or with something left open."""

import json
import re
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.function_words import DANGLING_WORDS
from tunesmith.text.reasoning import CLOSE_TAG, OPEN_TAG

TextEnding = Literal["unjudged", "marked", "unmarked", "hanging", "fence", "bracket", "json", "broken-json", "thought"]
TEXT_ENDINGS: Final[tuple[TextEnding, ...]] = (
    *("unjudged", "marked", "unmarked", "hanging", "fence", "bracket", "json", "broken-json", "thought"),
)
"""unjudged: short, a list, code, verse, a title, a number or an address. marked: with a sentence mark. unmarked: without one.
hanging: with a comma, a hyphen or a word that no sentence ends in. fence, bracket: inside a code fence or a bracket. json,
broken-json: JSON that parses, or does not. thought: inside a reasoning block that is never closed."""

MIN_SENTENCE_WORDS: Final = 6
MIN_UNSPACED_BYTES: Final = 60
"""A sentence has at least so many words, or so many bytes in a script without spaces."""

TAIL_CHARACTERS: Final = 400
"""Characters of the last line that are considered."""

UNFINISHED_END: Final = r"[\pL\pN,\-\x{2013}(\[{&/\x{3001}\x{FF0C}]$"
"""In RE2 syntax: characters that no finished sentence ends in. Marks, closing signs and emoji may end one."""

FENCE_LINE: Final = re.compile(r"^[ \t]*```", re.MULTILINE)
LIST_LINE_START: Final = re.compile(
    r"\s*(?:[-*+•–>|#$]|\d{1,3}[.):]|[a-zA-Z][.)]\s|(?:def|return|import|SELECT|FROM|WHERE|EOF)\b)|\s{4}|\t"
)
"""The beginning of a line of a list, a table, a quotation, a heading, an example or code."""

CODE_SIGNS: Final = re.compile(r"[{};\\_$@~(=!<>+*/|^]|::")
"""A line without any of these cannot match CODE_SYNTAX. One character class is several times faster."""

CODE_SYNTAX: Final = re.compile(r"[{};\\_$@~]|\w\(|\s[=!<>+*/|^]=?\s|::|->")
ADDRESS_OR_NUMBER: Final = re.compile(r"https?://|www\.|#|.*(?:[/\\@]|\w\.[a-z]{2,6}$)|.*\d\S*$")
"""The last word is an address, a path, a hashtag or a number."""

UNIT_OR_SPEAKER: Final = re.compile(r"\d\S* [^\W\d]{1,3}$| [-–—] ?\S+(?: \S+){0,4}$")
"""The line ends in a number with its unit, or in the speaker of a quotation."""

SENTENCE_MARKS: Final = ".!?…:;。！？।"
BRACKET_PAIRS: Final = (("(", ")"), ("[", "]"), ("（", "）"), ("「", "」"))


def classify_endings(texts: pa.Array) -> pa.Array:
    """For each text the index of its ending in TEXT_ENDINGS, as uint8; null is unjudged."""
    trimmed = compute.utf8_trim_whitespace(compute.fill_null(texts, ""))
    begins = np.asarray(compute.match_substring_regex(trimmed, r"^[{\[]"))
    fences = np.asarray(compute.count_substring(trimmed, "```")) % 2 == 1
    open_end = np.asarray(compute.match_substring_regex(trimmed, UNFINISHED_END))
    beyond = np.asarray(compute.subtract(compute.binary_length(trimmed), compute.utf8_length(trimmed)))
    long = (np.asarray(compute.count_substring(trimmed, " ")) >= MIN_SENTENCE_WORDS - 1) | (
        beyond >= MIN_UNSPACED_BYTES * 2 // 3
    )
    endings = np.where(long, TEXT_ENDINGS.index("marked"), TEXT_ENDINGS.index("unjudged")).astype(np.uint8)
    places = np.flatnonzero(begins | fences | (open_end & long))
    for place, text in zip(places.tolist(), trimmed.take(pa.array(places)).to_pylist(), strict=True):
        endings[place] = TEXT_ENDINGS.index(classify_ending(text))
    thinks = np.asarray(compute.starts_with(trimmed, OPEN_TAG)) & ~np.asarray(
        compute.match_substring(trimmed, CLOSE_TAG)
    )
    endings[thinks] = TEXT_ENDINGS.index("thought")
    return pa.array(endings)


def classify_ending(text: str) -> TextEnding:
    """The ending of a trimmed text that begins like JSON, has a code fence, or is long and does not end in a mark."""
    if text[0] in "{[":
        return _json_ending(text)
    if "```" in text and len(FENCE_LINE.findall(text)) % 2:
        return "fence"
    line = text[text.rfind("\n") + 1 :][-TAIL_CHARACTERS:]
    if not (line[-1].isalnum() or line[-1] in ",-–([{&/、，"):
        return "marked"
    if (
        LIST_LINE_START.match(line)
        or _is_code(line)
        or ADDRESS_OR_NUMBER.match(line.rpartition(" ")[2])
        or UNIT_OR_SPEAKER.search(line[-60:])
    ):
        return "unjudged"
    return _prose_ending(text, line)


def _is_code(line: str) -> bool:
    return CODE_SIGNS.search(line) is not None and CODE_SYNTAX.search(line) is not None


def unclosed_bracket(line: str) -> str:
    """The last bracket of a kind that is opened more often than closed; empty if there is none."""
    present = [pair for pair in BRACKET_PAIRS if pair[0] in line]
    unclosed = [start for start, end in present if line.count(start) > line.count(end) + line.count(f":{start}")]
    return max(unclosed, key=line.rfind, default="")


def _prose_ending(text: str, line: str) -> TextEnding:
    """The ending of a text whose last line does not end in a mark."""
    if unclosed_bracket(line):
        return "bracket"
    words = line[max(map(line.rfind, SENTENCE_MARKS)) + 1 :].split()
    hanging = line[-1] in ",-–、，&/" or words[-1].lower() in DANGLING_WORDS
    if len(words) < MIN_SENTENCE_WORDS - 1 and len("".join(words).encode()) < MIN_UNSPACED_BYTES:
        return "unjudged"
    if _is_listing(words) or _is_verse(text):
        return "unjudged"
    return "hanging" if hanging else "unmarked"


def _json_ending(text: str) -> TextEnding:
    try:
        json.loads(text)
    except ValueError:
        return "broken-json"
    return "json"


def _is_listing(words: list[str]) -> bool:
    """Whether the words are a title, mostly capitalised, or an enumeration, with a comma after every fourth word or more."""
    long = [word[0].isupper() for word in words if len(word) > 3]
    if len(long) >= 3 and 4 * sum(long) >= 3 * len(long):
        return True
    commas = sum([word[-1] in ",、，" for word in words])
    return commas >= 2 and 4 * commas >= len(words)


def _is_verse(text: str) -> bool:
    """Whether most lines end without a mark, as in poems, lists, menus and addresses."""
    if text.count("\n") < 2:
        return False
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    bare = sum(line[-1].isalnum() or line[-1] in ",-–" for line in lines)
    return len(lines) >= 3 and 2 * bare > len(lines) + 1
