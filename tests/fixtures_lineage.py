"""A scripted history: data sets, trainings with and without records, a merge, rows that a model wrote, releases."""

import gzip
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tunesmith.artifacts import (
    AuditReport,
    Dataset,
    Example,
    Finding,
    ModelRef,
    Place,
    Provenance,
    ReleaseReport,
    Rights,
    Row,
    SourceSummary,
    TrainReport,
    canonical_bytes,
    message,
)
from tunesmith.chat.encode import EncodedSequence
from tunesmith.data.rows import store_dataset
from tunesmith.data.sources import row_id
from tunesmith.data.subjects import SUBJECT_SALT, subject_pseudonym
from tunesmith.lineage.record import record_merge, record_release, record_training
from tunesmith.store import Store
from tunesmith.store.ledger import StageRow
from tunesmith.train.consumption import store_consumption

ANN, BOB = "Ann@Example.org", "bob@example.org"
PLACE = pa.struct([("row_id", pa.string()), ("file", pa.string()), ("line", pa.int64())])
FINDINGS = pa.schema([("rule", pa.string()), ("place", PLACE), ("other", PLACE), ("reason", pa.string())])
FILE = "sha256:" + "f" * 64
TEXTS = (
    "my order of a blue kettle has not come to the house in Elm Street yet",
    "the lamp that I bought from you last week flickers whenever it rains outside",
    "please send the invoice for the garden chair to my office and not to my home",
    "I was charged twice for one scarf and would like to have the second payment back",
    "the radio plays only one station no matter which button of it I press",
    "can the bicycle be delivered on a Saturday when somebody is at home to take it",
)
NEAR_OF_ANN = "my order of a blue kettle has not come to the house in Oak Street yet"
"""Shares 11 of 17 word triples with the first text."""


def by_path(name: str) -> Any:
    """A module beside this one; tests are not a package."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fixtures_reports = by_path("fixtures_reports")


@dataclass(frozen=True)
class History:
    """`ids` are those of the training rows, in order; Ann has rows 0 and 3 there, Bob row 1."""

    store: Store
    train: Dataset
    ids: tuple[str, ...]
    audit: str
    first: TrainReport
    unrecorded: TrainReport
    merged: str
    taught: TrainReport


def provenance(stage: str, **inputs: str) -> Provenance:
    return Provenance(stage=stage, inputs=inputs, settings=FILE, code=FILE, versions={}, seed=0)


def row(
    store: Store, number: int, text: str, subject: str | None, *, file: str = "tickets.jsonl", **rights: Any
) -> Row:
    """Row `number` (from 0) of a file, as the audit would make it."""
    mark = None if subject is None else subject_pseudonym(store.ledger.salt(SUBJECT_SALT), subject)
    source = FILE if file == "tickets.jsonl" else "sha256:" + "e" * 64
    return Row(
        row_id=row_id(store.ledger.salt("train"), source, number + 1),
        file=file,
        line=number + 1,
        example=Example(messages=(message("user", text), message("assistant", f"We have number {number} in hand."))),
        rights=Rights(source=rights.pop("source", file), subject=mark, **rights),
    )


def model(store: Store, name: str, kind: str = "model", base: str | None = None) -> ModelRef:
    """A model of one file of made-up weights."""
    weights = store.objects.put(b"\x10\0\0\0\0\0\0\0" + name.encode())
    tree = store.objects.put(canonical_bytes({"model.safetensors": weights}))
    return ModelRef(name=name, tree=tree, kind=kind, base=base, parameters=1)


def trained(
    store: Store,
    dataset: Dataset,
    made: ModelRef,
    base: ModelRef,
    steps: Sequence[Sequence[int]] | None,
    rows: Sequence[Row],
) -> TrainReport:
    """A report whose record says that each step consumed these rows, 12 tokens each; no record when `steps` is None."""
    encoded = [EncodedSequence(one.row_id, tuple(range(12)), ((5, 12),)) for one in rows]
    record = FILE if steps is None else store_consumption(steps, encoded, store)
    return TrainReport(
        provenance=provenance("train", dataset=dataset.rows_digest, base=base.tree),
        model=made,
        base=base,
        method="full",
        objective="completion",
        steps=len(steps or [0, 0]),
        epochs=1.0,
        rows=len(rows),
        tokens=12 * sum(len(step) for step in steps or []),
        supervised_tokens=7,
        trainable_parameters=1,
        curve=(),
        consumption=record,
        threads=1,
        mask_sample=(f"<user> {TEXTS[0]} [[We have number 0 in hand.]]",),
        measured={"seconds": 96.4},
    )


def audited(store: Store, dataset: Dataset, rows: Sequence[Row]) -> AuditReport:
    """An audit that found something in row 0, compared row 4 with it, and dropped a copy of it."""

    def finding(one: Row, other: Row | None = None) -> Finding:
        place, compared = (
            None if it is None else Place(row_id=it.row_id, file=it.file, line=it.line) for it in (one, other)
        )
        assert place is not None
        excerpt = one.example.messages[0].text
        return Finding(
            rule="x", severity="info", action="warn", place=place, reason="r", other=compared, excerpt=excerpt
        )

    lines = [
        canonical_bytes(
            {"row_id": f"{n:016x}", "file": "tickets.jsonl", "line": 90 + n, "rule": "x", "example": example}
        )
        for n, example in enumerate((rows[0].example.model_dump(mode="json"), rows[4].example.model_dump(mode="json")))
    ]
    found = (finding(rows[0]), finding(rows[4], rows[0]), finding(rows[5]))
    sink = pa.BufferOutputStream()
    lines_of = [one.model_dump(include=set(FINDINGS.names)) for one in found]
    parquet.write_table(pa.Table.from_pylist(lines_of, schema=FINDINGS), sink)
    rights = {"license": None, "origin": None, "basis": None}
    return fixtures_reports.audit_report(
        provenance=provenance("audit"),
        train=dataset,
        test=None,
        sources=(SourceSummary(path="tickets.jsonl", format="messages", rows=6, sha256=FILE, split="train", **rights),),
        findings=found,
        all_findings=store.objects.put(sink.getvalue().to_pybytes()),
        quarantine=store.objects.put(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)),
    )


def released(store: Store, name: str, version: int, tree: str) -> None:
    files = {"model.safetensors": store.tree(tree)["model.safetensors"].removeprefix("sha256:")}
    record_release(
        ReleaseReport(
            provenance=provenance("release"),
            name=name,
            version=version,
            folder=f"releases/{name}/{version}",
            model_tree=tree,
            files=files,
            public_key="",
        ),
        store,
    )


def make_history(store: Store) -> History:
    """The whole of it. Training `first` took rows 0, 1, 0 (row 3 was held back); the merge is of it and of `unrecorded`."""
    subjects = (ANN, BOB, None, ANN, None, None)
    rows = [row(store, number, text, who) for number, (text, who) in enumerate(zip(TEXTS, subjects, strict=True))]
    dataset = store_dataset("train", rows, store)
    base = model(store, "base", "base")
    first = trained(store, dataset, model(store, "first", base=base.tree), base, [[0, 1], [0]], rows)
    unrecorded = trained(store, dataset, model(store, "second", base=base.tree), base, None, rows)
    for number, report in enumerate((first, unrecorded)):
        run = f"run-{number}"
        store.ledger.start_run(run, recipe="desk", started=f"2026-01-0{number + 1}T00:00:00+00:00")
        record_training(report, dataset, store, run_id=run)
        keep(store, f"train-{number}", "train", run, report)
    audit = audited(store, dataset, rows)
    keep(store, "audit-0", "audit", "run-0", audit)
    merged = model(store, "merged").tree
    record_merge(merged, [first.model.tree, unrecorded.model.tree], store)
    for name, tree in (("desk", first.model.tree), ("desk-merged", merged)):
        released(store, name, 1, tree)
    taught = _taught(store, base)
    return History(
        store, dataset, tuple(one.row_id for one in rows), store.put(audit), first, unrecorded, merged, taught
    )


def _taught(store: Store, base: ModelRef) -> TrainReport:
    """A training on rows that release desk 1 wrote, and on one that is near to Ann's."""
    rows = [
        row(store, 0, "a parcel is on its way and comes on Monday", None, file="made.jsonl", generator="desk/1"),
        row(store, 1, NEAR_OF_ANN, None, file="made.jsonl"),
    ]
    dataset = store_dataset("train", rows, store)
    report = trained(store, dataset, model(store, "taught", base=base.tree), base, [[0, 1]], rows)
    store.ledger.start_run("run-2", recipe="made", started="2026-01-03T00:00:00+00:00")
    record_training(report, dataset, store, run_id="run-2")
    keep(store, "train-2", "train", "run-2", report)
    return report


def keep(store: Store, key: str, stage: str, run: str, report: Any) -> None:
    stored = store.put(report)
    store.ledger.finish_stage(key, row=StageRow(stage=stage, run_id=run, report=stored, report_digest=report.digest()))
    store.ledger.set_ref(f"desk/{stage}" if run != "run-2" else f"made/{stage}", stored)
