"""`tunesmith erase --subject VALUE [--row ID] [--yes]`, and `tunesmith erase --verify FOLDER --key PUB`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli import options, output
from tunesmith.cli.text_table import format_columns
from tunesmith.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunesmith.artifacts.lineage import ErasedRow, ErasureRecord, ErasureResult, Retraining
    from tunesmith.context import Context
    from tunesmith.lineage.erase_plan import EraseRequest
    from tunesmith.ports import Progress

DEFAULT_REASON = "request of the data subject"
LOGS_FOLDER = Path("releases") / ".log"
"""Folder of the transparency logs, one per key, relative to the project folder."""


def command(
    *,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="The person, as named in the subject column.", show_default=False),
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option("--row", help="A row id. Repeat for several rows.", show_default=False)
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Erase. Without this option, only show what would be erased.")
    ] = False,
    keep_near_duplicates: Annotated[
        bool, typer.Option("--keep-near-duplicates", help="List near-duplicates but do not erase them.")
    ] = False,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Minimum Jaccard similarity of word trigrams for a near-duplicate.")
    ] = 0.7,
    keep_out: Annotated[
        bool, typer.Option("--keep-out", help="Store a keyed hash of the person, so that later rows are recognised.")
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Reason, stored in the record. Do not name the person.")
    ] = DEFAULT_REASON,
    key: Annotated[
        Path, typer.Option("--key", help="Private key that signs the record, or with --verify the public key.")
    ] = Path("release.pem"),
    verify: Annotated[
        Path | None,
        typer.Option(
            "--verify",
            help="Verify the signed erasure record in this folder instead.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    store: options.StoreFolder = None,
    database: options.Database = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show which rows of a person would be erased and which models saw them. With --yes, erase them and sign a record."""
    if verify is not None:
        if subject is not None or row or yes:
            raise Misuse("--verify allows no --subject, --row or --yes", hint="pass only --verify FOLDER and --key")
        _verify_record(verify, key, json=json)
        return
    from tunesmith.lineage.erase_plan import EraseRequest, check_request

    request = EraseRequest(subject, tuple(row or ()), not keep_near_duplicates, threshold, reason, keep_out)
    check_request(request)
    with output.progress(quiet=quiet) as progress:
        context = _open_context(options.Locations(store, database), progress)
        result = _run_erasure(request, context, key) if yes else _preview_erasure(request, context)
    if json:
        output.write_data(result.canonical())
        return
    for line in result_lines(result):
        output.write_line(line)


def _open_context(locations: options.Locations, progress: "Progress") -> "Context":
    """Context whose home is the folder that holds the store, since the releases and their logs are there too."""
    from tunesmith.cli.store_access import existing_store, store_folder
    from tunesmith.context import Context

    store = existing_store(locations, home=Path())
    home = store_folder(locations.store, home=Path()).resolve().parent
    return Context(store=store, data_root=home, home=home, progress=progress)


def _preview_erasure(request: "EraseRequest", context: "Context") -> "ErasureResult":
    from tunesmith.lineage.erase import preview_erasure

    return preview_erasure(request, context)


def _run_erasure(request: "EraseRequest", context: "Context", key: Path) -> "ErasureResult":
    """Finish an interrupted erasure first, and only that: it may already cover the rows of this request."""
    from tunesmith.lineage.erase import RecordSigner, erase_rows, finish_erasure
    from tunesmith.trust import key_id, load_signer

    if not key.is_file():
        raise Misuse("signing key not found", where=str(key), hint=f"create one with `tunesmith init --key {key}`")
    signer = load_signer(key)
    record_signer = RecordSigner(signer, context.home / LOGS_FOLDER / key_id(signer.public_pem())[:16])
    with context.store.lock("erase"):
        earlier = finish_erasure(context, record_signer)
        if earlier is None:
            return erase_rows(request, context, record_signer)
    context.progress.say("Finished an interrupted erasure. If your request covers other rows, run the command again.")
    return earlier


def _verify_record(folder: Path, key: Path, *, json: bool) -> None:
    from tunesmith.lineage.proof import verify_record
    from tunesmith.trust import key_id, load_public_pem

    public = load_public_pem(key)
    record = verify_record(folder, public)
    if json:
        output.write_data(record.canonical())
        return
    output.write_line(f"Verified: erasure {record.erasure} of {record.date}, signed by key {key_id(public)[:16]}")
    output.write_line(f"  reason: {record.reason}")
    output.write_line(f"  {_row_counts(record)} erased, {len(record.tombstones):,} objects deleted")
    output.write_line("  recorded in the signed log")


def _row_counts(record: "ErasureRecord") -> str:
    near = f" and {output.count_noun(record.near_duplicates, 'near-duplicate')}" if record.near_duplicates else ""
    return f"{output.count_noun(record.rows, 'row')}{near}"


def result_lines(result: "ErasureResult") -> "Iterator[str]":
    """The result as lines for a person."""
    record = result.record
    verb = "Would be erased" if result.dry_run else "Erased"
    if not result.dry_run and result.envelope is None:
        yield f"Nothing was erased: {'; '.join(result.notes)}"
        return
    yield f"{verb}: {_row_counts(record)}"
    yield from _row_table(result.rows)
    if result.near:
        yield f"Near-duplicates kept: {len(result.near):,}"
        yield from _row_table(result.near)
    yield from _affected_model_lines(record)
    if result.envelope is not None:
        yield from _record_lines(result)
    if result.dry_run and record.rows:
        yield "Nothing was changed. Add --yes to erase."
    for note in result.notes:
        yield f"note: {note}"


def _row_table(rows: "tuple[ErasedRow, ...]") -> "Iterator[str]":
    if rows:
        cells = [
            (
                f"{row.file}:{row.line}",
                row.row_id,
                "" if row.similarity is None else f"{row.similarity:.2f} to {row.like}",
            )
            for row in rows
        ]
        yield from format_columns(("location", "row", "similarity"), cells)


def _affected_model_lines(record: "ErasureRecord") -> "Iterator[str]":
    if not record.models:
        yield "No recorded model was trained on them"
        return
    yield f"Models trained on them: {', '.join(model[7:19] for model in record.models)}"
    if record.releases:
        cells = [
            (f"{release.name} {release.version}", release.certainty, release.model[7:19]) for release in record.releases
        ]
        yield "Releases trained on them:"
        yield from format_columns(("release", "certainty", "model"), cells)
    if record.retraining:
        yield "Retraining without them:"
        headers = ("recipe", "model", "certainty", "steps", "tokens", "seconds", "stages")
        yield from format_columns(headers, [_retraining_cells(retraining) for retraining in record.retraining])


def _retraining_cells(retraining: "Retraining") -> tuple[str, ...]:
    seconds = "?" if retraining.seconds is None else f"{retraining.seconds:,.0f}"
    figures = (f"{retraining.steps:,}", f"{retraining.tokens:,}", seconds)
    return (
        retraining.recipe or "?",
        retraining.model[7:19],
        retraining.certainty,
        *figures,
        ", ".join(retraining.stages),
    )


def _record_lines(result: "ErasureResult") -> "Iterator[str]":
    record = result.record
    yield f"Datasets replaced: {sum(dataset.new is not None for dataset in record.datasets):,}"
    yield f"Objects deleted, each with a tombstone: {len(record.tombstones):,}"
    yield f"Salts replaced: {', '.join(record.salts_replaced) or 'none'}"
    yield f"Signed record: erasures/{record.erasure}/ in the store, log entry {result.log_index}"
