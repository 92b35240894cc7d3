"""Finds instructions in a column of texts: native gates select the few texts that the rules are tried on."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith.detect.injection import embedded_talk, encoded, off_topic_requests
from tunesmith.detect.injection.load_rules import load_rules
from tunesmith.detect.injection.rule import InjectionRule, minimal_gates, re2_gate

RULES_PER_GATE: Final = 6
"""Rules whose gates are matched as one expression before each is matched alone."""
LineNumbers: TypeAlias = npt.NDArray[numpy.int64]
INJECTION_RULES: Final = load_rules()
ROLES_TO_MODEL: Final = ("user", "tool")
MIN_SURROUNDING_CHARACTERS: Final = 120
"""Other text around a match of an `embedded` rule."""


@dataclass(frozen=True, order=True)
class Injection:
    """Characters [start, end) of a text that are an instruction, and its kind."""

    start: int
    end: int
    kind: str


def scan_injections(texts: pa.Array, roles: pa.Array) -> list[tuple[Injection, ...]]:
    """The injections in each text, given the role of its turn (null for a text without turns). System turns have none."""
    hits_by_line: dict[int, list[Injection]] = {}
    scanned = numpy.flatnonzero(numpy.asarray(compute.fill_null(compute.not_equal(roles, "system"), True)))
    ascii_lines, other_lines, shape_lines = (_matching_lines(texts, scanned, gate) for gate in injection_gates())
    for rules, lines in zip(_RULE_GROUPS, (ascii_lines, other_lines), strict=True):
        _scan_by_rules(texts, roles, rules, lines, hits_by_line)
    word_lines = _matching_lines(texts, other_lines, encoded.encoding_gates()[1])
    _scan_encoded(texts, roles, numpy.union1d(word_lines, shape_lines), hits_by_line)
    to_model = numpy.flatnonzero(numpy.asarray(compute.is_in(roles, _ROLES_TO_MODEL)))
    _scan_documents(
        texts, [line for line in shape_lines.tolist() if roles[line].as_py() in ROLES_TO_MODEL], hits_by_line
    )
    _scan_talk(texts, _matching_lines(texts, to_model, embedded_talk.talk_gate()), hits_by_line)
    injections: list[tuple[Injection, ...]] = [()] * len(texts)
    for line, hits in hits_by_line.items():
        injections[line] = _without_overlaps(hits)
    return injections


def _without_overlaps(hits: Iterable[Injection]) -> tuple[Injection, ...]:
    """Hits in order; of overlapping hits of one kind only the first."""
    ends: dict[str, int] = {}
    apart = []
    for hit in sorted(hits):
        if hit.start >= ends.get(hit.kind, 0):
            apart.append(hit)
            ends[hit.kind] = hit.end
    return tuple(apart)


def find_injections(text: str, role: str | None = "user") -> tuple[Injection, ...]:
    """The injections in one text."""
    return scan_injections(pa.array([text], type=pa.string()), pa.array([role], type=pa.string()))[0]


@cache
def injection_gates() -> tuple[str, str, str]:
    """Three RE2 expressions: ASCII rules; other rules and words of encodings; shapes of encodings and documents.

    A text that none of them matches can only have talk to a model. One expression for all would be slower.
    """
    plain, other = (_any_gate([rule.gate for rule in rules]) for rules in _RULE_GROUPS)
    shapes, words = encoded.encoding_gates()
    return plain, f"{other}|{words}", f"{shapes}|{off_topic_requests.DOCUMENT_GATE}"


def _any_gate(gates: Sequence[str]) -> str:
    return f"(?i:{'|'.join(minimal_gates(gates))})"


def _matching_lines(texts: pa.Array, lines: LineNumbers, gate: str) -> LineNumbers:
    """The lines whose text matches a gate."""
    if not len(lines):
        return lines
    candidates = texts if len(lines) == len(texts) else texts.take(pa.array(lines))
    matching: LineNumbers = lines[
        numpy.asarray(compute.fill_null(compute.match_substring_regex(candidates, gate), False))
    ]
    return matching


def _scan_by_rules(
    texts: pa.Array,
    roles: pa.Array,
    rules: Sequence[InjectionRule],
    lines: LineNumbers,
    hits_by_line: dict[int, list[Injection]],
) -> None:
    candidates = texts.take(pa.array(lines))
    for first in range(0, len(rules), RULES_PER_GATE):
        batch = rules[first : first + RULES_PER_GATE]
        batch_places = _matching_lines(candidates, numpy.arange(len(lines)), _any_gate([rule.gate for rule in batch]))
        for rule in batch:
            places = _matching_lines(candidates, batch_places, _any_gate([rule.gate]))
            if rule.also:
                places = _matching_lines(candidates, places, _any_gate([re2_gate(rule.also)]))
            for place in places.tolist():
                line = int(lines[place])
                _add_hits(hits_by_line, line, _rule_hits(candidates[place].as_py(), roles[line].as_py(), [rule]))


def _scan_encoded(
    texts: pa.Array, roles: pa.Array, lines: LineNumbers, hits_by_line: dict[int, list[Injection]]
) -> None:
    candidates = texts.take(pa.array(lines))
    for place, (line, signs) in enumerate(zip(lines.tolist(), encoded.find_code_signs(candidates), strict=True)):
        _add_hits(hits_by_line, line, _encoded_hits(candidates[place].as_py(), roles[line].as_py(), signs))


def _scan_documents(texts: pa.Array, lines: Sequence[int], hits_by_line: dict[int, list[Injection]]) -> None:
    for line in lines:
        places = off_topic_requests.find_off_topic_requests(texts[line].as_py())
        _add_hits(hits_by_line, line, (Injection(*place, "request-in-document") for place in places))


def _scan_talk(texts: pa.Array, lines: LineNumbers, hits_by_line: dict[int, list[Injection]]) -> None:
    """Talk to a model, in texts without any other finding."""
    rest = numpy.array([line for line in lines.tolist() if line not in hits_by_line], dtype=numpy.int64)
    candidates = texts.take(pa.array(rest))
    for place in numpy.flatnonzero(embedded_talk.weighs_enough(candidates)).tolist():
        talk = embedded_talk.find_talk(candidates[place].as_py())
        _add_hits(hits_by_line, int(rest[place]), [Injection(*talk, "talk-to-model")] if talk else ())


def _add_hits(hits_by_line: dict[int, list[Injection]], line: int, hits: Iterable[Injection]) -> None:
    new_hits = list(hits)
    if new_hits:
        hits_by_line.setdefault(line, []).extend(new_hits)


def _rule_hits(text: str, role: str | None, rules: Sequence[InjectionRule]) -> Iterator[Injection]:
    for rule in rules:
        if rule.to_model and role not in ROLES_TO_MODEL:
            continue
        for match in rule.expression.finditer(text):
            if not rule.embedded or len(text) - (match.end() - match.start()) >= MIN_SURROUNDING_CHARACTERS:
                yield Injection(*match.span(), rule.kind)


def _encoded_hits(text: str, role: str | None, signs: encoded.CodeSigns) -> Iterator[Injection]:
    """Encoded instructions, encoded English in user and tool turns, and rules that match only after letters are normalised."""
    for decoded in encoded.decode_all(text, signs):
        if any(_rule_hits(decoded.text, role, _anchored_rules(decoded.text))):
            yield Injection(decoded.start, decoded.end, "encoded-instruction")
        elif decoded.payload and role in ROLES_TO_MODEL:
            yield Injection(decoded.start, decoded.end, "encoded-text")
    if not text.isascii() and _UNUSUAL_LETTERS.search(text):
        plain, places = encoded.plain_letters(text)
        before = {hit.kind for hit in _rule_hits(text, role, _anchored_rules(text))}
        for hit in _rule_hits(plain, role, _anchored_rules(plain)):
            if hit.kind not in before:
                yield Injection(places[hit.start], places[hit.end - 1] + 1, "hidden-instruction")


def _anchored_rules(text: str) -> list[InjectionRule]:
    """The rules whose anchor matches a text."""
    return [rule for rule in INJECTION_RULES if rule.anchored.search(text)]


_RULE_GROUPS: Final = tuple(
    tuple(rule for rule in INJECTION_RULES if rule.gate.isascii() == wanted) for wanted in (True, False)
)
"""ASCII rules and the others: one RE2 expression for all would be slower."""
_ROLES_TO_MODEL: Final = pa.array(ROLES_TO_MODEL)
_UNUSUAL_LETTERS: Final = re.compile(f"{encoded.MIXED_SCRIPTS}|[\u0130\u0131]")
