"""The lineage of rows and their consumption in the ledger, compared with plain loops."""

from collections import defaultdict
from typing import Any

import pytest

from tunesmith.artifacts import Dataset
from tunesmith.chat.encode import EncodedSequence
from tunesmith.data.rows import store_dataset
from tunesmith.errors import IntegrityBroken
from tunesmith.lineage.record import read_consumption, record_dataset, weight_digests
from tunesmith.train.consumption import store_consumption

STEPS = [[0, 2], [1, 0, 3], [2], [0, 1]]


def test_spans_are_aggregated_over_steps(history: Any, scripted: Any) -> None:
    """Row 1 has two windows; the recorded counts equal those of a loop over the steps."""
    names = [history.ids[0], history.ids[1], history.ids[1], history.ids[4]]
    encoded = [
        EncodedSequence(name, tuple(range(8 + at)), ((2, 8),), first_token=8 * (at == 2))
        for at, name in enumerate(names)
    ]
    record = store_consumption(STEPS, encoded, history.store)
    rows = history.store.ledger.lookups.dataset_rows(record_dataset(history.train, history.store))
    consumed = read_consumption(record, rows, history.store)
    assert consumed is not None
    expected: dict[tuple[int, int], list[int]] = defaultdict(list)
    for step, taken in enumerate(STEPS, 1):
        for at in taken:
            expected[history.ids.index(names[at]), encoded[at].first_token].append(step)
    found = {
        (int(position), int(first)): (int(times), int(begun), int(ended))
        for position, first, times, begun, ended in zip(
            consumed.positions, consumed.first, consumed.times, consumed.first_step, consumed.last_step, strict=True
        )
    }
    assert found == {key: (len(steps), steps[0], steps[-1]) for key, steps in expected.items()}
    assert sorted(
        zip(consumed.first.tolist(), consumed.tokens.tolist(), consumed.supervised.tolist(), strict=True)
    ) == [
        (0, 8, 6),
        (0, 9, 6),
        (0, 11, 6),
        (8, 10, 6),
    ]


def test_an_empty_consumption_record_counts_as_recorded(history: Any) -> None:
    rows = history.store.ledger.lookups.dataset_rows(record_dataset(history.train, history.store))
    consumed = read_consumption(store_consumption([], [], history.store), rows, history.store)
    assert consumed is not None and len(consumed.positions) == 0


def test_a_wrong_row_count_is_an_integrity_error(history: Any) -> None:
    other = store_dataset("train", [], history.store)
    lying = Dataset(name="train", rows=5, rows_digest=other.rows_digest, container=other.container)
    with pytest.raises(IntegrityBroken, match="states .* rows; its container has"):
        record_dataset(lying, history.store)


def test_weight_digests_with_and_without_the_algorithm_prefix() -> None:
    files = {"a.safetensors": "12", "b/c.safetensors": "sha256:34", "config.json": "56"}
    assert weight_digests(files) == ["sha256:12", "sha256:34"]
