"""Looking for instructions in texts: a native gate over a whole column, and the exact look at the few texts that pass."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.data.injection import documents, encoded
from tunesmith.data.injection.english import ENGLISH
from tunesmith.data.injection.foreign import FOREIGN
from tunesmith.data.injection.rule import Rule, gate_of

RULES: Final = (*ENGLISH, *FOREIGN)
TO_MODEL: Final = ("user", "tool")
SURROUNDED: Final = 120
"""Characters of other text that make a plain request one that stands inside of something."""


@dataclass(frozen=True, order=True)
class Injection:
    """Characters [start, end) of a text that are an instruction, and of which kind."""

    start: int
    end: int
    kind: str


def gates() -> tuple[str, ...]:
    """Expressions for RE2, one for each rule, then for codes and documents: a text that none of them matches has nothing."""
    codes = (*encoded.STRETCHES, encoded.MIXED, encoded.SPELLED)
    words = f"(?i:{gate_of(encoded.CIPHER)})|{encoded.telling_gate()}|{encoded.PIECES}"
    # Python takes both for an i without case, RE2 does not.
    spelled = f"{'|'.join(codes)}|{words}|[\u0130\u0131]"
    return (*(f"(?i){rule.gate}" for rule in RULES), spelled, documents.GATE)


def scan(texts: pa.Array, roles: pa.Array) -> list[tuple[Injection, ...]]:
    """What each text holds, given who says it (null in a text without turns); system turns are not looked at."""
    found: list[tuple[Injection, ...]] = [()] * len(texts)
    looked = compute.fill_null(compute.not_equal(roles, "system"), True)
    passed = compute.and_(looked, compute.fill_null(_any_of(texts), False))
    lines = numpy.flatnonzero(numpy.asarray(passed)).tolist()
    some = texts.take(pa.array(lines, type=pa.int64()))
    rules = [numpy.asarray(compute.match_substring_regex(some, gate)) for gate in gates()]
    for place, line in enumerate(lines):
        wanted = [rule for rule, hits in zip(RULES, rules, strict=False) if hits[place]]
        text, role = some[place].as_py(), roles[line].as_py()
        found[line] = tuple(
            sorted(set(_in_text(text, role, wanted, spelled=bool(rules[-2][place]), marked=bool(rules[-1][place]))))
        )
    return found


def injections(text: str, role: str | None = "user") -> tuple[Injection, ...]:
    """What one text holds."""
    return scan(pa.array([text], type=pa.string()), pa.array([role], type=pa.string()))[0]


def _any_of(texts: pa.Array) -> pa.Array:
    """Whether any gate matches."""
    return reduce(compute.or_, [compute.match_substring_regex(texts, gate) for gate in _joined()])


@cache
def _joined() -> tuple[str, ...]:
    """The gates in four expressions: rules in ASCII, other rules, codes, documents; RE2 is slower with all of them in one."""
    *rules, spelled, marks = gates()
    plain, foreign = ([gate for gate in rules if gate.isascii() == wanted] for wanted in (True, False))
    return ("|".join(plain), "|".join(foreign), spelled, marks)


def _in_text(
    text: str, role: str | None, wanted: Sequence[Rule], *, spelled: bool, marked: bool
) -> Iterator[Injection]:
    yield from _by_rules(text, role, wanted)
    if spelled:
        yield from _in_codes(text, role)
    if marked and role in TO_MODEL:
        for start, end in documents.foreign_requests(text):
            yield Injection(start, end, "request-in-document")


def _by_rules(text: str, role: str | None, rules: Sequence[Rule]) -> Iterator[Injection]:
    for rule in rules:
        if rule.asked and role not in TO_MODEL:
            continue
        for found in rule.expression.finditer(text):
            if not rule.inside or len(text) - (found.end() - found.start()) >= SURROUNDED:
                yield Injection(*found.span(), rule.kind)


def _in_codes(text: str, role: str | None) -> Iterator[Injection]:
    """Codes for instructions, codes for English that a user's text has, and rules that match in plain letters alone."""
    for one in encoded.decoded(text):
        if any(_by_rules(one.text, role, _likely(one.text))):
            yield Injection(one.start, one.end, "encoded-instruction")
        elif one.payload and role in TO_MODEL:
            yield Injection(one.start, one.end, "encoded-text")
    if _STRANGE.search(text):
        plain, places = encoded.plain_letters(text)
        before = {hit.kind for hit in _by_rules(text, role, _likely(text))}
        for hit in _by_rules(plain, role, _likely(plain)):
            if hit.kind not in before:
                yield Injection(places[hit.start], places[hit.end - 1] + 1, "hidden-instruction")


def _likely(text: str) -> list[Rule]:
    """The rules whose anchor a text has."""
    return [rule for rule in RULES if rule.anchored.search(text)]


_STRANGE: Final = re.compile(f"{encoded.MIXED}|[\u0130\u0131]")
