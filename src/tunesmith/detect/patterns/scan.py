"""Hits in a column of texts: RE2 says of each text which patterns to try; `re` and the checksums decide.

RE2's `Set` is one automaton for many gates (google-re2 1.1). It is made on the way: a state for each new mixture of what was
seen, which random tokens never cease to make. So gates are in families whose mixtures do not multiply: cue words, marks such
as `npm_`, tokens by their form, and digits by theirs. Whether a text holds a cue word at all is one expression, which has a
hundredth of the states; other families are looked for in some texts at a time, joined by SEAM. Texts that may hold a gate are
asked about one by one. A `Set` gives up in silence when it needs more memory than it may take; so what it is asked about is
given an end that one gate more looks for (a gate that matches everywhere would be told at every byte: twice the time).
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
"""Type of a text's hits: characters [start, end) of it are of this kind."""
MAX_AUTOMATON_BYTES: Final = 128 << 20
"""Bytes that an automaton may take."""
MAX_CACHED_GATE_SETS: Final = 4096
"""Sets of gates whose patterns are kept."""
TEXTS_PER_MATCH: Final = 8
TEXT_SEPARATOR: Final = b"\n"
"""Texts that are asked about at once, and what stands between. A gate that runs across it lets more texts through, no fewer."""
END_MARK: Final = b"\n\0\1"
END_MARK_REGEX: Final = r"\x00\x01$"
"""The end of what is asked about, and its gate. It begins with no letter: a word at the end of a text has its edge there."""
ASCII_DIGITS: Final = b"0123456789"

PatternPack = tuple[Pattern, ...]
SetMatch = Callable[[bytes], list[int] | None]
JoinedTexts = tuple[Sequence[int], bytes]


def scan_column(texts: pa.Array, *packs: PatternPack) -> pa.Array:
    """The hits of each text (of type HITS, in order; none for null), each pack by itself: packs may hit the same place.

    Raises MachineFailure when the native pass runs out of memory.
    """
    found: list[Hit] = []
    counts = numpy.zeros(len(texts), dtype=numpy.int32)
    for number, hits in _texts_with_hits(texts, packs):
        found += hits
        counts[number] = len(hits)
    offsets = pa.array(numpy.concatenate(([0], numpy.cumsum(counts, dtype=numpy.int32))), type=pa.int32())
    values = pa.StructArray.from_arrays(
        [
            pa.array([hit.start for hit in found], type=pa.int32()),
            pa.array([hit.end for hit in found], type=pa.int32()),
            pa.array([hit.kind for hit in found], type=pa.string()),
        ],
        fields=list(HITS_TYPE.value_type),
    )
    return pa.ListArray.from_arrays(offsets, values, type=HITS_TYPE)


def _texts_with_hits(texts: pa.Array, packs: tuple[PatternPack, ...]) -> Iterator[tuple[int, list[Hit]]]:
    """(number, hits) of each text that has some, in order."""
    gate, column = _build_prefilter(packs), _TextColumn(compute.fill_null(texts, ""))
    held = gate.held(column)
    for number in sorted(held):
        wanted = gate.patterns(tuple(held[number]))
        if hits := _confirmed_hits(column.raw[number].decode(), wanted):
            yield number, hits


def _confirmed_hits(text: str, wanted: tuple[PatternPack, ...]) -> list[Hit]:
    return sorted(hit for pack in wanted for hit in find_hits(text, pack))


@dataclass(frozen=True)
class _TextColumn:
    """Texts, and what is asked of them more than once."""

    texts: pa.Array

    @cached_property
    def raw(self) -> list[bytes]:
        """In UTF-8."""
        return self.texts.cast(pa.binary()).to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def digits(self) -> list[int]:
        """Numbers of the texts with a digit."""
        return [number for number, text in enumerate(self.raw) if len(text.translate(None, ASCII_DIGITS)) < len(text)]

    @cached_property
    def every(self) -> list[JoinedTexts]:
        return self._joined(range(len(self.raw)))

    @cached_property
    def with_digits(self) -> list[JoinedTexts]:
        return self._joined(self.digits)

    def _joined(self, numbers: Sequence[int]) -> list[JoinedTexts]:
        """Some numbers at a time, with their texts as one."""
        some = [numbers[first : first + TEXTS_PER_MATCH] for first in range(0, len(numbers), TEXTS_PER_MATCH)]
        return [(few, TEXT_SEPARATOR.join([self.raw[number] for number in few])) for few in some]


@dataclass(frozen=True)
class _GateFamily:
    """Gates that are looked for together: `match` tells the numbers of those that a text holds; `cue` matches whatever
    holds one, where that is known in another way. With `digits` no text without one has a hit of their patterns.
    """

    gates: tuple[str, ...]
    digits: bool
    match: SetMatch
    cue: str = ""

    def numbers(self, column: _TextColumn) -> list[int]:
        """Those of the texts that may hold a gate."""
        if self.cue:
            met = numpy.flatnonzero(numpy.asarray(compute.match_substring_regex(column.texts, self.cue)))
            return (numpy.intersect1d(met, column.digits) if self.digits else met).tolist()
        joined = column.with_digits if self.digits else column.every
        return [number for numbers, text in joined if _matched_gates(self.match, text) for number in numbers]


@dataclass(frozen=True)
class _Prefilter:
    """The gates of packs in families; each pattern with its gate."""

    families: tuple[_GateFamily, ...]
    packs: tuple[tuple[tuple[Pattern, str], ...], ...]
    _known: dict[tuple[str, ...], tuple[PatternPack, ...]] = field(default_factory=dict)

    def held(self, column: _TextColumn) -> dict[int, list[str]]:
        """By number the gates of each text that holds some."""
        made: dict[int, list[str]] = {}
        for family in self.families:
            for number in family.numbers(column):
                if told := _matched_gates(family.match, column.raw[number]):
                    made.setdefault(number, []).extend([family.gates[one] for one in told])
        return made

    def patterns(self, held: tuple[str, ...]) -> tuple[PatternPack, ...]:
        """Of each pack the patterns of these gates."""
        if held not in self._known:
            if len(self._known) >= MAX_CACHED_GATE_SETS:
                self._known.clear()
            self._known[held] = tuple(tuple(pattern for pattern, one in pack if one in held) for pack in self.packs)
        return self._known[held]


def _matched_gates(match: SetMatch, text: bytes) -> list[int]:
    """The numbers of the gates that an automaton sees in a text, in order, without the last, which is STOPPED."""
    numbers = match(text + END_MARK)
    if numbers is None:
        raise MachineFailure(
            "RE2 ran out of memory on a text",
            where=f"{len(text)} bytes",
            hint="a pattern's gate repeats too much: give it a smaller one",
        )
    return numbers[:-1]


@cache
def _build_prefilter(packs: tuple[PatternPack, ...]) -> _Prefilter:
    gated = tuple(tuple((pattern, prefilter_regex(pattern)) for pattern in pack) for pack in packs)
    needs: dict[str, bool] = {}
    for pattern, one in (line for pack in gated for line in pack):
        needs[one] = needs.get(one, True) and needs_digit(pattern)
    families: dict[tuple[str, bool], list[str]] = {}
    for one, needed in needs.items():
        families.setdefault((_family_name(one), needed), []).append(one)
    made = (
        _GateFamily(tuple(gates), digits, _compile_set(gates), any_prefilter_regex(gates) if name == "cues" else "")
        for (name, digits), gates in families.items()
    )
    return _Prefilter(tuple(made), gated)


def _family_name(gate: str) -> str:
    """By what a gate begins with: the edge of a word, a mark, or a class; of the last, those of digits and signs apart."""
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
