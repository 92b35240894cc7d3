"""Remnants of a web page in its text: boilerplate phrases, broken characters, markup. Code can be blanked out."""

import re
from typing import Final

from pydantic import BaseModel, ConfigDict

from tunesmith.detect.word_files import FOLDER, Expression, WordFile, merge_languages

CODE_BLOCK: Final = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`|\$\$.*?\$\$|<(code|pre|svg|script)\b.*?</\1>", re.DOTALL
)
CODE_LINE: Final = re.compile(
    r"^(?:(?: {4}|\t).*|[ \t]*[|+].*|.*[;{}\\]|[^\w\n]+|"
    r"[ \t]*(?:def|class|import|from|return|for|if|while|else|elif|print|let|const|var|function|public|private|SELECT|INSERT|"
    r"CREATE|sudo|\$|#include|>>>|//|/\*|\*).*[(){}=:;\"'*].*)$",
    re.MULTILINE,
)
"""Indented lines, table rows, lines that end like code, lines of signs, lines that begin like a statement."""


class Phrase(BaseModel):
    """Page furniture: what it is, and its expression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    regex: Expression


class BoilerplatePhrases(WordFile):
    """Page furniture in one language."""

    phrases: tuple[Phrase, ...]


BOILERPLATE_PATTERNS: Final = tuple(
    (phrase.kind, phrase.regex) for phrase in merge_languages(FOLDER / "boilerplate", BoilerplatePhrases).phrases
)
"""(kind, expression)."""
BOILERPLATE_REGEX: Final = re.compile("|".join(f"({pattern})" for _, pattern in BOILERPLATE_PATTERNS), re.IGNORECASE)

_MISREAD_BYTES: Final = (
    "\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019\u201c\u201d\u2022"
    "\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"
)
"""The bytes 80 to BF, read as Latin-1 and as Windows-1252."""

MOJIBAKE_REGEX: Final = re.compile(
    f"\ufffd+|(?:(?<![A-Z])[\u00c2\u00c3][{_MISREAD_BYTES}]|\u00e2[{_MISREAD_BYTES}]{{2}}|\u00ef\u00bb\u00bf)+"
)
"""The replacement character, or UTF-8 of two or three bytes read as Windows-1252. After a capital it may be Portuguese."""

_TAG_PATTERN: Final = (
    r"</(?:p|div|span|font|td|tr|table|li|ul|ol|a|b|i|em|strong|h[1-6])>|<br ?/?>|"
    r"<(?:div|span|font|a|img|table|td)\b[^<>\n]{0,300}>|"
    r"&(?:nbsp|amp|lt|gt|quot|apos|[lr][sd]quo|[nm]dash|hellip|#\d{2,5}|#x[0-9a-f]{2,5});"
)
TAG_REGEX: Final = re.compile(_TAG_PATTERN, re.IGNORECASE)
PAGE_REMNANT_GATE: Final = (
    "(?i:"
    + "|".join([*(pattern for _, pattern in BOILERPLATE_PATTERNS), _TAG_PATTERN])
    .replace("{0,60}", "*")
    .replace("{0,300}", "*")
    .replace(r"\b", "")
    + ")|"
    f"\ufffd|[\u00c2\u00c3][{_MISREAD_BYTES}]|\u00e2[{_MISREAD_BYTES}]|\u00ef\u00bb\u00bf"
)
"""An RE2 expression that matches every text with a match of BOILERPLATE_REGEX, MOJIBAKE_REGEX or TAG_REGEX. Word boundaries are
dropped, since those of RE2 are ASCII only."""


def blank_code(text: str) -> str:
    """The text with code, tables, formulas and lines of signs replaced by spaces; offsets do not change."""
    return CODE_LINE.sub(_blank_match, CODE_BLOCK.sub(_blank_match, text))


def find_boilerplate(text: str) -> tuple[str, int, int] | None:
    """(kind, start, end) of the first boilerplate phrase."""
    match = BOILERPLATE_REGEX.search(text)
    return None if match is None else (BOILERPLATE_PATTERNS[_group_number(match)][0], *match.span())


def find_mojibake(text: str) -> list[tuple[int, int]]:
    """[start, end) of runs of characters that were lost or decoded with the wrong encoding."""
    return [match.span() for match in MOJIBAKE_REGEX.finditer(text) if "\ufffd" in match[0] or _reads_as_utf8(match[0])]


def find_tags(text: str) -> list[tuple[int, int]]:
    """[start, end) of layout tags and character references."""
    return [match.span() for match in TAG_REGEX.finditer(text)]


def _group_number(match: re.Match[str]) -> int:
    return next(number for number, group in enumerate(match.groups()) if group is not None)


def _blank_match(match: re.Match[str]) -> str:
    return "".join("\n" if character == "\n" else " " for character in match[0])


def _reads_as_utf8(run: str) -> bool:
    """Whether a run, encoded again, is UTF-8. Windows-1252 lacks five bytes, which Latin-1 decodes as control characters."""
    codes = b"".join(letter.encode("cp1252" if ord(letter) > 255 else "latin-1", "replace") for letter in run)
    try:
        return codes.decode("utf-8") != ""
    except UnicodeDecodeError:
        return False
