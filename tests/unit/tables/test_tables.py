"""Table operations against hand-made results, and signatures against the probability that theory gives."""

import numpy
import pyarrow as pa
import pytest

from tunesmith.errors import Misuse
from tunesmith.tables import (
    MinHashBands,
    band_keys,
    group_min_count,
    map_batches,
    minhash_bands,
    minhash_signatures,
    signatures,
    use_runner,
)

TABLE = pa.table({"row": [3, 0, 2, 1], "key": ["b", "a", "a", "c"], "band": [1, 1, 1, 2]})


def test_group_min_count_returns_every_row_with_its_groups_minimum_and_count() -> None:
    assert group_min_count(TABLE, keys=["key"], row="row").to_pylist() == [
        {"row": 0, "key": "a", "band": 1, "minimum": 0, "count": 2},
        {"row": 1, "key": "c", "band": 2, "minimum": 1, "count": 1},
        {"row": 2, "key": "a", "band": 1, "minimum": 0, "count": 2},
        {"row": 3, "key": "b", "band": 1, "minimum": 3, "count": 1},
    ]


def test_group_min_count_over_two_keys_and_over_nothing() -> None:
    table = pa.table({"row": [0, 1, 2], "key": ["a", "a", "a"], "band": [1, 2, 1]})
    assert group_min_count(table, keys=["key", "band"], row="row").column("count").to_pylist() == [2, 1, 2]
    assert group_min_count(table.slice(0, 0), keys=["key"], row="row").column_names[-2:] == ["minimum", "count"]


def test_group_min_count_refuses_null_keys() -> None:
    with pytest.raises(ValueError, match="'key' contains nulls"):
        group_min_count(pa.table({"row": [0], "key": pa.array([None], pa.string())}), keys=["key"], row="row")


def test_map_batches_keeps_the_order_of_rows() -> None:
    table = pa.table({"row": list(range(5000)), "text": [f"text {n}" for n in range(5000)]})
    made = map_batches(
        table,
        lambda rows, texts: pa.array(
            [f"{row}:{text}" for row, text in zip(rows.to_pylist(), texts.to_pylist(), strict=True)]
        ),
        columns=["row", "text"],
        name="both",
        kind=pa.string(),
    )
    assert made.column("both").to_pylist() == [f"{n}:text {n}" for n in range(5000)]
    empty = map_batches(table.slice(0, 0), lambda rows: rows, columns=["row"], name="x", kind=pa.int64())
    assert empty.column_names == ["row", "text", "x"]


def test_signature_agreement_estimates_the_jaccard_similarity() -> None:
    words = [f"w{n}" for n in range(400)]
    table = pa.table({"row": [0, 1, 2], "text": [" ".join(words), " ".join(words[100:]), ""]})
    made = minhash_signatures(table, column="text", row="row")
    assert made.column("row").to_pylist() == [0, 1]
    one, two = (numpy.array(value) for value in made.column("signature").to_pylist())
    true = 298 / 398
    assert abs((one == two).mean() - true) < 4 * (true * (1 - true) / 128) ** 0.5


def test_band_keys_are_equal_exactly_where_four_hashes_are() -> None:
    made = minhash_signatures(
        pa.table({"row": [7, 9], "text": ["a b c d e f g h", "a b c d e f g x"]}), column="text", row="row"
    )
    keys = band_keys(made, row="row")
    one, two = made.column("signature").to_pylist()
    agree = [one[4 * band : 4 * band + 4] == two[4 * band : 4 * band + 4] for band in range(32)]
    assert keys.rows.tolist() == [7, 9]
    assert (keys.keys[:, 0] == keys.keys[:, 1]).tolist() == agree
    assert sum(agree) not in (0, 32)


def test_bands_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"row": list(range(5)), "text": [f"a b c d {n} f" if n != 3 else "" for n in range(5)]})
    whole = minhash_bands(table, column="text", row="row")
    monkeypatch.setattr(signatures, "MAX_SIGNATURE_ROWS", 2)
    parted = minhash_bands(table, column="text", row="row")
    assert whole.rows.tolist() == parted.rows.tolist() == [0, 1, 2, 4]
    assert whole.keys.shape == (32, 4)
    assert (whole.keys == parted.keys).all()
    assert (whole.marks == parted.marks).all()


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 1.0])
def test_pairs_at_the_threshold_are_not_skipped(similarity: float) -> None:
    rng, count = numpy.random.default_rng(3), 2_000
    share = numpy.arange(200) < 200 * 2 * similarity / (1 + similarity)
    ones, others = [], []
    for _ in range(count):
        words = rng.integers(10**9, size=(2, 200)).astype(str)
        ones.append(" ".join(words[0]))
        others.append(" ".join(numpy.where(share, words[0], words[1])))
    bands = minhash_bands(pa.table({"row": list(range(2 * count)), "text": ones + others}), column="text", row="row")
    rows = numpy.arange(count)
    exact = 2 * similarity / (1 + similarity) * 200
    triples = (numpy.ceil(exact) - 2) / (2 * 198 - (numpy.ceil(exact) - 2))
    assert bands.may_reach(rows, rows + count, triples, among=bands).mean() >= 0.999
    assert bands.may_reach(rows, (rows + 1) % count, triples, among=bands).mean() == 0


def bands_with(keys: list[list[int]]) -> MinHashBands:
    """Rows 10, 11, ... whose key in every band is the first of theirs, but for band 0, where it is the second."""
    whole = numpy.array([[second, *[first] * 31] for first, second in keys], dtype=numpy.uint32).reshape(-1, 32)
    rows = numpy.arange(10, 10 + len(keys))
    return MinHashBands(rows, whole.T, numpy.zeros((len(keys), 128), dtype=numpy.uint8))


def test_rows_that_share_a_key_are_found_band_by_band() -> None:
    found = [
        (buckets.tolist(), places.tolist())
        for buckets, places in bands_with([[7, 1], [3, 1], [7, 2], [5, 1]]).shared_keys()
    ]
    assert found == [([0, 0, 0], [0, 1, 3]), *[([0, 0], [0, 2])] * 31]
    assert [len(places) for _, places in bands_with([]).shared_keys()] == [0] * 32


def test_rows_that_share_a_key_with_others_are_found_up_to_the_limit() -> None:
    mine, others = bands_with([[7, 1], [9, 4]]), bands_with([[7, 4], [7, 4], [7, 4], [8, 0]])
    found = [list(zip(places.tolist(), met.tolist(), strict=True)) for places, met in mine.shared_with(others, limit=2)]
    assert found == [[(1, 0), (1, 1)], *[[(0, 0), (0, 1)]] * 31]
    assert [len(places) for places, _ in mine.shared_with(bands_with([]), limit=2)] == [0] * 32


def test_another_runner_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use_runner("local")
    monkeypatch.setattr("daft.get_or_infer_runner_type", lambda: "ray")
    with pytest.raises(Misuse, match="already runs on 'ray', but the recipe sets 'local'"):
        use_runner("local")
