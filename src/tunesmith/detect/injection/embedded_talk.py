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
"""Characters of a text: data that is longer has talk of its own."""
SHORT_TEXT_CHARACTERS: Final = 1000
WINDOW_CHARACTERS: Final = 400
"""Characters within which signs count together."""
MIN_WEIGHT: Final = 4
"""Weight of the signs in carried data and in short texts; by hand: ordinary rows of the development half stay below."""
MIN_WEIGHT_LONG_TEXT: Final = 5
"""The same in a longer text."""
_TALK_REGEXES: Final = tuple(re.compile(f"(?i){expression}") for _, expression in TALK_SIGNS)
_WEIGHTS: Final = numpy.array([weight for weight, _ in TALK_SIGNS])


def talk_gate() -> str:
    """An expression for RE2: no talk without a sign that weighs more than one."""
    return "|".join(_re2_regex(expression) for weight, expression in TALK_SIGNS if weight > 1)


def weighs_enough(texts: pa.Array) -> npt.NDArray[numpy.bool_]:
    """Whether the signs of a whole text weigh enough, wherever they stand."""
    hits = [
        numpy.asarray(compute.fill_null(compute.match_substring_regex(texts, _re2_regex(expression)), False))
        for _, expression in TALK_SIGNS
    ]
    weights: npt.NDArray[numpy.int64] = numpy.stack(hits, axis=1) @ _WEIGHTS
    return weights >= MIN_WEIGHT


def find_talk(text: str) -> tuple[int, int] | None:
    """The first characters whose signs of talk to a model weigh enough together, less what is not needed for it before them."""
    if len(text) > MAX_TEXT_CHARACTERS:
        return None
    signs = sorted(
        (hit.start(), hit.end(), number) for number, sign in enumerate(_TALK_REGEXES) for hit in sign.finditer(text)
    )
    carried = DATA_START.search(text)
    data = 0 if len(text) <= SHORT_TEXT_CHARACTERS else len(text) if carried is None else carried.end()
    found: tuple[int, int] | None = None
    for place, (start, _, _) in enumerate(signs):
        near = [sign for sign in signs[place:] if sign[1] <= start + WINDOW_CHARACTERS]
        enough = _combined_weight(near) >= (MIN_WEIGHT if start >= data else MIN_WEIGHT_LONG_TEXT)
        if found is not None and not enough:
            break
        if enough and (found is None or start < found[1]):
            found = start, max(end for _, end, _ in near)
    return found


def _re2_regex(expression: str) -> str:
    """For RE2, which knows fewer words: beside a letter of ASCII it sees every boundary that Python sees."""
    return f"(?i:{expression})".replace(r"\w", r"[0-9A-Za-z_\x{80}-\x{10ffff}]")


def _combined_weight(signs: Sequence[tuple[int, int, int]]) -> int:
    """What different signs weigh together, if one of them weighs more than one."""
    weights = [TALK_SIGNS[number][0] for number in {number for _, _, number in signs}]
    return sum(weights) if max(weights) > 1 else 0
