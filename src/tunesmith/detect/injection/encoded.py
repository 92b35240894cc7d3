"""Decodes hidden text: base64, hexadecimal, binary, percent encoding, tag characters, ciphers, look-alike letters."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.injection.load_rules import INJECTION_FOLDER
from tunesmith.detect.injection.rule import re2_gate
from tunesmith.detect.word_files import Alternatives, WordFile, merge_languages


class DecodedWords(WordFile):
    """Words by which a decoded text of one language is known; the files describe each list."""

    telltale: Alternatives = ()
    cipher: Alternatives = ()
    common: Alternatives = ()


_WORDS: Final = merge_languages(INJECTION_FOLDER / "encoded", DecodedWords)
BASE64: Final = r"[A-Za-z0-9+/]{24,}"
HEXADECIMAL: Final = r"(?:[0-9a-fA-F]{2}[ :,]?){12,}"
BINARY: Final = r"(?:[01]{8}[ ,]?){8,}"
PERCENT: Final = r"(?:%[2-7][0-9a-fA-F]){8,}"
TAGS: Final = "[\U000e0020-\U000e007e]{8,}"
CIPHER: Final = rf"\b(?:{'|'.join(_WORDS.cipher)})\b"
MORSE: Final = r"(?:[.\-]{1,6}[ /]+){8,}[.\-]{1,6}"
PIG_LATIN: Final = r"(?:[A-Za-z]+ay[ ,.?!]+){3,}[A-Za-z]+ay"
CODE_SHAPES: Final = (BASE64, HEXADECIMAL, BINARY, PERCENT, TAGS, MORSE, PIG_LATIN)
QUOTED: Final = re.compile(r"[\"'“‘`]([^\"“”‘’`\n]{12,400})[\"'”’`]|:\s*([^\n]{12,400})")
MIXED_SCRIPTS: Final = (
    "[A-Za-z][\u0370-\u03ff\u0400-\u04ff]|[\u0370-\u03ff\u0400-\u04ff][A-Za-z]|[\uff21-\uff5a]|"
    "[\U0001d400-\U0001d7ff]|[A-Za-z][\u00ad\u200b-\u200d\u2060\ufeff]+[A-Za-z]"
)
"""Look-alike letters in a Latin word, full-width or mathematical letters, or invisible characters between letters."""
TELLTALE_WORDS: Final = _WORDS.telltale
SPELLED_OUT: Final = r"[A-Za-z0-9@$](?:[-._*|][A-Za-z0-9@$]){5,}|[A-Za-z](?: [A-Za-z]){6,}"
"""A word spelled letter by letter."""
MAX_PIECES_CHARACTERS: Final = 4000
"""Longer texts are not searched for quoted pieces."""
JOIN_WORDS: Final = re.compile(r"(?i)combin(?:e|ing)|concatenat|put together|[\"'”’] ?\+ ?[\"'“‘]")
PIECES_GATE: Final = r"(?i:combin(?:e|ing)|concatenat|put together|[\"'”’] ?\+ ?[\"'“‘]|[a-z0-9_] ?\+ ?[a-z])"
"""A text whose quoted pieces are joined has a word for joining, or a sum of names or quotations."""
JOIN_SIGNS: Final = r"\+|combin|concatenat|put together"
QUOTATION_MARK: Final = "[\"'“‘”’`]"
"""What joins pieces, and what each piece stands in."""
NAMED_PIECE: Final = re.compile(
    r"(?i)\b([a-z]\w{0,12})\s*(?::?=|:|is|be|equals?|means|stands for|represents)\s*[\"'“‘`]([^\"”’'`\n]{1,200})[\"'”’`]"
)
PIECE_SUM: Final = re.compile(
    r"\b[A-Za-z]\w{0,12}(?:\s*\+\s*[A-Za-z]\w{0,12})+\b|\b[A-Za-z]\d?(?:(?:,| and|, and| then) [A-Za-z]\d?)+\b"
)
QUOTED_PIECE: Final = re.compile(r"[\"'“‘]([^\"“”‘’'\n]{1,40})[\"'”’]")
LEET_LETTERS: Final = str.maketrans("013457$@!|", "oieastsail")
"""Signs and digits in place of letters."""
LOOK_ALIKES: Final = dict(
    zip(
        "аеорсухіјѕһԁɡАВЕКМНОРСТХІЅЈαοενικτρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxijshdgABEKMHOPCTXISJaoeviktpuABEZHIKMNOPTYX",
        strict=True,
    )
)
COMMON_WORDS: Final = frozenset(_WORDS.common)
READABLE: Final = re.compile(r"[A-Za-z][A-Za-z,.;:!?'\"()\- 0-9\n]*")
MIN_WORDS: Final = 3
"""Least number of words of a readable text, and the share of them that must be common words."""
MIN_COMMON_SHARE: Final = 0.2


@dataclass(frozen=True)
class Decoded:
    """The decoded text of characters [start, end), and how it was encoded; `payload`: whether it reads as English."""

    start: int
    end: int
    how: str
    text: str
    payload: bool


@cache
def encoding_gates() -> tuple[str, str]:
    """Two RE2 expressions, for shapes and for words: one of them matches every text that `decode_all` decodes or whose letters
    `plain_letters` changes. One expression for both would be slower."""
    # Python's ignore-case matches both Turkish letters with i; RE2's does not.
    shapes = "|".join((*CODE_SHAPES, MIXED_SCRIPTS, SPELLED_OUT, "[\u0130\u0131]"))
    return shapes, f"(?i:{re2_gate(CIPHER)})|{telltale_gate()}|{PIECES_GATE}"


@dataclass(frozen=True)
class CodeSigns:
    """Which encodings a text may have."""

    shapes: bool = True
    telltale: bool = True
    spelled: bool = True
    pieces: bool = True
    cipher: bool = True


def find_code_signs(texts: pa.Array) -> list[CodeSigns]:
    """The possible encodings of each text. The array has no nulls."""
    gates = (
        "|".join(CODE_SHAPES),
        telltale_gate(),
        SPELLED_OUT,
        f"(?i:{JOIN_SIGNS})[\\s\\S]*{QUOTATION_MARK}|{QUOTATION_MARK}[\\s\\S]*(?i:{JOIN_SIGNS})",
        f"(?i:{re2_gate(CIPHER)})",
    )
    matches = [compute.match_substring_regex(texts, gate).to_pylist() for gate in gates]
    return [CodeSigns(*pair) for pair in zip(*matches, strict=True)]


def telltale_gate() -> str:
    """An RE2 expression for every text that has a telltale word when reversed, in ROT13 or in leet."""
    words = [codecs.encode(word, "rot13") for word in TELLTALE_WORDS] + [word[::-1] for word in TELLTALE_WORDS]
    leet = [form for word in TELLTALE_WORDS for form in _leet_forms(word)]
    return "(?i:" + "|".join((*words, *leet)) + ")"


def _leet_forms(word: str) -> Iterator[str]:
    """Expressions for a word with at least one letter written as a digit or a sign."""
    signs = {
        letter: "".join(chr(sign) for sign, plain in LEET_LETTERS.items() if chr(plain) == letter) for letter in word
    }
    free = [f"[{letter}{signs[letter]}]" for letter in word]
    for place, letter in enumerate(word):
        if signs[letter]:
            yield "".join((*free[:place], f"[{signs[letter]}]", *free[place + 1 :]))


def decode_all(text: str, signs: CodeSigns = CodeSigns()) -> Iterator[Decoded]:
    """Every encoded stretch of `text`, and the whole text when it is reversed, in ROT13, in leet or in pieces."""
    for how, expression, decode in _DECODERS if signs.shapes else ():
        for match in expression.finditer(text):
            plain = decode(match.group())
            if plain is not None:
                yield Decoded(match.start(), match.end(), how, plain, reads_as_english(plain))
    if signs.telltale:
        yield from _decode_whole_text(text)
    if signs.spelled:
        yield from _decode_spelled_out(text)
    if signs.pieces and len(text) <= MAX_PIECES_CHARACTERS:
        yield from _decode_pieces(text)
    if signs.cipher:
        yield from _decode_ciphers(text)


def plain_letters(text: str) -> tuple[str, list[int]]:
    """The text in plain letters without invisible characters, and the original index of each of its characters."""
    letters, places = [], []
    for place, character in enumerate(text):
        for piece in _plain_character(character):
            letters.append(piece)
            places.append(place)
    return "".join(letters), places


def reads_as_english(text: str, *, fewest: int = MIN_WORDS, share: float = MIN_COMMON_SHARE) -> bool:
    """Whether a text consists of at least `fewest` words, of which a `share` are common."""
    if not READABLE.fullmatch(text.strip(" \n\"'“”‘’`")):
        return False
    words = re.findall(r"[a-z']+", text.lower())
    return len(words) >= fewest and sum(word in COMMON_WORDS for word in words) >= share * len(words)


@cache
def _plain_character(character: str) -> str:
    if character in LOOK_ALIKES:
        return LOOK_ALIKES[character]
    if unicodedata.category(character) == "Cf":
        return ""
    return unicodedata.normalize("NFKC", character) or character


def _base64(code: str) -> str | None:
    try:
        return _decode_utf8(base64.b64decode(code + "=" * (-len(code) % 4)))
    except (binascii.Error, ValueError):
        return None


def _hexadecimal(code: str) -> str | None:
    digits = re.sub(r"[ :,]", "", code)
    return _decode_utf8(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _binary(code: str) -> str | None:
    digits = re.sub(r"[ ,]", "", code)
    return _decode_utf8(bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8)))


def _tags(code: str) -> str | None:
    return "".join(chr(ord(character) - 0xE0000) for character in code)


def _morse(code: str) -> str | None:
    words = [[_MORSE_LETTERS.get(letter) for letter in word.split()] for word in code.split("/")]
    return " ".join("".join(letter or "?" for letter in word) for word in words)


def _pig_latin(code: str) -> str | None:
    """Each word without its ending, with the moved letters in front again."""
    return " ".join(_pig_latin_word(word) for word in re.findall(r"[A-Za-z]+", code.lower()))


def _pig_latin_word(word: str) -> str:
    """The candidate that is a known word, else the one with one letter moved back."""
    stem = word.removesuffix("ay")
    candidates = [
        stem.removesuffix("w"),
        stem.removesuffix("y"),
        *(stem[-moved:] + stem[:-moved] for moved in (1, 2, 3)),
    ]
    recognised = (word for word in candidates if word in COMMON_WORDS or word in TELLTALE_WORDS)
    return next(recognised, candidates[2])


def _decode_utf8(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c in "\n\t" for c in text) else None


def _decode_whole_text(text: str) -> Iterator[Decoded]:
    """The whole text reversed, in ROT13 or in leet, when that has a telltale word."""
    low = text.lower()
    for how, turned in (
        ("backward", low[::-1]),
        ("rot13", codecs.encode(low, "rot13")),
        ("leet", low.translate(LEET_LETTERS)),
    ):
        if any(word in turned and word not in low for word in TELLTALE_WORDS):
            yield Decoded(0, len(text), how, turned, payload=False)


def _decode_spelled_out(text: str) -> Iterator[Decoded]:
    """Words spelled letter by letter that have a telltale word."""
    for match in _SPELLED.finditer(text):
        word = re.sub(r"[-._*| ]", "", match.group()).lower().translate(LEET_LETTERS)
        if any(telltale.replace(" ", "") in word for telltale in TELLTALE_WORDS):
            yield Decoded(match.start(), match.end(), "spelled", f"what is the {word}", payload=True)


def _decode_pieces(text: str) -> Iterator[Decoded]:
    """Quoted pieces, joined."""
    low = text.lower()
    for whole, summed in dict.fromkeys(_joined_pieces(text)):
        telltale = any(word in whole.lower() and word not in low for word in TELLTALE_WORDS)
        payload = telltale or (summed and reads_as_english(whole, fewest=5, share=0.3))
        yield Decoded(0, len(text), "pieces", whole, payload=payload)


def _joined_pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Joined pieces, and whether a sum gives their order; without one they are joined as they come."""
    named = {match.group(1): match.group(2) for match in NAMED_PIECE.finditer(text)} if "+" in text else {}
    for match in PIECE_SUM.finditer(text) if len(named) > 1 else ():
        names = re.findall(r"\w+", match.group())
        if all(name in named for name in names):
            yield "".join(named[name] for name in names), True
            yield " ".join(named[name].strip() for name in names), True
    pieces = [match.group(1) for match in QUOTED_PIECE.finditer(text)]
    if len(pieces) > 1 and JOIN_WORDS.search(text):
        yield "".join(pieces), False


def _decode_ciphers(text: str) -> Iterator[Decoded]:
    """Quoted text, or text after a colon, that some shift of the alphabet turns into English."""
    if not re.search(CIPHER, text, re.IGNORECASE):
        return
    for match in QUOTED.finditer(text):
        code = match.group(1) or match.group(2)
        if reads_as_english(code):
            continue
        for shift in range(1, 26):
            plain = code.translate(_shift_table(shift))
            if reads_as_english(plain, fewest=5, share=0.3):
                yield Decoded(match.start(), match.end(), "cipher", plain, payload=True)
                break


@cache
def _shift_table(shift: int) -> dict[int, int]:
    return {first + place: first + (place - shift) % 26 for first in (65, 97) for place in range(26)}


_MORSE_LETTERS: Final = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..".split(),  # noqa: SIM905
        "abcdefghijklmnopqrstuvwxyz",
        strict=True,
    )
)
_SPELLED: Final = re.compile(SPELLED_OUT)
_DECODERS: Final = (
    ("base64", re.compile(BASE64), _base64),
    ("hexadecimal", re.compile(rf"(?<![0-9A-Za-z]){HEXADECIMAL}"), _hexadecimal),
    ("binary", re.compile(BINARY), _binary),
    ("percent", re.compile(PERCENT), unquote),
    ("tags", re.compile(TAGS), _tags),
    ("morse", re.compile(MORSE), _morse),
    ("pig latin", re.compile(PIG_LATIN), _pig_latin),
)
