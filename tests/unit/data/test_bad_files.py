"""Every unreadable file gives one error: what, file and line, and a hint."""

import gzip
import json
import os
import tracemalloc
from pathlib import Path
from random import Random

import pytest
import zstandard

from tunesmith.context import Context
from tunesmith.data.containers import refuse_missing, scan_records, stream
from tunesmith.data.format import InvalidRow
from tunesmith.data.sources import read_source, read_sources
from tunesmith.errors import DataError
from tunesmith.recipe import SourceSettings

GOOD = b'{"text": "a", "label": "b"}\n'
GOOD_ROW = {"text": "a", "label": "b"}

CASES = [
    ("empty.jsonl", b"", "empty.jsonl", "the file has no rows", ""),
    ("blank.jsonl", b"\n\n", "blank.jsonl", "the file has no rows", ""),
    ("header.csv", b"text,label\n", "header.csv", "the file has no rows", ""),
    (
        "broken.jsonl",
        GOOD + b"{oops\n",
        "broken.jsonl:2",
        "broken JSON: Expecting property name",
        "one whole JSON object",
    ),
    ("cut.jsonl", GOOD + b'{"text": "a", "la', "cut.jsonl:2", "broken JSON: Unterminated string", ""),
    ("list.jsonl", b'[{"text": "a"}]\n', "list.jsonl:1", "a row is a JSON object, found list", "ends in .json"),
    ("twice.jsonl", b'{"text": "a", "text": "b"}\n', "twice.jsonl:1", "the key 'text' stands twice", ""),
    ("nan.jsonl", b'{"text": NaN}\n', "nan.jsonl:1", "NaN is not JSON", ""),
    ("deep.jsonl", b"[" * 200_000, "deep.jsonl:1", "nested too deep", ""),
    ("half.jsonl", b'{"text": "\\ud83d"}\n', "half.jsonl:1", "half of a surrogate pair", ""),
    ("comma.json", b'[\n{"text": "a"}\n{"text": "b"}]', "comma.json:3", "a comma or ] is missing", ""),
    ("open.json", b'[\n{"text": "a"},\n', "open.json:2", "the array is not closed", "truncated"),
    ("after.json", b'[{"text": "a"}]\n\nmore', "after.json:3", "text after the array", ""),
    ("number.json", b"17", "number.json:1", "an array of objects", ""),
    (
        "latin.jsonl",
        GOOD + b'{"text": "caf\xe9", "label": "b"}\n',
        "latin.jsonl:2",
        "not UTF-8 at byte 14",
        "save the file",
    ),
    ("nul.jsonl", GOOD * 400 + b"a\0b\n", "nul.jsonl:401", "a NUL byte at byte 2", ""),
    ("zip.jsonl", b"PK\x03\x04abc", "zip.jsonl", "a zip archive or spreadsheet", "export the rows"),
    ("pickle.jsonl", b"\x80\x04\x95abc", "pickle.jsonl", "a Python pickle", "export the rows"),
    ("bin.csv", b"\x01\x00\x02", "bin.csv", "binary data", "export the rows"),
    ("named.jsonl", gzip.compress(GOOD, mtime=0), "named.jsonl", "does not end in .gz", ""),
    ("torn.jsonl.gz", gzip.compress(GOOD * 999, mtime=0)[:-9], "torn.jsonl.gz", "the gzip data is broken", "again"),
    (
        "long.jsonl",
        b'{"text": "' + b"a" * 10_000_001,
        "long.jsonl:1",
        "longer than 10 MB",
        "one row belongs on one line",
    ),
    (
        "notes.docx",
        b"hello",
        "notes.docx",
        "files with the suffix '.docx' are not supported",
        ".jsonl, .ndjson, .json, .csv, .tsv, .conll, .annotated, .txt, .md, each also with .gz or .zst; .parquet, .arrow",
    ),
    ("rows", b"hello", "rows", "files without a suffix are not supported", ""),
    ("blank.txt", b" \n", "blank.txt", "the file has no rows", ""),
    ("long.txt", b"a" * 10_000_001, "long.txt", "the file is larger than 10 MB", "split it into one file"),
    ("rows.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "rows.xls", "files with the suffix '.xls'", ""),
    ("old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old.csv", "an old spreadsheet", "export the rows"),
    ("empty.zip.csv", b"PK\x05\x06" + b"\0" * 18, "empty.zip.csv", "a zip archive or spreadsheet", ""),
    ("base.jsonl", b"SQLite format 3\0", "base.jsonl", "an SQLite database", ""),
    ("columns.jsonl", b"PAR1\x15\x04", "columns.jsonl", "a Parquet file", ""),
    ("wide.jsonl", GOOD.decode().encode("utf-16"), "wide.jsonl", "UTF-16 text", ""),
    ("wide.csv", "text,label\na,b\n".encode("utf-16-le"), "wide.csv", "binary data", ""),
    (
        "inside.jsonl.gz",
        gzip.compress(b"PK\x03\x04abc", mtime=0),
        "inside.jsonl.gz",
        "a zip archive or spreadsheet",
        "",
    ),
    ("none.jsonl.gz", b"", "none.jsonl.gz", "the file has no rows", ""),
    ("plain.jsonl.gz", GOOD, "plain.jsonl.gz", "the gzip data is broken: Not a gzipped file", "again"),
    ("tail.jsonl.gz", gzip.compress(GOOD, mtime=0) + b"junk", "tail.jsonl.gz", "the gzip data is broken", ""),
    (
        "check.jsonl.gz",
        gzip.compress(GOOD, mtime=0)[:-8] + b"\0" * 8,
        "check.jsonl.gz",
        "the gzip data is broken: CRC check",
        "",
    ),
    ("torn.jsonl.zst", zstandard.compress(GOOD * 999)[:-9], "torn.jsonl.zst", "the Zstandard data is broken", "again"),
    ("plain.jsonl.zst", GOOD, "plain.jsonl.zst", "the Zstandard data is broken", ""),
    ("named.csv", zstandard.compress(GOOD), "named.csv", "does not end in .zst", ""),
    ("nested.json", b"[" * 200_000, "nested.json:1", "nested too deep", ""),
    ("nested.jsonl", b'{"a":' * 101 + b"1" + b"}" * 101, "nested.jsonl:1", "nested too deep", "at most 100"),
    ("digits.jsonl", b'{"text": ' + b"9" * 5000 + b"}", "digits.jsonl:1", "broken JSON: Exceeds the limit", ""),
    ("latin.json", b'[{"text": "a"},\n"caf\xe9"]', "latin.json:2", "not UTF-8 at byte 5", "save the file"),
    ("quoted.csv", b'text,label\na,"b"c\n', "quoted.csv:2", "broken CSV", "a quote may be missing"),
    (
        "index.csv",
        b",text\n1,a\n",
        "index.csv:1",
        "a column without a name, and on line 2 it is not the row number",
        "index=False",
    ),
    ("gap.csv", b",text\n0,a\n\n2,b\n", "gap.csv:1", "on line 4 it is not the row number: '2'", "index=False"),
    ("zero.csv", b",text\n00,a\n", "zero.csv:1", "on line 2 it is not the row number: '00'", "index=False"),
    ("keys.tsv", b"\ttext\nk1\ta\n", "keys.tsv:1", "on line 2 it is not the row number: 'k1'", "index=False"),
    ("within.csv", b"text,,label\na,0,b\n", "within.csv:1", "a column without a name", "index=False"),
    ("two.csv", b",,text\n0,0,a\n", "two.csv:1", "a column without a name", "index=False"),
    ("alone.csv", b'""\n0\n', "alone.csv:1", "a column without a name", "index=False"),
    ("only.csv", b",text\n", "only.csv", "the file has no rows", ""),
    ("ragged.csv", b'text,label\n"a\nb",c\nx,y,z\n', "ragged.csv:4", "3 fields, but the header has 2", "in quotes"),
    ("quote.csv", b'text,label\na,"b\n', "quote.csv:2", "broken CSV", "a quote may be missing"),
    ("twin.csv", b"text,text\na,b\n", "twin.csv:1", "two columns 'text'", ""),
    ("semicolon.csv", b"text;label\na;b\n", "semicolon.csv:2", "there is no column 'text'", "semicolons"),
    ("strange.jsonl", b'{"q": "a", "a": "b"}\n', "strange.jsonl:1", "no format fits the columns 'q', 'a'", "messages"),
    (
        "both.jsonl",
        b'{"prompt": "a", "completion": "b", "text": "c"}\n',
        "both.jsonl:1",
        "fit prompt-completion and text",
        "format: ",
    ),
    (
        "role.jsonl",
        b'{"messages": [{"role": "robot", "content": "x"}]}\n',
        "role.jsonl:1",
        "the role 'robot'",
        "assistant",
    ),
    (
        "weight.jsonl",
        b'{"messages": [{"role": "user", "content": "x", "weight": 0}]}\n',
        "weight.jsonl:1",
        "'weight', which is not read",
        "",
    ),
    (
        "image.jsonl",
        b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}\n',
        "image.jsonl:1",
        "a part of type 'image_url'",
        "",
    ),
    ("null.jsonl", b'{"text": "a", "label": null}\n', "null.jsonl:1", "'label' must hold text, found null", ""),
    ("rights.jsonl", b'{"text": "a", "license": 3}\n', "rights.jsonl:1", "'license' must hold text, found int", ""),
]


@pytest.mark.parametrize(("name", "data", "where", "what", "hint"), CASES, ids=lambda v: str(v)[:24])
def test_message(name: str, data: bytes, where: str, what: str, hint: str, context: Context) -> None:
    (context.data_root / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_source(SourceSettings(path=name), split="train", context=context)
    assert caught.value.where == where
    assert what in caught.value.what
    assert hint in caught.value.hint


@pytest.mark.parametrize("pattern", ["gone.jsonl", "gone-*.jsonl"])
def test_missing_file(pattern: str, context: Context) -> None:
    with pytest.raises(
        DataError, match=r"no (such file|file matches)\nhint: paths are relative to the recipe"
    ) as caught:
        read_source(SourceSettings(path=pattern), split="train", context=context)
    assert caught.value.where == pattern


def test_folder(context: Context) -> None:
    (context.data_root / "rows").mkdir()
    with pytest.raises(DataError, match=r"rows: this is a folder\nhint: give the files in it, e.g. rows/\*.jsonl"):
        read_source(SourceSettings(path="rows"), split="train", context=context)


def test_wrong_column_names_the_nearest(context: Context) -> None:
    (context.data_root / "a.csv").write_text("text,categry\nhello,x\n")
    spec = SourceSettings(path="a.csv", columns={"text": "text", "label": "category"})
    with pytest.raises(DataError) as caught:
        read_source(spec, split="train", context=context)
    assert str(caught.value) == (
        "a.csv:2: there is no column 'category'; the row has 'text', 'categry'\n"
        "hint: did you mean 'categry'? then write `columns: {label: categry}`"
    )


def test_unknown_part_in_columns(context: Context) -> None:
    (context.data_root / "a.csv").write_text("text,category\nhello,x\n")
    with pytest.raises(DataError, match=r"the part 'lable', which no format has\nhint: did you mean 'label'?"):
        read_source(SourceSettings(path="a.csv", columns={"lable": "category"}), split="train", context=context)


def test_unknown_format_has_a_suggestion(context: Context) -> None:
    (context.data_root / "a.jsonl").write_bytes(GOOD)
    with pytest.raises(DataError, match=r"unknown format 'labeled-text'\nhint: did you mean 'labelled-text'?"):
        read_source(SourceSettings(path="a.jsonl", format="labeled-text"), split="train", context=context)


def test_mixed_formats_report_the_first_row_of_another_format(context: Context) -> None:
    (context.data_root / "a.jsonl").write_bytes(GOOD + b"\n" + GOOD + b'{"prompt": "a", "completion": "b"}\n')
    with pytest.raises(DataError) as caught:
        read_source(SourceSettings(path="a.jsonl"), split="train", context=context)
    assert caught.value.where == "a.jsonl:4"
    assert (
        caught.value.what == "mixed formats: this row is prompt-completion, the rows from line 1 on are labelled-text"
    )


def test_same_bytes_twice_in_one_split(context: Context) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (context.data_root / name).write_bytes(GOOD)
    specs = [SourceSettings(path="a.jsonl"), SourceSettings(path="b.jsonl")]
    with pytest.raises(DataError, match=r"b\.jsonl: the same bytes as a.jsonl"):
        read_sources(specs, split="train", context=context)


def test_link_out_of_the_data_root_is_followed(
    context: Context, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "rows.jsonl"
    outside.write_bytes(GOOD)
    (tmp_path / "link.jsonl").symlink_to(outside)
    rows, _ = read_source(SourceSettings(path="link.jsonl"), split="train", context=context)
    assert [row.file for row in rows] == ["link.jsonl"]


def test_a_line_of_50_mb_is_skipped_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "' + b"a" * 50_000_000 + b'"}\n' + GOOD, compresslevel=1, mtime=0))
    tracemalloc.start()
    found = list(scan_records(path, path.name))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [
        InvalidRow(1, "the line is longer than 10 MB", "one row belongs on one line; split it"),
        (2, GOOD_ROW),
    ]
    assert peak < 35_000_000


@pytest.mark.parametrize("name", ["bomb.jsonl.gz", "bomb.jsonl.zst"])
def test_the_expansion_limit_stops_a_decompression_bomb(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real ratio, from 20 MB on instead of 1 GB."""
    monkeypatch.setattr(stream, "EXPANSION_ALLOWANCE_BYTES", 20_000_000)
    data = (b"a" * 9_999_999 + b"\n") * 4
    packed = gzip.compress(data, mtime=0) if name.endswith("gz") else zstandard.compress(data)
    (tmp_path / name).write_bytes(packed)
    grown = len(data) / len(packed)
    if grown <= stream.MAX_EXPANSION_RATIO:
        pytest.fail(f"no bomb: grows {grown:.0f} times")
    with pytest.raises(DataError, match=f"{name}: the file decompresses to more than 1,000 times its size"):
        list(scan_records(tmp_path / name, name))


def test_rows_with_one_long_prompt_stay_below_the_expansion_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "EXPANSION_ALLOWANCE_BYTES", 1_000_000)
    rng = Random(7)
    prompt = "".join(rng.choice("abcdefgh ") for _ in range(50_000))
    data = b"".join(json.dumps({"text": f"{prompt} {rng.random()}"}).encode() + b"\n" for _ in range(200))
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(data))
    assert len(data) / path.stat().st_size > 150
    assert len(list(scan_records(path, path.name))) == 200


def test_links_devices_and_unreadable_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(name: str) -> str:
        with pytest.raises(DataError) as caught:
            refuse_missing(tmp_path / name, name)
        return caught.value.what

    (tmp_path / "a.jsonl").symlink_to(tmp_path / "b.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "gone.jsonl")
    os.mkfifo(tmp_path / "d.jsonl")
    assert said("a.jsonl") == "the file cannot be read: too many levels of symbolic links"
    assert said("c.jsonl") == "broken symbolic link"
    assert said("d.jsonl").startswith("not a file but a device or a pipe")
    assert said("gone.jsonl") == "no such file"
    assert said("d.jsonl/x") == "the file cannot be read: not a directory"
    assert said("x" * 300) == "the file cannot be read: file name too long"


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the error is injected."""
    (tmp_path / "a.jsonl").write_bytes(GOOD)

    def refused(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(DataError, match=r"a\.jsonl: the file cannot be read: permission denied"):
        list(scan_records(tmp_path / "a.jsonl", "a.jsonl"))
