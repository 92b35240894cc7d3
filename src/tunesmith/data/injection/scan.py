"""Looking for instructions in texts: a native gate over a whole column, and the exact look at the few texts that pass."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith.data.injection import carried, documents, encoded
from tunesmith.data.injection.english import ENGLISH
from tunesmith.data.injection.foreign import FOREIGN
from tunesmith.data.injection.rule import Rule, gate_of, needed

TOGETHER: Final = 6
"""Rules whose gates are looked for in one before each is by itself."""
Lines: TypeAlias = npt.NDArray[numpy.int64]
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


def scan(texts: pa.Array, roles: pa.Array) -> list[tuple[Injection, ...]]:
    """What each text holds, given who says it (null in a text without turns); system turns are not looked at."""
    found: dict[int, list[Injection]] = {}
    looked = numpy.flatnonzero(numpy.asarray(compute.fill_null(compute.not_equal(roles, "system"), True)))
    plain, other, marked = (_passing(texts, looked, gate) for gate in gates())
    for rules, lines in zip(_GROUPS, (plain, other), strict=True):
        _ruled(texts, roles, rules, lines, found)
    worded = _passing(texts, other, encoded.gates()[1])
    _coded(texts, roles, numpy.union1d(worded, marked), found)
    asked = numpy.flatnonzero(numpy.asarray(compute.is_in(roles, _ASKERS)))
    _in_documents(texts, [line for line in marked.tolist() if roles[line].as_py() in TO_MODEL], found)
    _said_to_model(texts, _passing(texts, asked, carried.gate()), found)
    made: list[tuple[Injection, ...]] = [()] * len(texts)
    for line, hits in found.items():
        made[line] = _apart(hits)
    return made


def _apart(hits: Iterable[Injection]) -> tuple[Injection, ...]:
    """Hits in order, of those of one kind that overlap the first."""
    ends: dict[str, int] = {}
    kept = []
    for hit in sorted(hits):
        if hit.start >= ends.get(hit.kind, 0):
            kept.append(hit)
            ends[hit.kind] = hit.end
    return tuple(kept)


def injections(text: str, role: str | None = "user") -> tuple[Injection, ...]:
    """What one text holds."""
    return scan(pa.array([text], type=pa.string()), pa.array([role], type=pa.string()))[0]


@cache
def gates() -> tuple[str, str, str]:
    """Expressions for RE2, which is slower with all in one: rules in ASCII; other rules and words of codes; shapes of codes and
    documents. A text that none of them matches has nothing but, maybe, talk to a model."""
    plain, other = (_any([rule.gate for rule in rules]) for rules in _GROUPS)
    shapes, words = encoded.gates()
    return plain, f"{other}|{words}", f"{shapes}|{documents.GATE}"


def _any(gates: Sequence[str]) -> str:
    return f"(?i:{'|'.join(needed(gates))})"


def _passing(texts: pa.Array, lines: Lines, gate: str) -> Lines:
    """The lines whose text a gate lets through."""
    if not len(lines):
        return lines
    some = texts if len(lines) == len(texts) else texts.take(pa.array(lines))
    passed: Lines = lines[numpy.asarray(compute.fill_null(compute.match_substring_regex(some, gate), False))]
    return passed


def _ruled(
    texts: pa.Array, roles: pa.Array, rules: Sequence[Rule], lines: Lines, found: dict[int, list[Injection]]
) -> None:
    some = texts.take(pa.array(lines))
    for first in range(0, len(rules), TOGETHER):
        batch = rules[first : first + TOGETHER]
        likely = _passing(some, numpy.arange(len(lines)), _any([rule.gate for rule in batch]))
        for rule in batch:
            here = _passing(some, likely, _any([rule.gate]))
            for place in (_passing(some, here, _any([gate_of(rule.also)])) if rule.also else here).tolist():
                line = int(lines[place])
                _add(found, line, _by_rules(some[place].as_py(), roles[line].as_py(), [rule]))


def _coded(texts: pa.Array, roles: pa.Array, lines: Lines, found: dict[int, list[Injection]]) -> None:
    some = texts.take(pa.array(lines))
    for place, (line, signs) in enumerate(zip(lines.tolist(), encoded.signs_of(some), strict=True)):
        _add(found, line, _in_codes(some[place].as_py(), roles[line].as_py(), signs))


def _in_documents(texts: pa.Array, lines: Sequence[int], found: dict[int, list[Injection]]) -> None:
    for line in lines:
        places = documents.foreign_requests(texts[line].as_py())
        _add(found, line, (Injection(*place, "request-in-document") for place in places))


def _said_to_model(texts: pa.Array, lines: Lines, found: dict[int, list[Injection]]) -> None:
    """Talk to a model where nothing else was found."""
    rest = numpy.array([line for line in lines.tolist() if line not in found], dtype=numpy.int64)
    some = texts.take(pa.array(rest))
    for place in numpy.flatnonzero(carried.heavy(some)).tolist():
        talk = carried.talk(some[place].as_py())
        _add(found, int(rest[place]), [Injection(*talk, "talk-to-model")] if talk else ())


def _add(found: dict[int, list[Injection]], line: int, hits: Iterable[Injection]) -> None:
    some = list(hits)
    if some:
        found.setdefault(line, []).extend(some)


def _by_rules(text: str, role: str | None, rules: Sequence[Rule]) -> Iterator[Injection]:
    for rule in rules:
        if rule.asked and role not in TO_MODEL:
            continue
        for found in rule.expression.finditer(text):
            if not rule.inside or len(text) - (found.end() - found.start()) >= SURROUNDED:
                yield Injection(*found.span(), rule.kind)


def _in_codes(text: str, role: str | None, signs: encoded.Signs) -> Iterator[Injection]:
    """Codes for instructions, codes for English that a user's text has, and rules that match in plain letters alone."""
    for one in encoded.decoded(text, signs):
        if any(_by_rules(one.text, role, _likely(one.text))):
            yield Injection(one.start, one.end, "encoded-instruction")
        elif one.payload and role in TO_MODEL:
            yield Injection(one.start, one.end, "encoded-text")
    if not text.isascii() and _STRANGE.search(text):
        plain, places = encoded.plain_letters(text)
        before = {hit.kind for hit in _by_rules(text, role, _likely(text))}
        for hit in _by_rules(plain, role, _likely(plain)):
            if hit.kind not in before:
                yield Injection(places[hit.start], places[hit.end - 1] + 1, "hidden-instruction")


def _likely(text: str) -> list[Rule]:
    """The rules whose anchor a text has."""
    return [rule for rule in RULES if rule.anchored.search(text)]


_GROUPS: Final = tuple(tuple(rule for rule in RULES if rule.gate.isascii() == wanted) for wanted in (True, False))
"""The rules in ASCII and the others: RE2 is slower with all of them in one expression."""
_ASKERS: Final = pa.array(TO_MODEL)
_STRANGE: Final = re.compile(f"{encoded.MIXED}|[\u0130\u0131]")
