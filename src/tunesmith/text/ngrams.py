"""Runs of k words as 64-bit numbers: what an index of k-grams is made of and asked by, at the speed of whole columns.

A word's number is the first eight bytes of its BLAKE2b digest (`words_of`) or a polynomial in its bytes (`words_in`), a
run's number a polynomial in those of its words, both modulo 2^64 (Karp and Rabin 1987). Numbers of the two kinds are never
mixed. Two different runs share a number with a probability of about 2^-64; whoever reports a hit compares the words.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith.text.normalize import normalize

HASH_BASE: Final = numpy.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no word is lost in the polynomial."""
MAX_CHUNK_BYTES: Final = 1 << 18
"""Bytes of text that are looked at in one go: their columns of numbers stay in a core's cache."""
SEPARATOR_CHARACTERS: Final = "\u00a0\u2013\u2014\u201c\u201d\u201e\u2022\u2026\u00b7\u00a9\u00ae\u00b0\u00a3\u20ac"
"""Dashes, quotation marks and other signs, frequent in print, that part words like a space and nothing else."""

UInt64Array = npt.NDArray[numpy.uint64]
Int64Array = npt.NDArray[numpy.int64]
ByteArray = npt.NDArray[numpy.uint8]


@dataclass(frozen=True)
class HashedWords:
    """The words of several texts one after the other, as numbers; text t has those from starts[t] to starts[t + 1]."""

    numbers: UInt64Array
    starts: Int64Array


@dataclass(frozen=True)
class HashedNgrams:
    """Runs of k words: number of each, the text it stands in, and the place of its first word in that text."""

    numbers: UInt64Array
    texts: Int64Array
    places: Int64Array


@dataclass(frozen=True)
class ByteClasses:
    """What each byte is: its class (0 stands between words; a word is a run of one class), and what it counts in a number.

    Bytes of `skipped` are taken out beforehand, as if they were not there.
    """

    classes: ByteArray
    values: UInt64Array
    skipped: bytes = b""


def hash_normalized_words(texts: pa.Array) -> HashedWords:
    """The words of texts in normal form (see `tunesmith.text.normalize`), one space apart; null and the empty text have none."""
    filled = compute.fill_null(texts, "")
    lists = compute.split_pattern(filled, " ")
    flat = (lists if isinstance(lists, pa.Array) else lists.combine_chunks()).flatten()
    codes = compute.dictionary_encode(flat.filter(compute.not_equal(flat, "")))
    known = numpy.array([_word_hash(word) for word in codes.dictionary.to_pylist()], dtype=numpy.uint64)
    lengths = numpy.asarray(compute.list_value_length(lists), dtype=numpy.int64)
    lengths = numpy.where(numpy.asarray(compute.equal(filled, "")), 0, lengths)
    starts = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int64)
    return HashedWords(known[numpy.asarray(codes.indices)], starts)


def hash_words(texts: pa.Array) -> HashedWords:
    """The words of texts as they stand: those that their normal forms have, several times faster than by way of them."""
    return hash_tokens(_prepare_texts(texts), NORMAL_WORDS)


def hash_tokens(texts: pa.Array, alphabet: ByteClasses) -> HashedWords:
    """The runs of one class of bytes in each text; null and the empty text have none."""
    data, offsets = _bytes_and_offsets(texts)
    data, offsets = _remove_bytes(data, offsets, alphabet.skipped)
    parts, counts = [], []
    first = 0
    while first < len(offsets) - 1:
        last = max(first + 1, int(numpy.searchsorted(offsets, offsets[first] + MAX_CHUNK_BYTES, side="right")) - 1)
        numbers, starts = _hash_chunk(data[offsets[first] : offsets[last]], offsets[first : last + 1], alphabet)
        parts.append(numbers)
        counts.append(numpy.searchsorted(starts, offsets[first : last + 1] - offsets[first]))
        first = last
    lengths = numpy.concatenate([numpy.zeros(1, numpy.int64), *(numpy.diff(count) for count in counts)])
    return HashedWords(
        numpy.concatenate([numpy.zeros(0, numpy.uint64), *parts]), numpy.cumsum(lengths, dtype=numpy.int64)
    )


def ngram_hashes(words: HashedWords, length: int) -> HashedNgrams:
    """Every run of `length` words that lies within one text, in order."""
    counts = numpy.maximum(numpy.diff(words.starts) - length + 1, 0)
    texts = numpy.repeat(numpy.arange(len(counts)), counts)
    before = numpy.cumsum(counts) - counts
    places = numpy.arange(counts.sum()) - before[texts]
    return HashedNgrams(rolling_hashes(words.numbers, length)[words.starts[texts] + places], texts, places)


def rolling_hashes(numbers: UInt64Array, length: int) -> UInt64Array:
    """The number of the run of `length` words from each word on, whether or not it stays within one text.

    Runs of a power of two are doubled: a run's number is that of its first half, moved on, and that of its second.
    """
    made, covered = numpy.zeros(max(0, len(numbers) - length + 1), dtype=numpy.uint64), 0
    power, size = numbers, 1
    while size <= length and len(made):
        if length & size:
            at = length - covered - size
            made += power[at : at + len(made)] * _base_power(covered)
            covered += size
        power = power[:-size] * _base_power(size) + power[size:]
        size *= 2
    return made


def _base_power(exponent: int) -> numpy.uint64:
    return numpy.uint64(pow(int(HASH_BASE), exponent, 1 << 64))


def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")


def _prepare_texts(texts: pa.Array) -> pa.Array:
    """Texts in which bytes are enough to see the words: whatever is not ASCII is put into normal form."""
    filled = compute.fill_null(texts, "")
    strange = compute.invert(compute.string_is_ascii(filled))
    if not compute.any(strange).as_py():
        return filled
    normals = [_prepare_text(text) for text in filled.filter(strange).to_pylist()]
    return compute.replace_with_mask(filled, strange, pa.array(normals, type=filled.type))


def _prepare_text(text: str) -> str:
    """ASCII when nothing but signs of print stood in the way, else the normal form."""
    plain = text.replace("\u2019", "'").replace("\u2018", "'")
    for sign in SEPARATOR_CHARACTERS:
        plain = plain.replace(sign, " ")
    return plain if plain.isascii() else normalize(text)


def _bytes_and_offsets(texts: pa.Array) -> tuple[ByteArray, Int64Array]:
    """The texts' bytes and where each begins."""
    filled = compute.fill_null(texts, "").cast(pa.large_string())
    if len(filled) == 0:
        return numpy.zeros(0, numpy.uint8), numpy.zeros(1, numpy.int64)
    _, places, data = filled.buffers()
    offsets = numpy.frombuffer(places, dtype=numpy.int64)[filled.offset : filled.offset + len(filled) + 1]
    raw = numpy.frombuffer(data, dtype=numpy.uint8) if data is not None else numpy.zeros(0, numpy.uint8)
    return raw[offsets[0] : offsets[-1]], offsets - offsets[0]


def _remove_bytes(data: ByteArray, offsets: Int64Array, skipped: bytes) -> tuple[ByteArray, Int64Array]:
    gone = numpy.zeros(len(data), dtype=bool)
    for byte in skipped:
        gone |= data == byte
    places = numpy.flatnonzero(gone)
    if not len(places):
        return data, offsets
    return data[~gone], offsets - numpy.searchsorted(places, offsets)


def _hash_chunk(data: ByteArray, offsets: Int64Array, alphabet: ByteClasses) -> tuple[UInt64Array, Int64Array]:
    """Number and first byte of every token of neighbouring texts."""
    classes = numpy.frombuffer(data.tobytes().translate(alphabet.classes.tobytes()), dtype=numpy.uint8)
    begins = numpy.empty(len(data), dtype=bool)
    begins[:1] = True
    numpy.not_equal(classes[1:], classes[:-1], out=begins[1:])
    inner = offsets[1:-1] - offsets[0]
    begins[inner[inner < len(data)]] = True
    begins &= classes != 0
    starts = numpy.flatnonzero(begins)
    if not len(starts):
        return numpy.zeros(0, numpy.uint64), starts
    powers, inverse = _base_powers(len(data))
    values = alphabet.values.take(data, mode="clip")
    values *= powers[: len(data)]
    # Bytes between words count nothing, so a word's sum is what was added since the word before it began.
    sums = numpy.cumsum(values, out=values)[numpy.append(starts[1:], len(data)) - 1]
    sums[1:] -= sums[:-1].copy()
    return sums * inverse[starts], starts


_POWER_CACHE: dict[str, tuple[UInt64Array, UInt64Array]] = {}


def _base_powers(count: int) -> tuple[UInt64Array, UInt64Array]:
    """Powers of the factor and of its inverse modulo 2^64; kept for texts of usual length."""
    if count > 2 * MAX_CHUNK_BYTES:
        return _power_series(int(HASH_BASE), count), _power_series(pow(int(HASH_BASE), -1, 1 << 64), count)
    if "kept" not in _POWER_CACHE:
        _POWER_CACHE["kept"] = (
            _power_series(int(HASH_BASE), 2 * MAX_CHUNK_BYTES),
            _power_series(pow(int(HASH_BASE), -1, 1 << 64), 2 * MAX_CHUNK_BYTES),
        )
    return _POWER_CACHE["kept"]


def _power_series(factor: int, count: int) -> UInt64Array:
    values = numpy.full(count, factor, dtype=numpy.uint64)
    values[:1] = 1
    return numpy.multiply.accumulate(values)


def _byte_values(wanted: bytes) -> UInt64Array:
    """A fixed random odd number for each byte of `wanted`, upper case as lower case; 0 for the others."""
    values = [_word_hash(f"byte {bytes([byte]).lower()[0]}") | 1 if byte in wanted else 0 for byte in range(256)]
    return numpy.array(values, dtype=numpy.uint64)


_LETTER_BYTES: Final = bytes(code for code in range(256) if code >= 128 or chr(code).isalnum())
_SIGN_BYTES: Final = bytes(code for code in range(33, 127) if code not in _LETTER_BYTES)

NORMAL_WORDS: Final = ByteClasses(
    classes=numpy.isin(numpy.arange(256), list(_LETTER_BYTES)).astype(numpy.uint8),
    values=_byte_values(_LETTER_BYTES),
    skipped=b"'`",
)
"""Words of the normal form, given ASCII or a text in that form."""

WORDS_AND_SIGNS: Final = ByteClasses(
    classes=numpy.array(
        [3 if code >= 128 else 1 if code in _LETTER_BYTES else 2 if code in _SIGN_BYTES else 0 for code in range(256)],
        dtype=numpy.uint8,
    ),
    values=_byte_values(_LETTER_BYTES + _SIGN_BYTES),
)
"""Words, runs of signs, and runs of characters beyond ASCII: nothing but spaces and controls is lost."""

SPACE_SEPARATED: Final = ByteClasses(
    classes=numpy.array([0 if code <= 32 or code == 127 else 1 for code in range(256)], dtype=numpy.uint8),
    values=_byte_values(bytes(code for code in range(256) if code > 32 and code != 127)),
)
"""Whatever stands between spaces and controls."""
