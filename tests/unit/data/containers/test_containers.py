"""The exact records and lines of each container: compressed files, Parquet and Arrow, CoNLL, SQuAD, text."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

from tunesmith.data.containers import FileProgress, ScannedRecord, read_all_records, scan_records, stream
from tunesmith.data.containers.json_values import MAX_JSON_DEPTH, parse_json
from tunesmith.data.format import InvalidRow
from tunesmith.errors import DataError

ROWS = [{"text": f"row {number}", "label": "x"} for number in range(2500)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def records(path: Path) -> list[ScannedRecord]:
    return list(read_all_records(path, path.name))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", LINES),
        ("a.jsonl.gz", gzip.compress(LINES)),
        ("a.jsonl.gz", gzip.compress(LINES[:1000]) + gzip.compress(LINES[1000:])),
        ("a.jsonl.zst", zstandard.compress(LINES)),
        ("a.NDJSON.ZST", zstandard.compress(LINES[:1000]) + zstandard.compress(LINES[1000:])),
    ],
)
def test_json_lines(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert records(tmp_path / name) == list(enumerate(ROWS, 1))


def test_lines_across_chunk_boundaries(tmp_path: Path) -> None:
    rows = [{"text": "é" * (997 * number)} for number in range(1, 40)]
    path = tmp_path / "a.jsonl"
    path.write_text("\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8", newline="")
    assert records(path) == list(enumerate(rows, 1))


def table(**columns: Any) -> pa.Table:
    return pa.table(columns)


def write(path: Path, rows: pa.Table, kind: str) -> None:
    if kind == "parquet":
        pa.parquet.write_table(rows, path, row_group_size=700)
    else:
        make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with make(path, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=1100)


KINDS = [("a.parquet", "parquet"), ("a.arrow", "file"), ("b.arrow", "stream")]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_columnar_rows_are_numbered_from_one(name: str, kind: str, tmp_path: Path) -> None:
    write(tmp_path / name, pa.Table.from_pylist(ROWS), kind)
    assert records(tmp_path / name) == list(enumerate(ROWS, 1))


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_lists_objects_and_dictionaries(name: str, kind: str, tmp_path: Path) -> None:
    messages = [[{"role": "user", "content": "hi", "name": None}], None]
    label = pa.array(["x", "y"]).dictionary_encode()
    write(tmp_path / name, table(messages=messages, n=[1, None], w=[0.5, 1.0], label=label), kind)
    assert records(tmp_path / name) == [
        (1, {"messages": messages[0], "n": 1, "w": 0.5, "label": "x"}),
        (2, {"messages": None, "n": None, "w": 1.0, "label": "y"}),
    ]


@pytest.mark.parametrize(("name", "kind"), KINDS)
@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pa.array([0], pa.timestamp("us")), "timestamp[us]"),
        (pa.array([0], pa.date32()), "date32[day]"),
        (pa.array([Decimal("1.5")]), "decimal128(2, 1)"),
        (pa.array([b"x"]), "binary"),
        (pa.array([[{"image": b"x"}]]), "binary"),
    ],
)
def test_a_column_type_that_json_lacks(name: str, kind: str, values: pa.Array, found: str, tmp_path: Path) -> None:
    write(tmp_path / name, table(text=["a"], when=values), kind)
    with pytest.raises(DataError) as caught:
        records(tmp_path / name)
    assert (caught.value.what, caught.value.where) == (f"the column 'when' holds {found}, which JSON cannot hold", name)
    assert caught.value.hint == "cast it to text, or write the file without it"


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_nan_and_rows_of_more_than_10_mb_are_invalid(name: str, kind: str, tmp_path: Path) -> None:
    long = "a" * 10_000_001
    write(tmp_path / name, table(text=["a", "b", long], w=[[1.0], [float("nan")], []]), kind)
    assert list(scan_records(tmp_path / name, name)) == [
        (1, {"text": "a", "w": [1.0]}),
        InvalidRow(2, "the column 'w' holds nan, which is not JSON", "write null, or leave the row out"),
        InvalidRow(3, "the row is longer than 10 MB", "split it"),
    ]


def test_class_names_that_the_file_gives_are_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    names = datasets.ClassLabel(names=["ham", "spam"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names, "tags": datasets.List(names)})
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0], "tags": [[0, 1], []]}, features=features)
    rows.to_parquet(tmp_path / "a.parquet")
    assert records(tmp_path / "a.parquet") == [
        (1, {"text": "a", "label": "spam", "tags": ["ham", "spam"]}),
        (2, {"text": "b", "label": "ham", "tags": []}),
    ]


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.parquet", b"PK\x03\x04x", "not a Parquet file but a zip archive or spreadsheet"),
        ("a.parquet", b"hello", "not a Parquet file but text"),
        ("a.parquet", b"PAR1junkPAR1", "broken Parquet: "),
        ("a.parquet", b"", "broken Parquet: "),
        ("a.arrow", b"\x80\x04x", "not an Arrow file but a Python pickle"),
        ("a.arrow", b"ARROW1\0\0junk", "broken Arrow: "),
        ("a.arrow", b"\xff\xff\xff\xff\x00\x10\x00\x00junk", "broken Arrow: "),
        ("a.parquet.gz", b"x", "compressed .parquet files are not supported"),
    ],
)
def test_files_whose_content_is_not_their_suffix(name: str, data: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        records(tmp_path / name)
    assert caught.value.what.startswith(what)
    assert caught.value.where == name


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    two = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    write(tmp_path / "a.parquet", two, "parquet")
    with pytest.raises(DataError, match="two columns are called 'text'"):
        records(tmp_path / "a.parquet")


def test_conll(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART- -X- O\n\nIn NNP O\nBern NNP B-loc\n\n\t\n#\tO\r\n \tB-x\r\nhi\tO\n\nNew York\tB-loc\n\n"
    )
    assert list(scan_records(path, path.name)) == [
        (3, {"tokens": ["In", "Bern"], "tags": ["O", "B-loc"]}),
        InvalidRow(8, "a token without a tag", "token, tab, tag"),
        (11, {"tokens": ["New York"], "tags": ["B-loc"]}),
    ]


@pytest.mark.parametrize(
    ("name", "count"), [("wnut17train", 3394), ("emerging.dev", 1009), ("emerging.test", 1287)]
)  # fmt: skip
def test_sentences_of_wnut_2017(name: str, count: int, shared: Path) -> None:
    """The counts are those of the data set's card on the Hub (wnut_17)."""
    path = shared / "data" / "wnut17" / f"{name}.conll"
    found = records(path)
    assert len(found) == count
    if name == "wnut17train":
        assert found[0][1]["tokens"][14:17] == ["Empire", "State", "Building"]
        assert found[0][1]["tags"][14:17] == ["B-location", "I-location", "I-location"]


def test_questions_of_squad_have_the_line_of_their_question(shared: Path) -> None:
    """XQuAD (Artetxe et al. 2020) has 1,190 questions over 240 paragraphs."""
    path = shared / "data" / "xquad" / "xquad.en.json.gz"
    found = records(path)
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    assert (len(found), len({record["context"] for _, record in found})) == (1190, 240)
    assert all(json.dumps(record["question"]) in lines[line - 1] for line, record in found)


def test_squad_on_one_line_is_numbered(tmp_path: Path) -> None:
    asked = [{"question": f'the "question": {n}', "answers": [{"text": "a", "answer_start": 0}]} for n in (1, 2)]
    value = {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "c", "qas": asked}]}]}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert [line for line, _ in records(tmp_path / "a.json")] == [1, 1]
    del value["data"][0]["paragraphs"][0]["qas"][1]["question"]  # type: ignore[index]
    (tmp_path / "b.json").write_text(json.dumps(value, indent=1))
    with pytest.raises(DataError, match=r"b\.json: incomplete SQuAD file: 'question' is missing or invalid"):
        records(tmp_path / "b.json")


def test_an_object_over_several_lines_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(ROWS[0], indent=2))
    assert records(tmp_path / "a.json") == [(1, ROWS[0])]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.txt.gz"])
def test_a_text_file_is_one_row(name: str, tmp_path: Path) -> None:
    text = "\ufeff# One\r\n\r\ntwo é\n"
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert records(tmp_path / name) == [(1, {"text": text[1:]})]


def test_the_row_numbers_of_pandas_are_dropped(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [{"text": 'a, "b"\nc', "label": "x"}, {"text": "", "label": "y"}, {"text": "0", "label": "0"}]
    for name, sign in (("a.csv", ","), ("a.tsv", "\t"), ("a.csv.gz", ",")):
        pandas.DataFrame(rows).to_csv(tmp_path / name, sep=sign)
        progress = FileProgress()
        assert list(scan_records(tmp_path / name, name, progress)) == [(2, rows[0]), (4, rows[1]), (5, rows[2])]
        assert progress.notes == [
            "the first column has no name and holds nothing but the row numbers from 0; it was left out"
        ]


def test_a_named_number_column_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,text\n0,a\n1,b\n")
    progress = FileProgress()
    assert list(scan_records(tmp_path / "a.csv", "a.csv", progress)) == [
        (2, {"n": "0", "text": "a"}),
        (3, {"n": "1", "text": "b"}),
    ]
    assert progress.notes == []


def test_a_numbered_row_of_too_many_fields_is_one_invalid_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",text\n0,a\n1,b,c\n2,d\n")
    assert list(scan_records(tmp_path / "a.csv", "a.csv")) == [
        (2, {"text": "a"}),
        InvalidRow(3, "3 fields, but the header has 2", "put text with commas in quotes"),
        (4, {"text": "d"}),
    ]


@pytest.mark.parametrize("deep", [MAX_JSON_DEPTH, MAX_JSON_DEPTH + 1])
def test_nesting(deep: int) -> None:
    text = '{"a": ' * (deep - 1) + "[]" + "}" * (deep - 1)
    if deep > MAX_JSON_DEPTH:
        with pytest.raises(DataError, match="nested too deep"):
            parse_json(text)
    else:
        assert parse_json(text) == json.loads(text)
    assert parse_json(json.dumps([[]] * 500)) == [[]] * 500


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 18])
@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbf{"text": "a"}\r\n\n{"text": "\xc3\xa9\xe2\x80\xa8\x0b\x1c"}\n{"text": "c"}',
        b'{"text": "' + b"a" * 40 + b'"}\n{"text": "b"}\n' + b"x" * 41 + b"\n\n",
        b'{"text": "a"}\n' + b"y" * 80,
    ],
)
def test_lines_do_not_depend_on_the_chunk_size(
    data: bytes, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(stream, "MAX_LINE_BYTES", 40)
    (tmp_path / "a.jsonl").write_bytes(data)
    expected: list[object] = []
    pieces = data.split(b"\n")
    for number, piece in enumerate(pieces if pieces[-1] else pieces[:-1], 1):
        text = piece.decode().removeprefix("\ufeff") if number == 1 else piece.decode()
        expected.append(
            InvalidRow(number, stream.LINE_TOO_LONG, stream.SPLIT_LINE_HINT) if len(piece) > 40 else (number, text)
        )
    assert list(stream.read_lines(tmp_path / "a.jsonl", "a.jsonl")) == expected


def test_an_invalid_utf_8_byte_is_reported_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_BYTES", 16)
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n' * 9 + b'{"text": "caf\xe9"}\n' + b'{"text": "a"}\n' * 9)
    with pytest.raises(DataError, match=r"a\.jsonl:10: not UTF-8 at byte 14 of the line"):
        list(scan_records(tmp_path / "a.jsonl", "a.jsonl"))


def saved(table: pa.RecordBatch, path: Path) -> bytes:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_batch(table)
    return path.read_bytes()


@pytest.mark.parametrize("offsets", [[0, 3, 1 << 30], [0, -5, 6], [0, 6, 3]])
def test_arrow_offsets_outside_the_data_are_an_error(offsets: list[int], tmp_path: Path) -> None:
    """Arrow does not check them: the process would crash, or other memory would become a row."""
    good, bad = (b"".join(at.to_bytes(4, "little", signed=True) for at in all_) for all_ in ([0, 3, 6], offsets))
    data = saved(pa.RecordBatch.from_pydict({"text": ["abc", "def"]}), tmp_path / "a.arrow")
    assert data.count(good) == 1
    (tmp_path / "a.arrow").write_bytes(data.replace(good, bad))
    with pytest.raises(DataError, match=r"a\.arrow: broken Arrow: .*\nhint: copy or download the file again"):
        list(scan_records(tmp_path / "a.arrow", "a.arrow"))


@pytest.mark.parametrize("ends", ["arrow", "parquet"])
def test_damaged_columnar_files_never_crash(ends: str, tmp_path: Path) -> None:
    table = pa.table({"text": ["a", None, "été"], "spans": [[{"start": 0, "end": 1}], [], None], "n": [1.5, 2.0, None]})
    path = tmp_path / f"a.{ends}"
    if ends == "parquet":
        pa.parquet.write_table(table, path)
    else:
        saved(table.to_batches()[0], path)
    whole, rng, refused = path.read_bytes(), Random(5), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.sample(range(len(whole)), 4):
            damaged[place] = rng.randrange(256)
        path.write_bytes(damaged[: rng.choice([len(whole), len(whole), rng.randrange(len(whole))])])
        try:
            list(scan_records(path, path.name))
        except DataError:
            refused += 1
    assert 50 < refused < 300
