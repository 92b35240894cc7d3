"""Splits: no cluster on both sides, independent of row order, near the requested share, or an error."""

from typing import Any

import numpy
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.audit.split import Split, cluster_rows, split_rows
from tunesmith.errors import DataError
from tunesmith.recipe import SplitSettings

WORDS = "hat coat shoe glove scarf belt cap sock vest gown robe cape boot shawl apron bonnet".split()


def table(rows: list[dict[str, Any]]) -> pa.Table:
    names = ("row_id", "normal", "completion", "subject", "author", "collected")
    given_rows = [{"row_id": f"{number:016x}", "normal": f"text {number}", **row} for number, row in enumerate(rows)]
    return pa.table({name: pa.array([row.get(name) for row in given_rows], type=pa.string()) for name in names})


def split_table(rows: pa.Table, seed: int = 7, **how: Any) -> Split:
    return split_rows(rows, SplitSettings(**how), numpy.random.default_rng(seed))


def sides(split: Split, rows: pa.Table, column: str = "row_id") -> tuple[set[Any], set[Any]]:
    values = rows.column(column).to_pylist()
    return {values[line] for line in split.train}, {values[line] for line in split.test}


row_values = st.fixed_dictionaries(
    {
        "subject": st.sampled_from([None, "", "a", "b", "c", "d", "e", "f"]),
        "author": st.sampled_from([None, "p", "q", "r", "s"]),
        "completion": st.sampled_from(["yes", "no", "perhaps"]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(row_values, min_size=2, max_size=60),
    st.sampled_from([("subject",), ("author",), ("subject", "author"), ()]),
    st.floats(0.05, 0.95),
    st.booleans(),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_splits_keep_clusters_are_repeatable_and_near_the_share(
    values: list[dict[str, Any]], by: tuple[str, ...], share: float, stratify: bool, seed: int, shuffler: Any
) -> None:
    rows = table(values)
    how = {"by": by, "test": share, "stratify": stratify}
    try:
        made = split_table(rows, seed, **how)
    except DataError as refused:
        assert len(set(cluster_rows(rows, by).tolist())) == 1, refused
        return
    assert sorted([*made.train.tolist(), *made.test.tolist()]) == list(range(len(values)))
    assert len(made.train) and len(made.test)
    for column in by:
        left, right = sides(made, rows, column)
        assert left & right <= {None, ""}
    assert abs(len(made.test) - share * len(values)) <= max(made.summary.largest - 1, 0) + 1
    order = list(range(len(values)))
    shuffler.shuffle(order)
    moved = rows.take(pa.array(order))
    again = split_table(moved, seed, **how)
    assert sides(again, moved) == sides(made, rows)
    assert again.summary == made.summary


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=10, max_size=80), st.floats(0.1, 0.9), st.integers(0, 3))
def test_without_clusters_a_stratified_split_is_exact(labels: list[str], share: float, seed: int) -> None:
    """Every label's count is within one of its share: the definition of largest remainders."""
    rows = table([{"completion": label} for label in labels])
    made = split_table(rows, seed, by=(), test=share, stratify=True)
    target = max(1, min(len(labels) - 1, int(share * len(labels) + 0.5)))
    assert len(made.test) == target
    for label in set(labels):
        held = sum(labels[line] == label for line in made.test)
        assert abs(held - labels.count(label) * target / len(labels)) < 1


def test_another_seed_gives_another_split() -> None:
    rows = table([{} for _ in range(200)])
    assert sides(split_table(rows, 1), rows) != sides(split_table(rows, 2), rows)


def test_chains_across_constraints_are_one_cluster() -> None:
    """0-1 by subject, 1-2 by author, 2-3 by their words: all four are linked; 4 and 5 do not."""
    long = " ".join(WORDS)
    rows = table(
        [
            {"subject": "a"},
            {"subject": "a", "author": "p"},
            {"author": "p", "normal": long},
            {"normal": f"{long} and a tie"},
            {"subject": "b"},
            {"normal": " ".join(reversed(WORDS))},
        ]
    )
    found = cluster_rows(rows, ("subject", "author", "near-duplicate"))
    assert found.tolist() == [0, 0, 0, 0, 1, 2]


def test_near_duplicates_of_a_later_row_are_not_missed() -> None:
    """A chain in one bucket: the last row is like the middle one alone, not like the first, which leads the bucket."""
    words = [f"w{number}" for number in range(60)]
    texts = [" ".join(words[at : at + 40]) for at in (0, 10, 20)]
    texts += [texts[1], "w1 w2 w3"]
    assert cluster_rows(table([{"normal": text} for text in texts]), ("near-duplicate",)).tolist() == [0, 0, 0, 0, 1]


def test_equal_short_texts_stay_together_and_empty_ones_do_not() -> None:
    rows = table([{"normal": text} for text in ("my hat", "my hat", "my coat", "", "")])
    assert cluster_rows(rows, ("near-duplicate",)).tolist() == [0, 0, 1, 2, 3]


def test_a_large_bucket_becomes_one_cluster_without_comparison() -> None:
    """Texts that share their first sixty words and nothing else: more than are compared one by one."""
    head = " ".join(f"h{number}" for number in range(60))
    rows = table([{"normal": f"{head} {' '.join(f't{one}x{number}' for number in range(6))}"} for one in range(150)])
    found = cluster_rows(rows, ("near-duplicate",), threshold=0.99)
    assert len(set(found.tolist())) < 75


def test_a_split_by_time_holds_out_the_latest_rows() -> None:
    days = [f"2026-01-{day:02d}" for day in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)]
    rows = table([{"collected": day} for day in days])
    made = split_table(rows, by=(), order="time", test=0.3)
    assert made.test.tolist() == [7, 8, 9]
    assert (made.summary.cut, made.summary.pulled) == ("2026-01-08", 0)
    assert split_table(rows, by=(), order="time", after="2026-01-05").test.tolist() == [4, 5, 6, 7, 8, 9]


def test_a_cluster_with_a_row_after_the_cut_is_held_out() -> None:
    rows = table(
        [
            {"collected": "2026-01-01", "subject": "a"},
            {"collected": "2026-01-02"},
            {"collected": "2026-01-03"},
            {"collected": "2026-01-04", "subject": "a"},
        ]
    )
    made = split_table(rows, by=("subject",), order="time", after="2026-01-04")
    assert made.test.tolist() == [0, 3]
    assert made.summary.pulled == 1


@pytest.mark.parametrize(
    ("rows", "how", "reason"),
    [
        ([{"subject": "a"}] * 5, {"by": ("subject",)}, "all 5 rows form one cluster by subject"),
        ([{}], {"by": ()}, "all 1 rows form one cluster"),
        ([{"collected": "2026-01-01"}, {}], {"by": (), "order": "time"}, "1 of 2 rows have no date"),
        ([{"collected": "2026-01-01"}] * 4, {"by": (), "order": "time"}, "no date splits the rows"),
        ([{"collected": "2026-01-01"}] * 4, {"by": (), "order": "time", "after": "2026-02-01"}, "no date splits"),
        ([{"row_id": "0"}, {"row_id": "0"}], {"by": ()}, "two rows have the same id"),
    ],
)
def test_rows_that_cannot_be_split_are_rejected(rows: list[dict[str, Any]], how: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason) as error:
        split_table(table(rows), **how)
    assert error.value.where == "data.split" and error.value.hint


@pytest.mark.parametrize(
    "how",
    [
        {"test": 0},
        {"test": 1},
        {"after": "2026-01-01"},
        {"order": "time", "after": "2026-01-01", "test": 0.3},
        {"order": "time", "stratify": True},
        {"by": ("shoe-size",)},
    ],
)
def test_contradictory_settings_are_rejected(how: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SplitSettings(**how)
