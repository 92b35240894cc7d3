"""Hits in a column of texts: RE2 says of each text which patterns to try; `re` and the checksums decide.

RE2's `Set` is one automaton for many gates (google-re2 1.1). It is made on the way: a state for each new mixture of what was
seen. Cue words and forms of digits have one each, since their mixtures would multiply (half the time on new rows). A `Set`
gives up in silence when it needs more memory than it may take; a gate that every text holds is in it too, so that this raises.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy
import pyarrow as pa
import re2

from tunesmith.data.patterns.gates import gate
from tunesmith.data.patterns.pattern import Hit, Pattern, find
from tunesmith.errors import MachineFailure

HITS: Final = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("kind", pa.string())]))
"""Type of a text's hits: characters [start, end) of it are of this kind."""
MEMORY: Final = 128 << 20
"""Bytes that an automaton may take."""
EVERY_TEXT: Final = ""
REMEMBERED: Final = 4096
"""Sets of gates whose patterns are kept."""

Pack = tuple[Pattern, ...]
Match = Callable[[bytes], list[int] | None]


def hits_of(texts: pa.Array, *packs: Pack) -> pa.Array:
    """The hits of each text (of type HITS, in order; none for null), each pack by itself: packs may hit the same place.

    Raises MachineFailure when the native pass runs out of memory.
    """
    found: list[Hit] = []
    counts = numpy.zeros(len(texts), dtype=numpy.int32)
    for number, hits in _found(texts, packs):
        found += hits
        counts[number] = len(hits)
    offsets = pa.array(numpy.concatenate(([0], numpy.cumsum(counts, dtype=numpy.int32))), type=pa.int32())
    values = pa.StructArray.from_arrays(
        [
            pa.array([hit.start for hit in found], type=pa.int32()),
            pa.array([hit.end for hit in found], type=pa.int32()),
            pa.array([hit.kind for hit in found], type=pa.string()),
        ],
        fields=list(HITS.value_type),
    )
    return pa.ListArray.from_arrays(offsets, values, type=HITS)


def _found(texts: pa.Array, packs: tuple[Pack, ...]) -> Iterator[tuple[int, list[Hit]]]:
    """(number, hits) of each text that has some, in order."""
    gate = _gate(packs)
    words, forms = gate.automata
    for number, text in enumerate(texts.cast(pa.binary()).to_pylist()):
        if not text:
            continue
        said, formed = words(text), forms(text)
        if said is None or formed is None:
            raise MachineFailure(
                "RE2 ran out of memory on a text",
                where=f"text {number} of {len(texts)}, {len(text)} bytes",
                hint="a pattern's gate repeats too much: give it a smaller one",
            )
        wanted = gate.patterns(tuple(said), tuple(formed))
        if any(wanted) and (hits := _exact(text.decode(), wanted)):
            yield number, hits


def _exact(text: str, wanted: tuple[Pack, ...]) -> list[Hit]:
    return sorted(hit for pack in wanted for hit in find(text, pack))


@dataclass(frozen=True)
class _Gate:
    """Each automaton tells the numbers of its gates that a text (in UTF-8) holds, None when it cannot."""

    automata: tuple[Match, Match]
    packs: tuple[tuple[tuple[Pattern, tuple[int, int]], ...], ...]
    """Each pattern with its automaton and the number of its gate there."""
    _known: dict[tuple[tuple[int, ...], ...], tuple[Pack, ...]] = field(default_factory=dict)

    def patterns(self, *passed: tuple[int, ...]) -> tuple[Pack, ...]:
        """Of each pack the patterns whose gates are among the numbers that each automaton told."""
        if passed not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[passed] = tuple(
                tuple(pattern for pattern, (which, number) in pack if number in passed[which]) for pack in self.packs
            )
        return self._known[passed]


@cache
def _gate(packs: tuple[Pack, ...]) -> _Gate:
    gates = {pattern: gate(pattern) for pack in packs for pattern in pack}
    groups: tuple[list[str], list[str]] = ([], [])
    for expression in dict.fromkeys(gates.values()):
        groups["0-9" in expression].append(expression)
    place = {one: (which, number) for which, group in enumerate(groups) for number, one in enumerate(group)}
    words, forms = map(_automaton, groups)
    return _Gate((words, forms), tuple(tuple((one, place[gates[one]]) for one in pack) for pack in packs))


def _automaton(gates: list[str]) -> Match:
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    native = re2.Set.SearchSet(options)
    for expression in (*gates, EVERY_TEXT):
        native.Add(expression)
    native.Compile()
    match: Match = native.Match
    return match
