"""Hits in a column of texts: gates in RE2 select the patterns to try on each text; `re` and the checksums decide.

An RE2 `Set` (google-re2 1.1) is one automaton for many gates, built lazily: a new state for each combination of partial matches.
Random tokens keep adding states, so gates are grouped into families whose combinations do not multiply: cue words, marks such as
`npm_`, tokens, and digits. Whether a text has any cue word is one expression, with a hundredth of the states. For the other
families several texts are matched at once, joined by TEXT_SEPARATOR; texts that may match are then matched one by one.

A `Set` that runs out of memory fails silently. So END_MARK is appended to each text with a gate of its own, which must match.
(A gate that matches everywhere would be reported at every byte, at twice the time.)
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Final

import numpy
import pyarrow as pa
import re2
from pyarrow import compute

from tunesmith.detect.patterns.pattern import Hit, Pattern, find_hits
from tunesmith.detect.patterns.prefilter import WORD_START, any_prefilter_regex, needs_digit, prefilter_regex
from tunesmith.errors import MachineFailure

HITS_TYPE: Final = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("kind", pa.string())]))
"""Arrow type of the hits of a text: characters [start, end) and what they are."""
MAX_AUTOMATON_BYTES: Final = 128 << 20
"""Memory limit of one automaton."""
MAX_CACHED_GATE_SETS: Final = 4096
"""Sets of gates whose patterns are cached."""
TEXTS_PER_MATCH: Final = 8
TEXT_SEPARATOR: Final = b"\n"
"""What joins texts that are matched at once. A gate that matches across it lets more texts through, not fewer."""
END_MARK: Final = b"\n\0\1"
END_MARK_REGEX: Final = r"\x00\x01$"
"""What is appended to a text, and its gate. It does not begin with a letter, so that a word at the end of a text has an edge."""
ASCII_DIGITS: Final = b"0123456789"

PatternPack = tuple[Pattern, ...]
SetMatch = Callable[[bytes], list[int] | None]
JoinedTexts = tuple[Sequence[int], bytes]


def scan_column(texts: pa.Array, *packs: PatternPack) -> pa.Array:
    """The hits of each text in order, as a list array of HITS_TYPE; null has none. Hits of different packs may overlap.

    Raises MachineFailure when RE2 runs out of memory.
    """
    all_hits: list[Hit] = []
    counts = numpy.zeros(len(texts), dtype=numpy.int32)
    for number, hits in _texts_with_hits(texts, packs):
        all_hits += hits
        counts[number] = len(hits)
    offsets = pa.array(numpy.concatenate(([0], numpy.cumsum(counts, dtype=numpy.int32))), type=pa.int32())
    values = pa.StructArray.from_arrays(
        [
            pa.array([hit.start for hit in all_hits], type=pa.int32()),
            pa.array([hit.end for hit in all_hits], type=pa.int32()),
            pa.array([hit.kind for hit in all_hits], type=pa.string()),
        ],
        fields=list(HITS_TYPE.value_type),
    )
    return pa.ListArray.from_arrays(offsets, values, type=HITS_TYPE)


def _texts_with_hits(texts: pa.Array, packs: tuple[PatternPack, ...]) -> Iterator[tuple[int, list[Hit]]]:
    """(number, hits) of each text with hits, in order."""
    prefilter, column = _build_prefilter(packs), _TextColumn(compute.fill_null(texts, ""))
    gates = prefilter.matched_gates(column)
    for number in sorted(gates):
        patterns = prefilter.patterns_of(tuple(gates[number]))
        if hits := _confirmed_hits(column.raw[number].decode(), patterns):
            yield number, hits


def _confirmed_hits(text: str, packs: tuple[PatternPack, ...]) -> list[Hit]:
    return sorted(hit for pack in packs for hit in find_hits(text, pack))


@dataclass(frozen=True)
class _TextColumn:
    """Texts without nulls, with the views of them that several families need."""

    texts: pa.Array

    @cached_property
    def raw(self) -> list[bytes]:
        """The texts in UTF-8."""
        return self.texts.cast(pa.binary()).to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def digits(self) -> list[int]:
        """Numbers of the texts with an ASCII digit."""
        return [number for number, text in enumerate(self.raw) if len(text.translate(None, ASCII_DIGITS)) < len(text)]

    @cached_property
    def every(self) -> list[JoinedTexts]:
        return self._joined(range(len(self.raw)))

    @cached_property
    def with_digits(self) -> list[JoinedTexts]:
        return self._joined(self.digits)

    def _joined(self, numbers: Sequence[int]) -> list[JoinedTexts]:
        """(numbers, joined texts) of TEXTS_PER_MATCH texts at a time."""
        some = [numbers[first : first + TEXTS_PER_MATCH] for first in range(0, len(numbers), TEXTS_PER_MATCH)]
        return [(few, TEXT_SEPARATOR.join([self.raw[number] for number in few])) for few in some]


@dataclass(frozen=True)
class _GateFamily:
    """Gates that are matched together: `match` returns the numbers of those that match a text.

    `cue`, unless empty, is one expression that matches every text with any of them. With `digits`, texts without a digit cannot
    have a hit.
    """

    gates: tuple[str, ...]
    digits: bool
    match: SetMatch
    cue: str = ""

    def numbers(self, column: _TextColumn) -> list[int]:
        """Numbers of the texts that may match a gate."""
        if self.cue:
            matching = numpy.flatnonzero(numpy.asarray(compute.match_substring_regex(column.texts, self.cue)))
            return (numpy.intersect1d(matching, column.digits) if self.digits else matching).tolist()
        joined = column.with_digits if self.digits else column.every
        return [number for numbers, text in joined if _matched_gates(self.match, text) for number in numbers]


@dataclass(frozen=True)
class _Prefilter:
    """The gates of packs, in families, and each pattern with its gate."""

    families: tuple[_GateFamily, ...]
    packs: tuple[tuple[tuple[Pattern, str], ...], ...]
    _patterns: dict[tuple[str, ...], tuple[PatternPack, ...]] = field(default_factory=dict)

    def matched_gates(self, column: _TextColumn) -> dict[int, list[str]]:
        """The gates that match, by number of the text; texts without any are left out."""
        gates: dict[int, list[str]] = {}
        for family in self.families:
            for number in family.numbers(column):
                if matched := _matched_gates(family.match, column.raw[number]):
                    gates.setdefault(number, []).extend([family.gates[index] for index in matched])
        return gates

    def patterns_of(self, gates: tuple[str, ...]) -> tuple[PatternPack, ...]:
        """The patterns of these gates, pack by pack."""
        if gates not in self._patterns:
            if len(self._patterns) >= MAX_CACHED_GATE_SETS:
                self._patterns.clear()
            self._patterns[gates] = tuple(
                tuple(pattern for pattern, gate in pack if gate in gates) for pack in self.packs
            )
        return self._patterns[gates]


def _matched_gates(match: SetMatch, text: bytes) -> list[int]:
    """The numbers of the gates that match a text, in order, without that of END_MARK."""
    numbers = match(text + END_MARK)
    if numbers is None:
        raise MachineFailure(
            "RE2 ran out of memory on a text",
            where=f"{len(text)} bytes",
            hint="the gate of a pattern needs too many states: shorten its repeats",
        )
    return numbers[:-1]


@cache
def _build_prefilter(packs: tuple[PatternPack, ...]) -> _Prefilter:
    gated = tuple(tuple((pattern, prefilter_regex(pattern)) for pattern in pack) for pack in packs)
    needs: dict[str, bool] = {}
    for pattern, gate in (line for pack in gated for line in pack):
        needs[gate] = needs.get(gate, True) and needs_digit(pattern)
    by_family: dict[tuple[str, bool], list[str]] = {}
    for gate, digits in needs.items():
        by_family.setdefault((_family_name(gate), digits), []).append(gate)
    families = (
        _GateFamily(tuple(gates), digits, _compile_set(gates), any_prefilter_regex(gates) if name == "cues" else "")
        for (name, digits), gates in by_family.items()
    )
    return _Prefilter(tuple(families), gated)


def _family_name(gate: str) -> str:
    """The family by what the gate begins with: a word edge, a fixed mark, or a class; classes without letters are `digits`."""
    if gate.startswith(WORD_START):
        return "cues"
    if not gate.removeprefix("(?:").startswith("["):
        return "marks"
    return "forms" if re.search("[A-Za-z]", gate) else "digits"


def _compile_set(gates: list[str]) -> SetMatch:
    options = re2.Options()
    options.max_mem = MAX_AUTOMATON_BYTES
    options.log_errors = False
    native = re2.Set.SearchSet(options)
    for expression in (*gates, END_MARK_REGEX):
        native.Add(expression)
    native.Compile()
    match: SetMatch = native.Match
    return match
