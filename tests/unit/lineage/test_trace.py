"""Traces over the scripted history; every expected answer is written by hand."""

from typing import Any

import pytest

from tunesmith.context import SilentProgress
from tunesmith.data.rows import store_dataset
from tunesmith.errors import Misuse
from tunesmith.lineage.record import record_dataset, record_training
from tunesmith.lineage.text_index import build_missing_indexes
from tunesmith.lineage.trace import trace_row, trace_source, trace_subject
from tunesmith.lineage.trace_text import trace_text
from tunesmith.store.lineage import Training


def told(trace: Any, history: Any) -> dict[str, tuple[str, int, tuple[str, ...]]]:
    """Per model: certainty, rows, releases."""
    names = {
        history.first.model.tree: "first",
        history.unrecorded.model.tree: "unrecorded",
        history.merged: "merged",
        history.taught.model.tree: "taught",
    }
    return {
        names.get(one.model, one.model): (one.certainty, one.rows, tuple(release.name for release in one.releases))
        for one in trace.sightings
    }


EVERYWHERE = {
    "first": ("certain", 1, ("desk",)),
    "unrecorded": ("possible", 1, ()),
    "merged": ("possible", 1, ("desk-merged",)),
    "taught": ("possible", 1, ()),
}


def test_a_row_that_was_trained_on_is_certain_through_record_and_release(history: Any) -> None:
    trace = trace_row(history.ids[0], history.store)
    assert told(trace, history) == EVERYWHERE
    spans = [(span.first, span.tokens, span.supervised, span.times) for span in trace.sightings[0].spans]
    steps = [(span.first_step, span.last_step) for span in trace.sightings[0].spans]
    assert (spans, steps, trace.spared) == ([(0, 12, 7, 2)], [(1, 2)], ())
    assert [(row.row_id, row.file, row.line) for row in trace.rows] == [(history.ids[0], "tickets.jsonl", 1)]
    assert trace.rows[0].datasets == (history.train.container,)


def test_a_validation_row_is_spared_by_its_training(history: Any) -> None:
    trace = trace_row(history.ids[3], history.store)
    assert told(trace, history) == {key: EVERYWHERE[key] for key in ("unrecorded", "merged")}
    assert trace.spared == (history.first.digest(),)


def test_a_subject_is_found_whatever_the_case(history: Any, scripted: Any) -> None:
    trace = trace_subject(f"  {scripted.ANN.upper()} ", history.store)
    assert (trace.found, [row.line for row in trace.rows]) == (2, [1, 4])
    assert told(trace, history) == {**EVERYWHERE, "unrecorded": ("possible", 2, ())}
    assert trace_subject("nobody@example.org", history.store).found == 0


def test_a_source_counts_what_was_consumed_of_it(history: Any) -> None:
    trace = trace_source("tickets.jsonl", history.store)
    assert trace.found == 6
    assert told(trace, history)["first"] == ("certain", 2, ("desk",))
    assert told(trace, history)["unrecorded"] == ("possible", 6, ())
    with pytest.raises(Misuse, match=r"no row comes from a source called 'ticket\.jsonl'") as error:
        trace_source("ticket.jsonl", history.store)
    assert error.value.hint == "did you mean 'tickets.jsonl'?"


def test_a_text_is_certain_when_a_row_has_all_of_it(history: Any, scripted: Any) -> None:
    with pytest.raises(Misuse, match="no text index"):
        trace_text(scripted.TEXTS[0], history.store)
    build_missing_indexes(history.store, SilentProgress())
    whole = trace_text(scripted.TEXTS[0].upper() + "!", history.store)
    assert told(whole, history)["first"] == ("certain", 1, ("desk",))
    part = trace_text(f"Sorry, {scripted.TEXTS[0]}", history.store)
    assert {certainty for certainty, _, _ in told(part, history).values()} == {"possible"}
    assert [(row.file, row.line) for row in part.rows] == [("tickets.jsonl", 1), ("made.jsonl", 2)]
    [span] = part.rows[0].spans
    assert (scripted.TEXTS[0][span.start : span.end], span.words) == (scripted.TEXTS[0], 16)
    nothing = trace_text("a penguin walks over the ice of the far south", history.store)
    assert (nothing.found, nothing.sightings) == (0, ())


def test_further_training_and_adapters_keep_the_certainty(history: Any, scripted: Any) -> None:
    lineage = history.store.ledger.lineage
    number = record_dataset(
        store_dataset("train", [scripted.row(history.store, 9, "x y", None)], history.store), history.store
    )
    for letter, base, how in (("a", history.first.model.tree, "base"), ("b", "sha256:" + "a" * 64, "adapter")):
        training = Training(f"sha256:{letter}", "run-0", "sha256:" + letter * 64, base, how, 1, 1, None)
        lineage.record_training(training, dataset=number, consumed=None, origins={})
    found = told(trace_row(history.ids[0], history.store), history)
    assert found["sha256:" + "a" * 64][0] == found["sha256:" + "b" * 64][0] == "certain"


def test_equal_rows_with_other_ids_are_traced_too(history: Any, scripted: Any) -> None:
    """A moved file gives its rows other ids; a finished training is not repeated for that."""
    rows = [
        scripted.row(history.store, number, text, None, file="moved.jsonl")
        for number, text in enumerate(scripted.TEXTS)
    ]
    moved = store_dataset("train", rows, history.store)
    assert (moved.rows_digest, moved.container == history.train.container) == (history.train.rows_digest, False)
    record_training(history.first, moved, history.store, run_id="run-9")
    record_dataset(moved, history.store)
    assert told(trace_row(rows[0].row_id, history.store), history)["first"][0] == "certain"
    assert told(trace_source("moved.jsonl", history.store), history)["first"] == ("possible", 6, ("desk",))


def test_a_record_with_other_ids_gives_no_certainty(history: Any, scripted: Any) -> None:
    rows = [
        scripted.row(history.store, number, text, None, file="moved.jsonl")
        for number, text in enumerate(scripted.TEXTS)
    ]
    moved = store_dataset("train", rows, history.store)
    other = history.first.model_copy(update={"rows": 5})
    record_training(other, moved, history.store, run_id="run-9")
    [training] = [one for one in history.store.ledger.lookups.trainings() if one.run_id == "run-9"]
    assert not training.recorded


@pytest.mark.parametrize("row_id", ["", "xyz", "0" * 15, "0" * 17, "G" * 16])
def test_an_invalid_row_id_is_an_error(history: Any, row_id: str) -> None:
    with pytest.raises(Misuse, match="is not a row id"):
        trace_row(row_id, history.store)
