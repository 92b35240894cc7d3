"""Rows in containers: batches, directly built canonical JSON, and files that are not containers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.artifacts import Example, Message, Rights, Row, Text, message
from tunesmith.context import Context
from tunesmith.data import rows as module
from tunesmith.data.rows import RowEncoder, canonical_example, iterate_rows, read_batches, store_dataset
from tunesmith.errors import IntegrityBroken

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
TURNS = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.lists(st.builds(Text, text=TEXT), max_size=2).map(tuple),
    weight=st.sampled_from([None, 0.0, 0.5, 3.0]),
)
EXAMPLES = st.builds(
    Example,
    messages=st.lists(TURNS, max_size=3).map(tuple),
    text=st.none() | TEXT,
    labels=st.none() | st.lists(TEXT, max_size=2).map(tuple),
)


@given(EXAMPLES)
def test_the_direct_serialization_is_rfc_8785(example: Example) -> None:
    assert canonical_example(example).encode() == example.canonical()


def rows(count: int) -> list[Row]:
    rights = [Rights(license="MIT", source="a"), Rights(source="b")]
    return [
        Row(
            row_id=f"{n:016x}",
            file=f"{n % 2}.jsonl",
            line=n + 1,
            example=Example(messages=(message("user", f"ü {n}"), message("assistant", "ok"))),
            rights=rights[n % 2],
        )
        for n in range(count)
    ]


def test_a_data_set_of_several_batches_round_trips(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = store_dataset("train", rows(25), context.store)
    monkeypatch.setattr(module, "BATCH_ROWS", 7)
    parted = store_dataset("train", rows(25), context.store)
    assert list(iterate_rows(whole, context.store)) == list(iterate_rows(parted, context.store)) == rows(25)
    assert parted.rows_digest == whole.rows_digest
    assert (whole.rows, whole.licenses) == (25, ("MIT",))


def test_an_empty_data_set(context: Context) -> None:
    empty = store_dataset("train", [], context.store)
    assert (empty.rows, list(iterate_rows(empty, context.store))) == (0, [])


def test_other_files_are_not_read_as_containers(context: Context, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"PAR1 no")
    with pytest.raises(IntegrityBroken, match="not a container of rows"):
        list(read_batches(tmp_path / "x"))
    good = store_dataset("train", rows(3), context.store)
    path = context.store.objects.path(good.container)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityBroken, match="altered"):
        list(iterate_rows(good, context.store))


def test_rights_with_a_reused_id_are_not_confused() -> None:
    encode = RowEncoder()
    made = [
        encode.table([row.model_copy(update={"rights": Rights(source=str(n))})], [canonical_example(row.example)])
        for n, row in enumerate(rows(50))
    ]
    assert [table.column("rights")[0].as_py() for table in made] == [
        Rights(source=str(n)).model_dump_json() for n in range(50)
    ]
