"""Tracing among a million rows: `python bench/lineage.py`.

Makes a store with generated rows (some 70 words each, drawn from 20,000 by Zipf's law) and a record that a training consumed nine
tenths of them, tells the ledger, builds the text index, then asks in processes of their own, as a person would:
`tunesmith trace` by row, by person, by source and by text, medians over repeats, with what Python and the imports take.
Beside them the same questions in this process, and looking ahead at an erasure. Ends with exit code 1 when a trace takes a second
of work or more, or misses a row; on a machine that others use the clock says more. `--keep FOLDER` keeps the store, and a later
call with it only asks. `--rows 20000 --repeats 1` only shows that it runs.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final

import numpy
import pyarrow as pa
from pyarrow import parquet

from tunesmith.artifacts import Dataset, ModelRef, Provenance, TrainReport, digest_of
from tunesmith.context import Context
from tunesmith.data.rows import ROW_SCHEMA, RowWriter
from tunesmith.data.sources import row_id
from tunesmith.data.subjects import SUBJECT_SALT, subject_pseudonym
from tunesmith.lineage.erase import preview_erasure
from tunesmith.lineage.erase_plan import EraseRequest
from tunesmith.lineage.record import record_dataset, record_training
from tunesmith.lineage.text_index import build_index
from tunesmith.lineage.trace import trace_row, trace_source, trace_subject
from tunesmith.lineage.trace_text import trace_text
from tunesmith.store import Store, open_store
from tunesmith.train.consumption import CONSUMPTION_SCHEMA as CONSUMPTION

LIMIT: Final = 1.0
"""Seconds of work that a trace may take, process and all."""
WORDS: Final = 70
PEOPLE: Final = 1_000
"""Rows of one person in so many."""
FILE: Final = "sha256:" + "f" * 64
BATCH: Final = 8192
MADE: Final = "made.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="lineage.py", description="tracing among many rows")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, help="where the store is made; a disk with 3 GB")
    parser.add_argument("--keep", type=Path, default=None, help="make the store here, keep it, and use it again")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with TemporaryDirectory(dir=options.folder) as folder:
        place = options.keep or Path(folder)
        store = open_store(place / ".tunesmith")
        if not (place / MADE).is_file():
            figures, dataset = make(store, options.rows)
            made = {"figures": figures, "dataset": dataset.model_dump(mode="json")}
            (place / MADE).write_text(json.dumps(made), encoding="utf-8")
        made = json.loads((place / MADE).read_text(encoding="utf-8"))
        figures = made["figures"] | measure(store, Dataset(**made["dataset"]), options.repeats)
        store.ledger.close()
    for name, value in figures.items():
        sys.stdout.write(f"{name:<44} {value:>12,.3f}\n")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    slow = {name: value for name, value in figures.items() if name.endswith("CPU s") and value >= LIMIT}
    return 1 if slow else 0


def make(store: Store, count: int) -> tuple[dict[str, float], Dataset]:
    """Seconds, megabytes and counts by name, in the order they were measured; and the data set."""
    figures: dict[str, float] = {"rows": float(count)}
    dataset = generated(store, count)
    report = trained(store, dataset, count)
    figures["memory before, MB"] = memory()
    timed(figures, "tell the ledger of the rows, s", lambda: record_dataset(dataset, store))
    timed(figures, "tell the ledger of the training, s", lambda: record_training(report, dataset, store, run_id="run"))
    figures["memory at most so far, MB"] = memory()
    timed(figures, "build the text index, s", lambda: build_index(dataset.container, store))
    figures["memory at most so far, with the index, MB"] = memory()
    figures["ledger, MB"] = megabytes(store.folder / "ledger.db")
    figures["text index, MB"] = megabytes(store.folder / "lineage")
    figures["rows in the store, MB"] = megabytes(store.objects.path(dataset.container))
    return figures, dataset


def measure(store: Store, dataset: Dataset, repeats: int) -> dict[str, float]:
    """Seconds of the questions by name."""
    figures: dict[str, float] = {}
    count = dataset.rows
    asked = row_id(store.ledger.salt("train"), FILE, count // 2)
    text = next(texts(count // 2 - 1, 1)).split()
    said = f"it said {' '.join(text[10:40])} and more"
    here: dict[str, tuple[tuple[str, str], Callable[[], Any]]] = {
        "row": (("--row", asked), lambda: trace_row(asked, store)),
        "subject": (("--subject", "person 7"), lambda: trace_subject("person 7", store)),
        "source": (("--source", "rows.jsonl"), lambda: trace_source("rows.jsonl", store)),
        "text": (("--text", said), lambda: trace_text(said, store)),
    }
    expected = {"row": 1, "subject": -(-(count - 7) // PEOPLE), "source": count, "text": 1}
    for name, (arguments, ask) in here.items():
        found = ask().found
        if found != expected[name]:
            raise SystemExit(f"{name}: {found} rows found, {expected[name]} expected")
        keep(figures, f"{name}, in this process, s", median(seconds(ask) for _ in range(repeats)))
        runs = [cold(store, arguments) for _ in range(repeats)]
        keep(figures, f"tunesmith trace --{name}, s", median(wall for wall, _ in runs))
        keep(figures, f"tunesmith trace --{name}, CPU s", median(work for _, work in runs))
    context = Context(store=store, data_root=store.folder, home=store.folder)
    timed(figures, "look ahead at erasing one row, s", lambda: preview_erasure(EraseRequest(rows=(asked,)), context))
    figures["memory at most while asking, MB"] = memory()
    return figures


def generated(store: Store, count: int) -> Dataset:
    """A data set with a person in every row."""
    salt, persons = store.ledger.salt("train"), store.ledger.salt(SUBJECT_SALT)
    marks = [subject_pseudonym(persons, f"person {number}") for number in range(PEOPLE)]
    rights = [f'{{"source":"rows.jsonl","subject":"{mark}"}}' for mark in marks]
    said = texts(0, count)
    store.folder.mkdir(parents=True, exist_ok=True)
    path = store.folder / "generated.parquet"
    with RowWriter(path) as writer:
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            columns = [
                [row_id(salt, FILE, number + 1) for number in numbers],
                ["rows.jsonl"] * len(numbers),
                [number + 1 for number in numbers],
                [example(next(said)) for _ in numbers],
                [rights[number % PEOPLE] for number in numbers],
            ]
            writer.write(
                pa.table([pa.array(c, type=t) for c, t in zip(columns, ROW_SCHEMA.types, strict=True)], ROW_SCHEMA)
            )
    made = writer.finish("train", store)
    path.unlink()
    return made


def texts(first: int, count: int) -> Iterator[str]:
    """Texts of made-up words; number n is the same however many are asked for."""
    syllables = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
    names = numpy.random.default_rng(1)
    words = numpy.array(
        ["".join(names.choice(syllables, 3)) + str(number % 7) for number in range(20_000)], dtype=object
    )
    chances = 1.0 / numpy.arange(1, len(words) + 1)
    total = numpy.cumsum(chances / chances.sum())
    for batch in range(first // BATCH, -(-(first + count) // BATCH)):
        drawn = numpy.searchsorted(total, numpy.random.default_rng([2, batch]).random((BATCH, WORDS)))
        for place in range(BATCH):
            if first <= batch * BATCH + place < first + count:
                yield " ".join(words[numpy.minimum(drawn[place], len(words) - 1)])


def example(text: str) -> str:
    """Half of the words are asked, half answered; ASCII letters alone, so that this is the canonical form."""
    middle = len(text) // 2
    turns = (("user", text[:middle]), ("assistant", text[middle:]))
    told = ",".join(f'{{"content":[{{"text":"{said}","type":"text"}}],"role":"{role}"}}' for role, said in turns)
    return f'{{"labels":null,"messages":[{told}],"text":null}}'


def trained(store: Store, dataset: Dataset, count: int) -> TrainReport:
    """A training that consumed nine rows of ten, 32 in a step."""
    ids = parquet.read_table(store.objects.path(dataset.container), columns=["row_id"]).column("row_id")
    taken = [number for number in range(count) if number % 10]
    columns = {
        "step": [place // 32 + 1 for place in range(len(taken))],
        "row_id": ids.take(pa.array(taken)),
        **{name: [value] * len(taken) for name, value in (("first_token", 0), ("tokens", 120), ("supervised", 60))},
    }
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns, schema=CONSUMPTION), sink, compression="zstd")
    model = ModelRef(name="m", tree=digest_of(b"m"), kind="model", base=digest_of(b"b"), parameters=1)
    return TrainReport(
        provenance=Provenance(stage="train", inputs={}, settings=FILE, code=FILE, versions={}, seed=0),
        model=model,
        base=ModelRef(name="b", tree=digest_of(b"b"), kind="base", parameters=1),
        method="full",
        objective="completion",
        steps=len(taken) // 32,
        epochs=0.9,
        rows=count,
        tokens=120 * len(taken),
        supervised_tokens=60 * len(taken),
        trainable_parameters=1,
        curve=(),
        consumption=store.objects.put(sink.getvalue().to_pybytes()),
        threads=1,
    )


def cold(store: Store, question: tuple[str, str]) -> tuple[float, float]:
    """The question in a new process: seconds by the clock, and of work."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), monotonic()
    command = [sys.executable, "-m", "tunesmith.cli", "trace", *question, "--store", str(store.folder), "--quiet"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    took, after = monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def timed(figures: dict[str, float], name: str, work: Callable[[], Any]) -> None:
    keep(figures, name, seconds(work))


def keep(figures: dict[str, float], name: str, value: float) -> None:
    figures[name] = value
    sys.stderr.write(f"{name} {value:.3f}\n")


def seconds(work: Callable[[], Any]) -> float:
    began = monotonic()
    work()
    return monotonic() - began


def memory() -> float:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files) / 1e6


if __name__ == "__main__":
    sys.exit(main())
