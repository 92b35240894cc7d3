"""Runs of k words as 64-bit numbers: what an index of k-grams is made of and asked by, at the speed of whole columns.

A word's number is the first eight bytes of its BLAKE2b digest, a run's number a polynomial in them modulo 2^64 (Karp and
Rabin 1987). Two different runs share a number with a probability of about 2^-64; whoever reports a hit compares the words.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

FACTOR: Final = numpy.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no word is lost in the polynomial."""

Numbers = npt.NDArray[numpy.uint64]
Places = npt.NDArray[numpy.int64]


@dataclass(frozen=True)
class Words:
    """The words of several texts one after the other, as numbers; text t has those from starts[t] to starts[t + 1]."""

    numbers: Numbers
    starts: Places


@dataclass(frozen=True)
class Grams:
    """Runs of k words: number of each, the text it stands in, and the place of its first word in that text."""

    numbers: Numbers
    texts: Places
    places: Places


def words_of(texts: pa.Array) -> Words:
    """The words of texts in normal form (see `tunesmith.data.normal`), one space apart; null and the empty text have none."""
    filled = compute.fill_null(texts, "")
    lists = compute.split_pattern(filled, " ")
    flat = (lists if isinstance(lists, pa.Array) else lists.combine_chunks()).flatten()
    codes = compute.dictionary_encode(flat.filter(compute.not_equal(flat, "")))
    known = numpy.array([_number(word) for word in codes.dictionary.to_pylist()], dtype=numpy.uint64)
    lengths = numpy.asarray(compute.list_value_length(lists), dtype=numpy.int64)
    lengths = numpy.where(numpy.asarray(compute.equal(filled, "")), 0, lengths)
    starts = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int64)
    return Words(known[numpy.asarray(codes.indices)], starts)


def grams_of(words: Words, length: int) -> Grams:
    """Every run of `length` words that lies within one text, in order."""
    counts = numpy.maximum(numpy.diff(words.starts) - length + 1, 0)
    texts = numpy.repeat(numpy.arange(len(counts)), counts)
    before = numpy.cumsum(counts) - counts
    places = numpy.arange(counts.sum()) - before[texts]
    first = words.starts[texts] + places
    numbers = numpy.zeros(len(first), dtype=numpy.uint64)
    for step in range(length):
        numbers *= FACTOR
        numbers += words.numbers[first + step]
    return Grams(numbers, texts, places)


def _number(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
