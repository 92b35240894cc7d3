"""Talk to a model where data is expected: weighted signs, listed in `embedded_talk/*.yaml`, that stand close together."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute
from pydantic import BaseModel, ConfigDict, Field

from tunesmith.detect.injection.load_rules import INJECTION_FOLDER
from tunesmith.detect.word_files import (
    Alternatives,
    Expression,
    Parts,
    WordFile,
    fill_parts,
    merge_languages,
    read_languages,
)


class TalkSign(BaseModel):
    """One sign of talk to a model: its expression, without look-around, and how much it weighs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: Annotated[int, Field(ge=1)]
    regex: Expression


class TalkWords(WordFile):
    """Signs of talk to a model in one language; `data_follows` are words after which a prompt quotes data."""

    parts: Parts
    data_follows: Alternatives = ()
    signs: tuple[TalkSign, ...]


_FOLDER: Final = INJECTION_FOLDER / "embedded_talk"
_DATA_FOLLOWS: Final = "|".join(merge_languages(_FOLDER, TalkWords).data_follows)
DATA_START: Final = re.compile(rf"(?i)\b(?:{_DATA_FOLLOWS}) [^.:\n]{{0,80}}[:\n]|(?-i:\b[A-Z]{{4,}}[A-Z _]{{0,20}}): ")
"""Where the data that a prompt quotes begins: an announced text, or the fields of a record."""
TALK_SIGNS: Final = tuple(
    (sign.weight, fill_parts(sign.regex, file.parts))
    for file in read_languages(_FOLDER, TalkWords).values()
    for sign in file.signs
)
"""(weight, expression)."""
MAX_TEXT_CHARACTERS: Final = 3000
"""Longer texts are not scanned: they contain ordinary talk."""
SHORT_TEXT_CHARACTERS: Final = 1000
WINDOW_CHARACTERS: Final = 400
"""Distance within which the weights of signs add up."""
MIN_WEIGHT: Final = 4
"""Combined weight that counts in quoted data and in short texts. Set by hand: the ordinary rows of development are below."""
MIN_WEIGHT_LONG_TEXT: Final = 5
"""Combined weight that counts elsewhere in a longer text."""
_TALK_REGEXES: Final = tuple(re.compile(f"(?i){expression}") for _, expression in TALK_SIGNS)
_WEIGHTS: Final = numpy.array([weight for weight, _ in TALK_SIGNS])


def talk_gate() -> str:
    """An RE2 expression for the signs that weigh more than one: talk has at least one of them."""
    return "|".join(_re2_regex(expression) for weight, expression in TALK_SIGNS if weight > 1)


def weighs_enough(texts: pa.Array) -> npt.NDArray[numpy.bool_]:
    """For each text whether all its signs together reach MIN_WEIGHT."""
    hits = [
        numpy.asarray(compute.fill_null(compute.match_substring_regex(texts, _re2_regex(expression)), False))
        for _, expression in TALK_SIGNS
    ]
    weights: npt.NDArray[numpy.int64] = numpy.stack(hits, axis=1) @ _WEIGHTS
    return weights >= MIN_WEIGHT


def find_talk(text: str) -> tuple[int, int] | None:
    """[start, end) of the first stretch whose signs weigh enough, beginning at the last sign from which they still do."""
    if len(text) > MAX_TEXT_CHARACTERS:
        return None
    signs = sorted(
        (hit.start(), hit.end(), number) for number, sign in enumerate(_TALK_REGEXES) for hit in sign.finditer(text)
    )
    mark = DATA_START.search(text)
    data = 0 if len(text) <= SHORT_TEXT_CHARACTERS else len(text) if mark is None else mark.end()
    talk: tuple[int, int] | None = None
    for place, (start, _, _) in enumerate(signs):
        near = [sign for sign in signs[place:] if sign[1] <= start + WINDOW_CHARACTERS]
        enough = _combined_weight(near) >= (MIN_WEIGHT if start >= data else MIN_WEIGHT_LONG_TEXT)
        if talk is not None and not enough:
            break
        if enough and (talk is None or start < talk[1]):
            talk = start, max(end for _, end, _ in near)
    return talk


def _re2_regex(expression: str) -> str:
    """The expression for RE2, whose `\\w` is ASCII only. Next to an ASCII letter it has every word boundary that Python has."""
    return f"(?i:{expression})".replace(r"\w", r"[0-9A-Za-z_\x{80}-\x{10ffff}]")


def _combined_weight(signs: Sequence[tuple[int, int, int]]) -> int:
    """The sum of the weights of different signs, or 0 if none weighs more than one."""
    weights = [TALK_SIGNS[number][0] for number in {number for _, _, number in signs}]
    return sum(weights) if max(weights) > 1 else 0
