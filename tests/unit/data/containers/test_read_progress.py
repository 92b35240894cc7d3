"""Progress of reading a file of any kind, by its bytes on disk."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

from tunesmith.data.containers import FileProgress, ReadProgress, scan_records, stream

RNG = random.Random(3)
ROWS = [{"text": f"{RNG.random()} {n}"} for n in range(4000)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def write(path: Path) -> None:
    data = {"gz": gzip.compress, "zst": zstandard.compress}.get(path.suffix[1:], bytes)
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(ROWS), path)
    elif path.suffix == ".arrow":
        table = pa.Table.from_pylist(ROWS)
        make = pa.ipc.new_file if path.stem == "file" else pa.ipc.new_stream
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
    elif ".csv" in path.name:
        path.write_bytes(data(("text\n" + "\n".join(row["text"] for row in ROWS)).encode()))
    elif ".json" in path.suffixes:
        path.write_bytes(data(json.dumps(ROWS).encode()))
    else:
        path.write_bytes(data(LINES))


@pytest.mark.parametrize(
    "name",
    ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.zst", "a.json", "a.parquet", "file.arrow", "stream.arrow"],
)
def test_the_fraction_grows_with_the_rows_to_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With chunks of a tenth of the file or less, the fraction is at most two chunks ahead of the rows."""
    monkeypatch.setattr(stream, "CHUNK_BYTES", 4096)
    write(tmp_path / name)
    progress = FileProgress(name)
    fractions = [progress.fraction for _ in scan_records(tmp_path / name, name, progress)]
    assert fractions == sorted(fractions) and 0.97 < fractions[-1] <= 1.0
    # gzip and Zstandard read ahead: by 128 KB in this version of Python, which is the whole of a small file
    ahead = 1.0 if name.endswith((".gz", ".zst")) else 0.26
    assert all(-0.01 < share - (at + 1) / len(ROWS) < ahead for at, share in enumerate(fractions))


def test_compressed_bytes_count_for_compressed_files(tmp_path: Path) -> None:
    """A gzip file of two members, the first of which is an eighth of the bytes and nearly all of the rows."""
    easy, hard = (
        b'{"text": "a"}\n' * 200_000,
        "".join(json.dumps({"text": f"{RNG.getrandbits(4000):x}"}) + "\n" for _ in range(2000)).encode(),
    )
    packed = gzip.compress(easy), gzip.compress(hard)
    (tmp_path / "a.jsonl.gz").write_bytes(b"".join(packed))
    progress = FileProgress()
    fractions = [progress.fraction for _ in scan_records(tmp_path / "a.jsonl.gz", "a.jsonl.gz", progress)]
    first = len(packed[0]) / (len(packed[0]) + len(packed[1]))
    assert first < 0.05 and fractions[190_000] < 0.2 and fractions[-1] == pytest.approx(1.0)


def test_files_are_weighted_by_their_bytes() -> None:
    progress = ReadProgress([FileProgress("a", 300, 1.0, ["left out"]), FileProgress("b", 100, 0.5)])
    assert progress.fraction() == pytest.approx(350 / 400)
    assert progress.notes() == [("a", "left out")]


def test_with_a_limit_the_rows_read_count() -> None:
    progress = ReadProgress([FileProgress("a", 1000, 0.01)], rows=40, limit=100)
    assert progress.fraction() == 0.4
    progress.files[0].fraction = 0.7  # the file has less than the limit
    assert progress.fraction() == 0.7


@pytest.mark.parametrize(
    "progress",
    [
        ReadProgress(),
        ReadProgress([FileProgress("a", 0)]),
        ReadProgress([FileProgress("a", 9, 0.5)], total_unknown=True),
    ],
)
def test_the_fraction_is_none_where_the_total_is_unknown(progress: ReadProgress) -> None:
    assert progress.fraction() is None
