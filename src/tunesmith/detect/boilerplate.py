"""What a page leaves behind in its text: furniture, broken characters, markup. And what in a text is code, and no prose."""

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
"""Indented lines, rows of tables, lines that end like code, lines of signs, lines that begin like a statement."""


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
"""What the bytes 80 to BF are in Latin-1 and in Windows-1252."""

MOJIBAKE_REGEX: Final = re.compile(
    f"\ufffd+|(?:(?<![A-Z])[\u00c2\u00c3][{_MISREAD_BYTES}]|\u00e2[{_MISREAD_BYTES}]{{2}}|\u00ef\u00bb\u00bf)+"
)
"""The replacement character; UTF-8 of two or three bytes read as Windows-1252. After a capital it may be Portuguese."""

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
"""For RE2, whose word boundaries know ASCII alone: it matches whatever `BOILER`, `BROKEN` or `TAGS` finds a piece of."""


def blank_code(text: str) -> str:
    """The text with code, tables, formulas and lines of signs blanked out; places stay what they are."""
    return CODE_LINE.sub(_blank_match, CODE_BLOCK.sub(_blank_match, text))


def find_boilerplate(text: str) -> tuple[str, int, int] | None:
    """(what it is, start, end) of the first piece of page furniture."""
    found = BOILERPLATE_REGEX.search(text)
    return None if found is None else (BOILERPLATE_PATTERNS[_group_number(found)][0], *found.span())


def find_mojibake(text: str) -> list[tuple[int, int]]:
    """Runs of characters that were lost or read in the wrong encoding."""
    return [found.span() for found in MOJIBAKE_REGEX.finditer(text) if "\ufffd" in found[0] or _reads_as_utf8(found[0])]


def find_tags(text: str) -> list[tuple[int, int]]:
    """Tags that lay out text, and character references."""
    return [found.span() for found in TAG_REGEX.finditer(text)]


def _group_number(found: re.Match[str]) -> int:
    return next(number for number, piece in enumerate(found.groups()) if piece is not None)


def _blank_match(found: re.Match[str]) -> str:
    return "".join("\n" if character == "\n" else " " for character in found[0])


def _reads_as_utf8(run: str) -> bool:
    """Windows-1252 leaves five bytes out, which Latin-1 reads as control characters."""
    codes = b"".join(one.encode("cp1252" if ord(one) > 255 else "latin-1", "replace") for one in run)
    try:
        return codes.decode("utf-8") != ""
    except UnicodeDecodeError:
        return False
