"""`tunesmith trace` and `tunesmith erase` on a run that ended in a release."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.store import Ledger

Call = Callable[..., Any]
Change = Callable[..., Path]
MADE: dict[str, Path] = {}
ANN = "Ann@Example.org"
LEAK = "the blue kettle of mine has not come to Elm Street although it was paid for in May"


def write_rows(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


@pytest.fixture
def released(call: Call, change: Change, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release trained on 10 rows. Ann's are the first two; the last is a near-duplicate of her first row.

    The audit removed an exact copy of her first row. Built once and copied.
    """
    if "desk" not in MADE:
        MADE["desk"] = tmp_path_factory.mktemp("made") / "desk"
        shutil.copytree(release(call, change), MADE["desk"])
    return Path(shutil.copytree(MADE["desk"], tmp_path / "copy"))


def release(call: Call, change: Change) -> Path:
    recipe = change(
        train={"method": "full", "rows_per_step": 5, "max_steps": 2},
        gate=[{"metric": "exact-match", "at_least": 0.0}],
        data={"train": [{"path": "rows.jsonl", "subject": "who"}], "test": [{"path": "held-out.jsonl"}]},
    )
    desk = recipe.parent
    rows = [json.loads(line) for line in (desk / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["who"] = f"{row['text'].split()[0]}@example.org"
    rows[0] |= {"who": ANN, "text": f"{LEAK}, says number 1"}
    rows[1]["who"] = ANN.lower()
    near = {"who": "bob@example.org", "label": "refund", "text": f"{LEAK}, says number 2"}
    write_rows(desk / "rows.jsonl", [*rows, {**rows[3], "text": "a clock and nothing else came here"}, near, rows[0]])
    call("init", "--key", desk / "release.pem")
    outcome = call("run", recipe, "--quiet")
    assert outcome.code == 0, outcome.err
    return desk


def traced(call: Call, desk: Path, *question: str) -> Any:
    outcome = call("trace", *question, "--store", desk / ".tunesmith", "--json", "--quiet")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def erased(call: Call, desk: Path, *wish: str) -> Any:
    key = ("--key", desk / "release.pem")
    outcome = call("erase", *wish, *key, "--store", desk / ".tunesmith", "--json", "--quiet")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def readable(data: bytes) -> bytes:
    """Uncompressed content of a stored file."""
    if data.startswith(b"PAR1"):
        return json.dumps(parquet.read_table(pa.BufferReader(data)).to_pylist(), default=str).encode()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def salt_of(store: Path) -> bytes:
    ledger = Ledger(f"sqlite:///{store / 'ledger.db'}")
    try:
        return ledger.salt("train")
    finally:
        ledger.close()


def test_trace_by_row_person_source_and_text(call: Call, released: Path) -> None:
    by_person = traced(call, released, "--subject", ANN)
    assert [(row["file"], row["line"]) for row in by_person["rows"]] == [("rows.jsonl", 1), ("rows.jsonl", 2)]
    assert ANN.lower() not in json.dumps(by_person).lower()
    row = by_person["rows"][0]["row_id"]
    by_row, by_source = traced(call, released, "--row", row), traced(call, released, "--source", "rows.jsonl")
    by_text = traced(call, released, "--text", f"It said: {LEAK}")
    assert (by_row["found"], by_source["found"]) == (1, 10)
    assert {one["line"] for one in by_text["rows"]} == {1, 10}
    for trace in (by_person, by_row, by_source):
        [one] = trace["sightings"]
        assert (one["certainty"], one["recipe"]) == ("certain", "tiny")
        assert one["releases"] == [{"name": "tiny", "version": 1}]
    assert {one["certainty"] for one in by_text["sightings"]} == {"possible"}
    whole = traced(call, released, "--text", LEAK)
    assert {one["certainty"] for one in whole["sightings"]} == {"certain"}
    [span] = by_row["sightings"][0]["spans"]
    assert span["first"] == 0 and 0 < span["supervised"] < span["tokens"]


def test_trace_prints_lines(call: Call, released: Path) -> None:
    outcome = call("trace", "--subject", ANN, "--store", released / ".tunesmith")
    assert "the rows of a person: 2 rows" in outcome.out
    assert re.search(r"certain +[0-9a-f]{12} +tiny 1 +2 +tiny 20", outcome.out)


def test_an_erase_preview_changes_nothing_and_lists_everything(call: Call, released: Path) -> None:
    traced(call, released, "--subject", ANN)
    before = everything(released / ".tunesmith" / "objects")
    dry = erased(call, released, "--subject", ANN)
    assert everything(released / ".tunesmith" / "objects") == before
    assert [(row["line"], row["like"] is not None) for row in dry["rows"]] == [(1, False), (2, False), (10, True)]
    assert (dry["dry_run"], dry["envelope"]) == (True, None)
    assert dry["record"]["releases"][0]["certainty"] == "certain"
    assert dry["record"]["retraining"][0]["seconds"] > 0
    assert not (released / ".tunesmith" / "erasures").exists()
    output = call("erase", "--subject", ANN, "--store", released / ".tunesmith")
    assert "Would be erased: 2 rows and 1 near-duplicate\n" in output.out
    assert "Nothing was changed. Add --yes to erase." in output.out


def test_erased_text_is_nowhere_in_the_store(call: Call, released: Path) -> None:
    store = released / ".tunesmith"
    other = traced(call, released, "--source", "rows.jsonl")
    held = {name for name, data in everything(store).items() if b"elm street" in readable(data).lower()}
    assert len(held) == 5  # data set, both reports, quarantine, and its copy beside the page
    salt = salt_of(store)
    done = erased(call, released, "--subject", ANN, "--yes")
    assert (done["record"]["rows"], done["record"]["near_duplicates"]) == (2, 1)
    assert traced(call, released, "--subject", ANN)["found"] == 0
    assert traced(call, released, "--text", LEAK)["found"] == 0
    after = traced(call, released, "--source", "rows.jsonl")
    assert (other["found"], after["found"]) == (10, 14)  # 7 rows of the data set that is gone, and of the new one
    assert salt not in (store / "ledger.db").read_bytes() != salt_of(store)
    assert [one["certainty"] for one in after["sightings"]] == ["certain"]
    for path, data in everything(store).items():
        for words in (b"kettle of mine", b"elm street", ANN.lower().encode()):
            assert words not in readable(data).lower(), path
    record = store / "erasures" / done["record"]["erasure"]
    for data in everything(record).values():
        assert not re.search(rb"rows\.jsonl|[Aa]nn@|kettle", data)
    for row in done["rows"]:
        assert row["row_id"].encode() not in b"".join(everything(record).values())


def test_the_record_is_checked_without_the_store(call: Call, released: Path, tmp_path: Path) -> None:
    done = erased(call, released, "--subject", ANN, "--yes")
    apart = tmp_path / "apart"
    (released / ".tunesmith" / "erasures" / done["record"]["erasure"]).rename(apart)
    public = ("--key", released / "release.pub")
    good = call("erase", "--verify", apart, *public)
    assert good.code == 0 and "2 rows and 1 near-duplicate erased" in good.out, good.err
    assert json.loads(call("erase", "--verify", apart, *public, "--json").out) == done["record"]
    (apart / "inclusion.json").write_bytes((apart / "inclusion.json").read_bytes().replace(b'"index":1', b'"index":0'))
    assert call("erase", "--verify", apart, *public).code == 4
    other = tmp_path / "other.pem"
    call("init", "--key", other)
    assert call("erase", "--verify", apart, "--key", other.with_suffix(".pub")).code == 4


def test_a_release_still_verifies_after_an_erasure(call: Call, released: Path) -> None:
    erased(call, released, "--subject", ANN, "--yes")
    folder, public = released / "releases" / "tiny" / "1", released / "release.pub"
    assert call("verify", folder, "--key", public).code == 0
    output = call("show", released / "recipe.yaml")
    assert output.code == 0, output.err
    audit = json.loads(call("show", released / "recipe.yaml", "--stage", "audit", "--json").out)
    assert (audit["train"]["rows"], audit["rows_read"]) == (7, 19)
    training = json.loads(call("show", released / "recipe.yaml", "--stage", "train", "--json").out)
    assert training["mask_sample"] == ["[erased]"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trace",), "expected exactly one thing to trace"),
        (("trace", "--row", "x", "--source", "y"), "expected exactly one thing to trace"),
        (("trace", "--row", "zz"), "is not a row id"),
        (("trace", "--row", "0" * 16), "no such row"),
        (("trace", "--source", "rows.json"), "did you mean 'rows.jsonl'?"),
        (("trace", "--subject", " "), "the subject is empty"),
        (("trace", "--text", "..."), "the text has no words"),
        (("erase",), "nothing to erase"),
        (("erase", "--subject", ANN, "--reason", f"{ANN} asked"), "the reason names a person"),
        (("erase", "--subject", ANN, "--threshold", "2"), "2.0 is no similarity"),
        (("erase", "--subject", ANN, "--yes", "--key", "no.pem"), "signing key not found"),
        (("erase", "--verify", "nowhere"), "key file not found"),
    ],
)
def test_misuse_is_told(call: Call, released: Path, arguments: tuple[str, ...], message: str) -> None:
    outcome = call(*arguments, *(("--store", released / ".tunesmith") if "--verify" not in arguments else ()))
    assert outcome.code == 2, outcome.out
    assert message in " ".join(outcome.err.split())


def test_there_must_be_a_store(call: Call, tmp_path: Path) -> None:
    assert call("trace", "--subject", ANN, "--store", tmp_path / "none").code == 2
