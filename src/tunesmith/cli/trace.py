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
    row: Annotated[str | None, typer.Option("--row", help="A row id.", show_default=False)] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="A person, as named in the subject column.", show_default=False),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="The name or file name of a source.", show_default=False)
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="A text, for example the output of a model.", show_default=False)
    ] = None,
    store: options.StoreFolder = None,
    database: options.Database = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show which models and releases were trained on a row, a person's rows, a source or a text."""
    if sum(option is not None for option in (row, subject, source, text)) != 1:
        raise Misuse("expected exactly one thing to trace", hint="pass one of --row, --subject, --source, --text")
    found_store = _open_store(options.Locations(store, database), text, quiet=quiet)
    trace = _trace_rows(row, subject, source, found_store) if text is None else _trace_text(text, found_store)
    if json:
        output.write_data(trace.canonical())
    else:
        for line in trace_lines(trace):
            output.write_line(line)


def _open_store(locations: options.Locations, text: str | None, *, quiet: bool) -> "ReadableStore":
    """Open the store for reading. A text search first builds missing indexes."""
    from tunesmith.cli.store_access import existing_store, readable_store

    store = readable_store(locations, home=Path())
    if text is None:
        return store
    from tunesmith.lineage.text_ngrams import datasets_without_index

    if not datasets_without_index(store):
        return store
    from tunesmith.lineage.text_index import build_missing_indexes

    with output.progress(quiet=quiet) as progress:
        build_missing_indexes(existing_store(locations, home=Path()), progress)
    return store


def _trace_text(text: str, store: "ReadableStore") -> "Trace":
    from tunesmith.lineage.trace_text import trace_text

    return trace_text(text, store)


def _trace_rows(row: str | None, subject: str | None, source: str | None, store: "ReadableStore") -> "Trace":
    from tunesmith.lineage.trace import trace_row, trace_source, trace_subject

    if row is not None:
        return trace_row(row, store)
    return trace_source(source or "", store) if subject is None else trace_subject(subject, store)


def trace_lines(trace: "Trace") -> "Iterator[str]":
    """The answer as lines for a person."""
    yield f"{trace.question}: {output.count_noun(trace.found, 'row')}"
    if trace.rows:
        with_spans = any(row.spans for row in trace.rows)
        headers = ("row", "location", "longest match") if with_spans else ("row", "location")
        yield from format_columns(headers, [_row_cells(row, with_spans) for row in trace.rows])
    if trace.found > len(trace.rows) > 0:
        yield f"  and {trace.found - len(trace.rows):,} more"
    if trace.sightings:
        yield f"Training data of {output.count_noun(len({sighting.model for sighting in trace.sightings}), 'model')}"
        sighting_headers = ("certainty", "model", "releases", "rows", "training", "reason")
        yield from format_columns(sighting_headers, [_sighting_cells(sighting) for sighting in trace.sightings])
    else:
        yield "No recorded model was trained on it"
    if trace.spared:
        yield f"Not used by {output.count_noun(len(trace.spared), 'training run')} on these datasets, according to their records"
    for note in trace.notes:
        yield f"note: {note}"


def _row_cells(row: "TracedRow", with_spans: bool) -> tuple[str, ...]:
    cells = (row.row_id, f"{row.file}:{row.line}")
    if not with_spans:
        return cells
    best = max(row.spans, key=lambda span: span.words)
    return (*cells, f"{best.words} words, message {best.message}, characters {best.start} to {best.end}")


def _sighting_cells(sighting: "Sighting") -> tuple[str, ...]:
    releases = ", ".join(f"{release.name} {release.version}" for release in sighting.releases) or "-"
    started = f" {sighting.started[:10]}" if sighting.started else ""
    training = "-" if sighting.training is None else (sighting.recipe or "?") + started
    spans = "".join(f"; {_describe_tokens(span)}" for span in sighting.spans)
    return sighting.certainty, sighting.model[7:19], releases, f"{sighting.rows:,}", training, sighting.because + spans


def _describe_tokens(span: "TokenSpan") -> str:
    times = f"step {span.first_step}"
    if span.times > 1:
        times = f"{span.times} times in steps {span.first_step} to {span.last_step}"
    return f"tokens {span.first} to {span.first + span.tokens}, {span.supervised} trained, {times}"
