"""`tunesmith trace --row ID | --subject VALUE | --source NAME | --text "..."`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli import options, output
from tunesmith.cli.text_table import format_columns
from tunesmith.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunesmith.artifacts.lineage import Sighting, TokenSpan, Trace, TracedRow
    from tunesmith.store.read_only import ReadableStore


def command(
    *,
    row: Annotated[str | None, typer.Option("--row", help="A row, by its id.", show_default=False)] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="A person, by what the subject column holds.", show_default=False),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="A source, by its name or file name.", show_default=False)
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="A text, e.g. what a model has just said.", show_default=False)
    ] = None,
    store: options.StoreFolder = None,
    database: options.Database = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say which models and releases saw a row, a person's rows, a source or a text: certain or possible."""
    if sum(one is not None for one in (row, subject, source, text)) != 1:
        raise Misuse("nothing to trace, or too much", hint="give one of --row, --subject, --source and --text")
    found_store = _open_store(options.Locations(store, database), text, quiet=quiet)
    trace = _trace_rows(row, subject, source, found_store) if text is None else _trace_text(text, found_store)
    if json:
        output.write_data(trace.canonical())
    else:
        for line in trace_lines(trace):
            output.write_line(line)


def _open_store(places: options.Locations, text: str | None, *, quiet: bool) -> "ReadableStore":
    """The store, to look things up. For a text the indexes that are missing are made first."""
    from tunesmith.cli.store_access import existing_store, readable_store

    found = readable_store(places, home=Path())
    if text is None:
        return found
    from tunesmith.lineage.text_ngrams import datasets_without_index

    if not datasets_without_index(found):
        return found
    from tunesmith.lineage.text_index import build_missing_indexes

    with output.progress(quiet=quiet) as progress:
        build_missing_indexes(existing_store(places, home=Path()), progress)
    return found


def _trace_text(text: str, store: "ReadableStore") -> "Trace":
    from tunesmith.lineage.trace_text import trace_text

    return trace_text(text, store)


def _trace_rows(row: str | None, subject: str | None, source: str | None, store: "ReadableStore") -> "Trace":
    from tunesmith.lineage.trace import trace_row, trace_source, trace_subject

    if row is not None:
        return trace_row(row, store)
    return trace_source(source or "", store) if subject is None else trace_subject(subject, store)


def trace_lines(trace: "Trace") -> "Iterator[str]":
    """The answer for a person."""
    yield f"{trace.question}: {_count_noun(trace.found, 'row')}"
    if trace.rows:
        spoken = any(row.spans for row in trace.rows)
        headers = ("row", "place", "longest run") if spoken else ("row", "place")
        yield from format_columns(headers, [_row_cells(row, spoken) for row in trace.rows])
    if trace.found > len(trace.rows) > 0:
        yield f"  and {trace.found - len(trace.rows):,} more"
    if trace.sightings:
        yield f"seen by {_count_noun(len({one.model for one in trace.sightings}), 'model')}"
        shown_by = ("certainty", "model", "releases", "rows", "training", "because")
        yield from format_columns(shown_by, [_sighting_cells(one) for one in trace.sightings])
    else:
        yield "seen by no model that the ledger knows"
    if trace.spared:
        yield f"not trained on by {_count_noun(len(trace.spared), 'training')} on these data sets, as the records show"
    for note in trace.notes:
        yield f"note: {note}"


def _count_noun(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _row_cells(row: "TracedRow", spoken: bool) -> tuple[str, ...]:
    cells = (row.row_id, f"{row.file}:{row.line}")
    if not spoken:
        return cells
    best = max(row.spans, key=lambda span: span.words)
    return (*cells, f"{best.words} words, message {best.message}, characters {best.start} to {best.end}")


def _sighting_cells(one: "Sighting") -> tuple[str, ...]:
    releases = ", ".join(f"{release.name} {release.version}" for release in one.releases) or "-"
    training = "-" if one.training is None else (one.recipe or "?") + (f" {one.started[:10]}" if one.started else "")
    spans = "".join(f"; {_describe_tokens(span)}" for span in one.spans)
    return one.certainty, one.model[7:19], releases, f"{one.rows:,}", training, one.because + spans


def _describe_tokens(span: "TokenSpan") -> str:
    times = f"step {span.first_step}"
    if span.times > 1:
        times = f"{span.times} times in steps {span.first_step} to {span.last_step}"
    return f"tokens {span.first} to {span.first + span.tokens}, {span.supervised} trained, {times}"
