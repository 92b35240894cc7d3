"""Talk to a model where data is expected: signs of it that stand close together weigh enough."""

import re
from collections.abc import Sequence
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

DATA_START: Final = re.compile(r"(?i)\b(?:following|below) [^.:\n]{0,80}[:\n]|(?-i:\b[A-Z]{4,}[A-Z _]{0,20}): ")
"""Where data begins that a prompt carries: a text that follows, a record's fields."""
MAX_TEXT_CHARACTERS: Final = 3000
"""Characters of a text: data that is longer has talk of its own."""
SHORT_TEXT_CHARACTERS: Final = 1000
WINDOW_CHARACTERS: Final = 400
"""Characters within which signs count together."""
MIN_WEIGHT: Final = 4
"""Weight of the signs in carried data and in short texts; by hand: ordinary rows of the development half stay below."""
MIN_WEIGHT_LONG_TEXT: Final = 5
"""The same in a longer text."""
_READER: Final = (
    r"(?:the |this |your |all |any |every )?(?:user|customer|client|reader|visitor|account ?holder|human|caller)s?"
)
TALK_SIGNS: Final = (
    (
        2,
        r"\b(?:tell|inform|advis\w+|instruct\w*|direct\w*|ask|remind|urg\w+|notify|convince|warn|guide|refer|redirect|"
        r"encourage|send|give|show|"
        rf"recommend|suggest|assure|have|let|get|persuade|telling|informing|sending) {_READER}\b",
    ),
    (
        2,
        r"\b(?:imagine|pretend|hypothetical\w*|role[ -]?play\w*|let['’]?s (?:play|pretend|imagine)|(?:parallel|"
        r"fictional|alternat\w+|imaginary|"
        r"virtual) (?:world|universe|reality|scenario)|in a world|act as|you(?: are|['’]re) (?:now|no longer|"
        r"an? (?:\w+ )?(?:bot|ai|assistant|"
        r"chatbot|agent|guide|helper|expert))|for (?:testing|training|research) purposes)\b",
    ),
    (
        2,
        r"\b(?:ai|chat ?bot|language model|llm|gpt|(?:ai|virtual|helpful|your|the|an) assistant|"
        r"(?:system|developer|debug|admin|god|maintenance|"
        r"test) (?:mode|override|prompt|"
        r"message|command)|your (?:\w+ )?(?:instructions?|prompt|programming|responses?|answers?|reply|replies|task|"
        r"job|role|guidelines|rules|output|duty))\b",
    ),
    (
        2,
        r"\b(?:ignore|disregard|forget|override|bypass|overlook)\b[^.\n]{0,40}\b(?:previous|prior|above|instructions?|"
        r"rules|everything|all|that|context)\b",
    ),
    (
        1,
        r"\b(?:respond|reply|say|print|output|answer|repeat|display|write back|conclude|state)(?:ing)? (?:with|that|"
        r"only|by|to|[\"'“‘:])",
    ),
    (1, r"\byou (?:must|should|will|shall|need to|have to|are to|can|would|could|agreed|promised|said)\b"),
    (
        1,
        r"https?://|\bwww\.|\b\w+\.(?:com|net|org|io|xyz|info|co)\b|\b(?:click|phish\w*|reset|log ?in|passwords?|"
        r"credentials|verify|download)\b",
    ),
    (1, r"\b(?:the|this) (?:user|customer|client)\b"),
    (
        2,
        r"\b(?:categori[sz]e|classify|label|mark|rate|score|describe|report|treat|consider|flag|summari[sz]e) "
        r"(?:it|this|that|them|me|us|the \w+)\b[^.\n]{0,40}\bas\b",
    ),
    (1, r"\b(?:scenario|universe|planet|simulation|thought experiment|fictional|in this world)\b"),
    (1, r"\b(?:could you|can you|would you|i (?:want|need) you|please)\b"),
    (1, r"\b(?:instead of|no matter what|regardless of|instructions?)\b"),
    (
        1,
        r"\b(?:it is (?:very |really )?(?:important|crucial|vital|urgent)|urgent\w*|trust|authori[sz]ed|"
        r"as (?:an? )?expert|i(?: am|['’]m) an? )\b",
    ),
    (1, r"\b[A-Za-z]\w* ?=? ?(?:=|\+) ?['\"“‘A-Za-z]"),
)
"""Weight and expression, without look-around."""
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
