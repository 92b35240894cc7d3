"""The exact rows, lines and rights that are read from each container and format."""

import gzip
import hashlib
import hmac
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tunesmith.artifacts import Example, Rights, message
from tunesmith.context import Context
from tunesmith.data import sources
from tunesmith.data.invalid_rows import InvalidRows
from tunesmith.data.rows import load_rows, store_dataset
from tunesmith.data.sources import ReadLog, fingerprint, read_source, row_id, stream_sources
from tunesmith.errors import DataError, IntegrityBroken
from tunesmith.recipe import DataSettings, SourceSettings

PAIR = pa.schema([("prompt", pa.string()), ("completion", pa.string())])
CHAT = Example(messages=(message("user", "hi"), message("assistant", "yo")))


def write(context: Context, name: str, text: str) -> None:
    data = text.encode()
    (context.data_root / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.jsonl", '{"prompt": "hi", "completion": "yo"}\n\n{"prompt": "hi", "completion": "yo"}\n', [1, 3]),
        ("a.jsonl.gz", '\ufeff{"prompt": "hi", "completion": "yo"}', [1]),
        ("a.json", '[\n\n{"prompt": "hi",\n"completion": "yo"},\n {"prompt": "hi", "completion": "yo"}]\n', [3, 5]),
        ("b.json", '{"prompt": "hi", "completion": "yo"}\n', [1]),
        ("a.csv", '\ufeffprompt,completion,note\r\nhi,yo,"x\r\ny"\r\nhi,yo,\r\n', [2, 4]),
        ("a.tsv.gz", "completion\tprompt\nyo\thi\n", [2]),
        ("a.ndjson", '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}', [1]),
    ],
)
def test_containers_give_the_same_example(name: str, text: str, lines: list[int], context: Context) -> None:
    write(context, name, text)
    rows, _ = read_source(SourceSettings(path=name), split="train", context=context)
    assert [(row.file, row.line, row.example) for row in rows] == [(name, line, CHAT) for line in lines]


def test_text_parts_stay_separate(context: Context) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    write(context, "a.jsonl", json.dumps({"messages": [{"role": "user", "content": parts}]}))
    rows, _ = read_source(SourceSettings(path="a.jsonl"), split="train", context=context)
    assert [part.model_dump() for part in rows[0].example.messages[0].content] == parts
    assert rows[0].example.prompt_text == "ab"


def test_labels_and_text(context: Context) -> None:
    write(context, "l.csv", "text,category\nhello, refund \n")
    write(context, "n.jsonl", '{"text": "hello", "label": 3}')
    write(context, "t.jsonl", '{"text": "hello"}')
    spec = SourceSettings(path="l.csv", columns={"text": "text", "label": "category"})
    read = [
        read_source(one, split="train", context=context)[0][0].example
        for one in (spec, SourceSettings(path="n.jsonl"), SourceSettings(path="t.jsonl"))
    ]
    assert read == [
        Example(text="hello", labels=("refund",)),
        Example(text="hello", labels=("3",)),
        Example(text="hello"),
    ]


def test_a_stated_format_ignores_other_columns(context: Context) -> None:
    write(context, "a.jsonl", '{"text": "hello", "label": "x"}')
    rows, found = read_source(SourceSettings(path="a.jsonl", format="text"), split="train", context=context)
    assert (rows[0].example, found[0].format) == (Example(text="hello"), "text")


def test_rights_of_a_row_override_those_of_its_source(context: Context) -> None:
    write(context, "a.jsonl", '{"text": "x"}\n{"text": "y", "license": "MIT", "author": "", "source": "forum"}\n')
    spec = SourceSettings(path="a.jsonl", license="CC0-1.0", origin="here", author="me", basis="contract")
    rows, _ = read_source(spec, split="train", context=context)
    assert [row.rights for row in rows] == [
        Rights(source="a.jsonl", license="CC0-1.0", origin="here", author="me", basis="contract"),
        Rights(source="forum", license="MIT", origin="here", author="me", basis="contract"),
    ]


def test_a_column_with_a_role_states_no_rights(context: Context) -> None:
    write(context, "a.jsonl", '{"source": "guten Tag", "target": "hello"}')
    spec = SourceSettings(path="a.jsonl", columns={"prompt": "source", "completion": "target"})
    rows, _ = read_source(spec, split="train", context=context)
    assert rows[0].rights.source == "a.jsonl"


def test_row_ids_are_the_hmac_of_file_digest_and_record_number(context: Context) -> None:
    text = '{"text": "x"}\n\n{"text": "y"}\n'
    write(context, "a.jsonl", text)
    rows, found = read_source(SourceSettings(path="a.jsonl"), split="train", context=context)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    salt = context.store.ledger.salt("train")
    expected = [hmac.new(salt, f"{digest}:{n}".encode(), "sha256").hexdigest()[:16] for n in (1, 2)]
    assert [row.row_id for row in rows] == expected
    assert found[0].sha256 == digest
    held, _ = read_source(SourceSettings(path="a.jsonl"), split="test", context=context)
    assert not {row.row_id for row in held} & set(expected)


def test_glob_is_sorted_and_limit_counts_over_all_files(context: Context) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.jsonl"):
        write(context, name, f'{{"text": "{name} 1"}}\n{{"text": "{name} 2"}}\n')
    rows, found = read_source(SourceSettings(path="*.jsonl", limit=3), split="train", context=context)
    assert [row.example.text for row in rows] == ["a.jsonl 1", "a.jsonl 2", "b.jsonl 1"]
    assert [(one.path, one.rows) for one in found] == [("a.jsonl", 2), ("b.jsonl", 1)]


def test_a_name_with_brackets_is_tried_before_a_glob(context: Context) -> None:
    write(context, "a[1].jsonl", '{"text": "x"}')
    rows, _ = read_source(SourceSettings(path="a[1].jsonl"), split="train", context=context)
    assert rows[0].file == "a[1].jsonl"


def test_dataset_digest_is_over_the_examples_and_nothing_else(context: Context) -> None:
    write(context, "a.jsonl", '{"text": "x", "license": "MIT"}\n{"text": "\\r\\n\\u2028é", "license": "CC0-1.0"}\n')
    rows, _ = read_source(SourceSettings(path="a.jsonl"), split="train", context=context)
    kept = store_dataset("train", rows, context.store)
    by_hand = (
        '{"labels":null,"messages":[],"text":"x"}\n{"labels":null,"messages":[],"text":"\\r\\n\u2028é"}\n'
    ).encode()
    assert kept.rows_digest == f"sha256:{hashlib.sha256(by_hand).hexdigest()}"
    assert kept.licenses == ("CC0-1.0", "MIT")
    assert load_rows(kept, context.store) == rows
    assert store_dataset("train", rows, context.store) == kept
    with pytest.raises(IntegrityBroken, match="do not match its digest"):
        load_rows(kept.model_copy(update={"rows_digest": "sha256:" + "0" * 64}), context.store)


def test_files_of_every_kind_are_read(context: Context) -> None:
    chat = {"prompt": "hi", "completion": "yo"}
    pq.write_table(pa.table({key: [value] for key, value in chat.items()}), context.data_root / "a.parquet")
    with pa.OSFile(str(context.data_root / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, PAIR) as writer:
        writer.write_table(pa.table({key: [value] for key, value in chat.items()}, PAIR))
    (context.data_root / "a.jsonl.zst").write_bytes(zstandard.compress(json.dumps(chat).encode()))
    for name in ("a.parquet", "a.arrow", "a.jsonl.zst"):
        rows, found = read_source(SourceSettings(path=name), split="train", context=context)
        assert [(row.file, row.line, row.example) for row in rows] == [(name, 1, CHAT)]
        assert found[0].format == "prompt-completion"
    write(context, "a.conll", "Bern\tB-city\nis\tO\n\n")
    rows, found = read_source(SourceSettings(path="a.conll"), split="train", context=context)
    assert rows[0].example == Example(text="Bern is", tokens=("Bern", "is"), tags=("B-city", "O"))
    assert found[0].format == "tagged-tokens"


def test_a_folder_is_read_file_by_file(context: Context) -> None:
    (context.data_root / "set").mkdir()
    for number in (1, 2):
        write(context, f"set/part-{number}.jsonl", f'{{"text": "row {number}"}}\n')
    write(context, "set/README.md", "no row")
    rows, found = read_source(SourceSettings(path="set"), split="train", context=context)
    assert [row.example.text for row in rows] == ["row 1", "row 2"]
    assert [one.path for one in found] == ["set/part-1.jsonl", "set/part-2.jsonl"]
    recipe = DataSettings(train=(SourceSettings(path="set"),))
    assert fingerprint(recipe, context) == {f"train/{one.path}": one.sha256 for one in found}


@pytest.mark.parametrize(
    "path", ["s3://bucket/a.jsonl", "hub://datasets/owner/name@" + "0" * 40, "https://x.org/a.csv"]
)
def test_the_network_is_used_only_when_the_source_says_so(path: str, context: Context) -> None:
    with pytest.raises(DataError, match="the source is remote, and the recipe does not allow the network") as caught:
        read_source(SourceSettings(path=path), split="train", context=context)
    assert caught.value.hint == "set `network: true` on this source in the recipe"


def test_row_ids_of_a_file_equal_single_row_ids() -> None:
    """For salts shorter and longer than a block of SHA-256."""
    for salt in (b"", b"a" * 32, b"b" * 64, b"c" * 65):
        row_id_of = sources._row_id_function(salt, "sha256:00")
        assert [row_id_of(number) for number in (1, 10, 10**9)] == [
            row_id(salt, "sha256:00", n) for n in (1, 10, 10**9)
        ]


def test_invalid_rows_are_collected_with_their_split(context: Context) -> None:
    write(context, "a.jsonl", '{"text": "x"}\n{oops\n{"text": "y", "collected": "soon"}\n{"text": "z"}\n')
    invalid_rows = InvalidRows()
    spec = SourceSettings(path="a.jsonl")
    rows = list(stream_sources([spec], split="test", context=context, log=ReadLog(invalid_rows)))
    assert [row.line for row in rows] == [1, 4]
    assert [(one.file, one.line, one.split) for one in invalid_rows.rows] == [
        ("a.jsonl", 2, "test"),
        ("a.jsonl", 3, "test"),
    ]
    assert invalid_rows.rows[1].reason == "the column 'collected' holds 'soon', which is no date"
    assert len(invalid_rows) == 2


def test_a_croissant_file_names_the_files_and_their_rights(context: Context) -> None:
    write(context, "a.jsonl", '{"text": "x"}\n')
    digest = hashlib.sha256((context.data_root / "a.jsonl").read_bytes()).hexdigest()
    file = {"@type": "cr:FileObject", "@id": "a", "name": "a", "contentUrl": "a.jsonl", "sha256": digest}
    document = {
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "a",
        "description": "notes on hats",
        "license": "https://spdx.org/licenses/CC0-1.0",
        "distribution": [{**file, "encodingFormat": "application/jsonlines"}],
    }
    write(context, "croissant.json", json.dumps(document))
    spec = SourceSettings(croissant="croissant.json", license="MIT")
    rows, found = read_source(spec, split="train", context=context)
    assert (rows[0].rights.license, rows[0].rights.origin) == ("MIT", "notes on hats")
    assert (found[0].path, found[0].contradicts) == ("a.jsonl", {"license": "CC0-1.0"})
    prints = fingerprint(DataSettings(train=(spec,)), context)
    assert sorted(prints) == ["train/a.jsonl", "train/croissant.json"]
