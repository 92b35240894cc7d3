"""Pairs that share word triples, counted column by column, against sets of triples."""

from collections.abc import Iterator

import numpy
import pyarrow as pa
import pytest

from tunesmith.tables import WordTriples, overlap
from tunesmith.tables.overlap import hash_triples

WORDS = ["a", "bé", "cat", "東", "longer", "x1", "dd", "ee"]
RNG = numpy.random.default_rng(11)


def texts(count: int, longest: int = 40) -> list[str]:
    """Texts of few words, so that triples repeat within a text and many pairs are half alike."""
    made = [" ".join(RNG.choice(WORDS, size=int(size))) for size in RNG.integers(0, longest, size=count)]
    for number in range(0, count, 3):
        words = made[number // 2].split()
        made[number] = " ".join([*words[: len(words) // 2], "new", *words[len(words) // 2 + 1 :]])
    return made


def triples(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return set(zip(words, words[1:], words[2:], strict=False)) if len(words) >= 5 else {(text,)}


def jaccard(one: str, two: str) -> float:
    first, second = triples(one), triples(two)
    return len(first & second) / len(first | second)


def column(made: list[str], size: int = 7) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(made[at : at + size]) for at in range(0, len(made), size)], type=pa.string())


def pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((one, other) for one in range(count) for other in range(one))


def test_equal_triples_have_equal_hashes_in_every_text() -> None:
    made = ["a b c d e", "", "c d e", "x c d e y", "a b c d e"]
    counts, hashes = hash_triples(pa.array(made))
    assert counts.tolist() == [3, 1, 1, 3, 3]
    parts = numpy.split(hashes, numpy.cumsum(counts)[:-1])
    assert parts[0].tolist() == parts[4].tolist()
    assert parts[0][2] == parts[3][1] == parts[2][0]
    assert len({*parts[0], *parts[3], *parts[1]}) == 6
    sliced = hash_triples(pa.array(made).slice(2, 2))
    assert [part.tolist() for part in sliced] == [[1, 3], hashes[4:8].tolist()]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
def test_no_pair_is_lost_when_many_triples_collide_in_a_slot(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "MIN_SLOTS_PER_TRIPLE", 1)
    rng, made = numpy.random.default_rng(2), []
    for size in rng.integers(8, 60, size=400):
        words = [f"w{n}" for n in rng.integers(0, 10**6, size=int(size))]
        kept = 2 + numpy.ceil(2 * share * (size - 2) / (1 + share) - 1e-9)  # just as many as it takes
        made += [" ".join(words), " ".join([*words[: int(kept)], *(f"x{n}" for n in range(int(size - kept)))])]
    ones, others = numpy.arange(0, 800, 2), numpy.arange(1, 800, 2)
    exact = numpy.array([jaccard(made[one], made[other]) for one, other in zip(ones, others, strict=True)])
    assert (exact >= share).sum() >= 100
    assert WordTriples.of(column(made)).may_share(ones, others, share)[exact >= share].all()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1.0])
def test_every_pair_that_shares_enough_is_kept_and_few_others(share: float) -> None:
    made = texts(90)
    ones, others = (numpy.array(side) for side in zip(*pairs(90), strict=True))
    found = WordTriples.of(column(made)).may_share(ones, others, share)
    exact = numpy.array([jaccard(made[one], made[other]) for one, other in pairs(90)])
    assert found[exact >= share].all()
    assert (exact >= share).sum() >= 20
    assert found[exact < share - 0.15].mean() < 0.02


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_SLICE_BYTES", 64),
        ("MAX_SLICE_BYTES", 10_000),
        ("MAX_SINGLE_READS_PER_CHUNK", 0),
        ("MAX_SINGLE_READS_PER_CHUNK", 1_000),
    ],
)
def test_the_result_does_not_depend_on_the_block_size(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [*texts(40), " ".join(f"w{n}" for n in range(3_000))]
    ones, others = (numpy.array(side) for side in zip(*pairs(41), strict=True))
    whole = WordTriples.of(column(made, 41)).may_share(ones, others, 1.0)
    monkeypatch.setattr(overlap, name, value)
    parted = WordTriples.of(column(made)).may_share(ones, others, 1.0)
    exact = numpy.array([jaccard(made[one], made[other]) for one, other in pairs(41)]) == 1
    assert (parted[exact] & whole[exact]).all()
    assert (parted != whole).mean() < 0.02


def test_texts_are_normalised_by_form_and_null_counts_as_empty() -> None:
    asked: list[str] = []

    def form(text: str) -> str:
        asked.append(text)
        return text.lower()

    made = pa.chunked_array([pa.array(["A b C d e f", None]), pa.array(["a B c D E f", "", "x", "x"])])
    found = WordTriples.of(made, form).may_share(numpy.array([2, 3, 4, 5]), numpy.array([0, 1, 0, 4]), 1.0)
    assert found.tolist() == [True, True, False, True]
    assert sorted(asked) == ["", "A b C d e f", "a B c D E f", "x"]


def test_no_pairs() -> None:
    none = numpy.empty(0, dtype=numpy.int64)
    assert WordTriples.of(column(["a b c"])).may_share(none, none, 0.5).tolist() == []
    assert WordTriples.of(column([])).may_share(none, none, 0.5).tolist() == []
