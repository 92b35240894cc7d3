"""Words and word n-grams as 64-bit hashes, computed column by column.

A word's hash is the first eight bytes of its BLAKE2b digest (`hash_normalized_words`) or a polynomial in its bytes
(`hash_words`); the two kinds are never mixed. An n-gram's hash is a polynomial in the hashes of its words. Polynomials are
modulo 2^64 (Karp and Rabin 1987). Two different n-grams collide with a probability of about 2^-64, so code that reports a
match compares the words.
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
"""Odd, so that it has an inverse modulo 2^64."""
MAX_CHUNK_BYTES: Final = 1 << 18
"""Bytes of text hashed in one block, few enough for the intermediate columns to stay in the CPU cache."""
SEPARATOR_CHARACTERS: Final = "\u00a0\u2013\u2014\u201c\u201d\u201e\u2022\u2026\u00b7\u00a9\u00ae\u00b0\u00a3\u20ac"
"""Common typographic characters (dashes, quotation marks, bullets) that separate words exactly as a space does."""

UInt64Array = npt.NDArray[numpy.uint64]
Int64Array = npt.NDArray[numpy.int64]
ByteArray = npt.NDArray[numpy.uint8]


@dataclass(frozen=True)
class HashedWords:
    """The hashed words of several texts, concatenated: text t has `numbers[starts[t]:starts[t + 1]]`."""

    numbers: UInt64Array
    starts: Int64Array


@dataclass(frozen=True)
class HashedNgrams:
    """Word n-grams as equally long columns: hash, text index, and position of the first word in that text."""

    numbers: UInt64Array
    texts: Int64Array
    positions: Int64Array


@dataclass(frozen=True)
class ByteClasses:
    """How bytes form tokens: a token is a run of bytes of one class, and class 0 separates tokens.

    `classes` and `values` (256,) give the class of each byte value and its coefficient in the token's hash. Bytes in
    `skipped` are removed first.
    """

    classes: ByteArray
    values: UInt64Array
    skipped: bytes = b""


def hash_normalized_words(texts: pa.Array) -> HashedWords:
    """BLAKE2b hashes of the words of normalised texts (see `tunesmith.text.normalize`); null and the empty text have none."""
    filled = compute.fill_null(texts, "")
    lists = compute.split_pattern(filled, " ")
    flat = (lists if isinstance(lists, pa.Array) else lists.combine_chunks()).flatten()
    codes = compute.dictionary_encode(flat.filter(compute.not_equal(flat, "")))
    hashes = numpy.array([_word_hash(word) for word in codes.dictionary.to_pylist()], dtype=numpy.uint64)
    lengths = numpy.asarray(compute.list_value_length(lists), dtype=numpy.int64)
    lengths = numpy.where(numpy.asarray(compute.equal(filled, "")), 0, lengths)
    starts = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int64)
    return HashedWords(hashes[numpy.asarray(codes.indices)], starts)


def hash_words(texts: pa.Array) -> HashedWords:
    """Polynomial hashes of the normalised words of raw texts, several times faster than normalising the texts first."""
    return hash_tokens(_prepare_texts(texts), NORMAL_WORDS)


def hash_tokens(texts: pa.Array, alphabet: ByteClasses) -> HashedWords:
    """Polynomial hashes of the tokens of each text; null and the empty text have none."""
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
    """Every n-gram of `length` words that lies within one text, in order."""
    counts = numpy.maximum(numpy.diff(words.starts) - length + 1, 0)
    texts = numpy.repeat(numpy.arange(len(counts)), counts)
    before = numpy.cumsum(counts) - counts
    positions = numpy.arange(counts.sum()) - before[texts]
    return HashedNgrams(rolling_hashes(words.numbers, length)[words.starts[texts] + positions], texts, positions)


def rolling_hashes(numbers: UInt64Array, length: int) -> UInt64Array:
    """Hash of the n-gram of `length` words that begins at each word, whether or not it stays within one text.

    Built by doubling: the hash of 2k words is that of the first k, multiplied by HASH_BASE^k, plus that of the next k.
    """
    hashes, covered = numpy.zeros(max(0, len(numbers) - length + 1), dtype=numpy.uint64), 0
    power, size = numbers, 1
    while size <= length and len(hashes):
        if length & size:
            at = length - covered - size
            hashes += power[at : at + len(hashes)] * _base_power(covered)
            covered += size
        power = power[:-size] * _base_power(size) + power[size:]
        size *= 2
    return hashes


def _base_power(exponent: int) -> numpy.uint64:
    return numpy.uint64(pow(int(HASH_BASE), exponent, 1 << 64))


def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")


def _prepare_texts(texts: pa.Array) -> pa.Array:
    """Texts whose words can be found byte by byte: texts that are not ASCII are normalised."""
    filled = compute.fill_null(texts, "")
    non_ascii = compute.invert(compute.string_is_ascii(filled))
    if not compute.any(non_ascii).as_py():
        return filled
    prepared = [_prepare_text(text) for text in filled.filter(non_ascii).to_pylist()]
    return compute.replace_with_mask(filled, non_ascii, pa.array(prepared, type=filled.type))


def _prepare_text(text: str) -> str:
    """The text in ASCII where replacing typographic characters is enough, else its normal form."""
    plain = text.replace("\u2019", "'").replace("\u2018", "'")
    for sign in SEPARATOR_CHARACTERS:
        plain = plain.replace(sign, " ")
    return plain if plain.isascii() else normalize(text)


def _bytes_and_offsets(texts: pa.Array) -> tuple[ByteArray, Int64Array]:
    """The UTF-8 bytes of all texts, and the offset of each text, with the total at the end."""
    filled = compute.fill_null(texts, "").cast(pa.large_string())
    if len(filled) == 0:
        return numpy.zeros(0, numpy.uint8), numpy.zeros(1, numpy.int64)
    _, offset_buffer, data = filled.buffers()
    offsets = numpy.frombuffer(offset_buffer, dtype=numpy.int64)[filled.offset : filled.offset + len(filled) + 1]
    raw = numpy.frombuffer(data, dtype=numpy.uint8) if data is not None else numpy.zeros(0, numpy.uint8)
    return raw[offsets[0] : offsets[-1]], offsets - offsets[0]


def _remove_bytes(data: ByteArray, offsets: Int64Array, skipped: bytes) -> tuple[ByteArray, Int64Array]:
    removed = numpy.zeros(len(data), dtype=bool)
    for byte in skipped:
        removed |= data == byte
    positions = numpy.flatnonzero(removed)
    if not len(positions):
        return data, offsets
    return data[~removed], offsets - numpy.searchsorted(positions, offsets)


def _hash_chunk(data: ByteArray, offsets: Int64Array, alphabet: ByteClasses) -> tuple[UInt64Array, Int64Array]:
    """Hash and first byte of every token of consecutive texts; a token never spans two texts."""
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
    # Separators have the value 0, so the sum of a token is the cumulative sum at its end less that at its start.
    sums = numpy.cumsum(values, out=values)[numpy.append(starts[1:], len(data)) - 1]
    sums[1:] -= sums[:-1].copy()
    return sums * inverse[starts], starts


_POWER_CACHE: dict[str, tuple[UInt64Array, UInt64Array]] = {}


def _base_powers(count: int) -> tuple[UInt64Array, UInt64Array]:
    """The first `count` powers (or more) of HASH_BASE and of its inverse modulo 2^64; cached for texts of usual length."""
    if count > 2 * MAX_CHUNK_BYTES:
        return _power_series(int(HASH_BASE), count), _power_series(pow(int(HASH_BASE), -1, 1 << 64), count)
    if "usual" not in _POWER_CACHE:
        _POWER_CACHE["usual"] = (
            _power_series(int(HASH_BASE), 2 * MAX_CHUNK_BYTES),
            _power_series(pow(int(HASH_BASE), -1, 1 << 64), 2 * MAX_CHUNK_BYTES),
        )
    return _POWER_CACHE["usual"]


def _power_series(factor: int, count: int) -> UInt64Array:
    values = numpy.full(count, factor, dtype=numpy.uint64)
    values[:1] = 1
    return numpy.multiply.accumulate(values)


def _byte_values(counted: bytes) -> UInt64Array:
    """(256,): a fixed pseudorandom odd number for each byte of `counted`, equal for upper and lower case; 0 for the others."""
    values = [_word_hash(f"byte {bytes([byte]).lower()[0]}") | 1 if byte in counted else 0 for byte in range(256)]
    return numpy.array(values, dtype=numpy.uint64)


_LETTER_BYTES: Final = bytes(code for code in range(256) if code >= 128 or chr(code).isalnum())
_SIGN_BYTES: Final = bytes(code for code in range(33, 127) if code not in _LETTER_BYTES)

NORMAL_WORDS: Final = ByteClasses(
    classes=numpy.isin(numpy.arange(256), list(_LETTER_BYTES)).astype(numpy.uint8),
    values=_byte_values(_LETTER_BYTES),
    skipped=b"'`",
)
"""Words of the normal form, for ASCII texts or texts in that form."""

WORDS_AND_SIGNS: Final = ByteClasses(
    classes=numpy.array(
        [3 if code >= 128 else 1 if code in _LETTER_BYTES else 2 if code in _SIGN_BYTES else 0 for code in range(256)],
        dtype=numpy.uint8,
    ),
    values=_byte_values(_LETTER_BYTES + _SIGN_BYTES),
)
"""Three kinds of token: ASCII words, runs of ASCII signs, and runs of non-ASCII characters; only spaces and controls separate."""

SPACE_SEPARATED: Final = ByteClasses(
    classes=numpy.array([0 if code <= 32 or code == 127 else 1 for code in range(256)], dtype=numpy.uint8),
    values=_byte_values(bytes(code for code in range(256) if code > 32 and code != 127)),
)
"""Tokens separated by spaces and control characters."""
