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
"""Where the logs of the keys lie beside the releases."""


def command(
    *,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="The person, by what the subject column holds.", show_default=False),
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option("--row", help="A row, by its id; may be given again.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Erase. Without it, what would go is shown, and stays.")] = False,
    keep_near_duplicates: Annotated[
        bool, typer.Option("--keep-near-duplicates", help="Leave near-duplicates where they are; they are listed.")
    ] = False,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Shared word triples (Jaccard) of a near-duplicate.")
    ] = 0.7,
    keep_out: Annotated[
        bool, typer.Option("--keep-out", help="Keep a keyed mark of the person, so that later rows are known.")
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; it stays in the record, so it names nobody.")
    ] = DEFAULT_REASON,
    key: Annotated[
        Path, typer.Option("--key", help="Private key that signs the record; with --verify, the public key.")
    ] = Path("release.pem"),
    verify: Annotated[
        Path | None,
        typer.Option(
            "--verify", help="Check a signed record instead: its folder.", metavar="FOLDER", show_default=False
        ),
    ] = None,
    store: options.StoreFolder = None,
    database: options.Database = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show which rows of a person would go and who saw them; with --yes erase them and sign a record of it."""
    if verify is not None:
        if subject is not None or row or yes:
            raise Misuse("--verify stands alone", where="--verify", hint="give it the folder of a record, and --key")
        _verify_record(verify, key, json=json)
        return
    from tunesmith.lineage.erase_plan import EraseRequest, check_request

    request = EraseRequest(subject, tuple(row or ()), not keep_near_duplicates, threshold, reason, keep_out)
    check_request(request)
    with output.progress(quiet=quiet) as progress:
        context = _open_context(options.Locations(store, database), progress)
        outcome = _run_erasure(request, context, key) if yes else _preview_erasure(request, context)
    if json:
        output.write_data(outcome.canonical())
        return
    for line in outcome_lines(outcome):
        output.write_line(line)


def _open_context(places: options.Locations, progress: "Progress") -> "Context":
    """The store's own folder is home: beside it lie the releases with their logs."""
    from tunesmith.cli.store_access import existing_store, store_folder
    from tunesmith.context import Context

    found = existing_store(places, home=Path())
    home = store_folder(places.store, home=Path()).resolve().parent
    return Context(store=found, data_root=home, home=home, progress=progress)


def _preview_erasure(request: "EraseRequest", context: "Context") -> "ErasureResult":
    from tunesmith.lineage.erase import preview_erasure

    return preview_erasure(request, context)


def _run_erasure(request: "EraseRequest", context: "Context", key: Path) -> "ErasureResult":
    """An erasure that was killed is finished first, and alone: the rows now asked for may be gone with it."""
    from tunesmith.lineage.erase import RecordSigner, erase_rows, finish_erasure
    from tunesmith.trust import key_id, load_signer

    if not key.is_file():
        raise Misuse("there is no signing key", where=str(key), hint=f"make one: `tunesmith init --key {key}`")
    signer = load_signer(key)
    seal = RecordSigner(signer, context.home / LOGS_FOLDER / key_id(signer.public_pem())[:16])
    with context.store.lock("erase"):
        earlier = finish_erasure(context, seal)
        if earlier is None:
            return erase_rows(request, context, seal)
    context.progress.say("an interrupted erasure is finished; if you asked for other rows, run the command again")
    return earlier


def _verify_record(folder: Path, key: Path, *, json: bool) -> None:
    from tunesmith.lineage.proof import verify_record
    from tunesmith.trust import key_id, load_public_pem

    public = load_public_pem(key)
    record = verify_record(folder, public)
    if json:
        output.write_data(record.canonical())
        return
    output.write_line(f"good: erasure {record.erasure} of {record.date}, signed by the key {key_id(public)[:16]}")
    output.write_line(f"  reason: {record.reason}")
    output.write_line(f"  {_row_counts(record)} erased, {len(record.tombstones):,} objects deleted")
    output.write_line("  the signed log holds it")


def _row_counts(record: "ErasureRecord") -> str:
    near = f" and {_count_noun(record.near_duplicates, 'near-duplicate')}" if record.near_duplicates else ""
    return f"{_count_noun(record.rows, 'row')}{near}"


def _count_noun(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def outcome_lines(outcome: "ErasureResult") -> "Iterator[str]":
    """What came of it, for a person."""
    record = outcome.record
    verb = "would be erased" if outcome.dry_run else "erased"
    if not outcome.dry_run and outcome.envelope is None:
        yield f"nothing was erased: {'; '.join(outcome.notes)}"
        return
    yield f"{verb}: {_row_counts(record)}"
    yield from _row_table(outcome.rows)
    if outcome.near:
        yield f"near-duplicates that stay: {len(outcome.near):,}"
        yield from _row_table(outcome.near)
    yield from _affected_model_lines(record)
    if outcome.envelope is not None:
        yield from _record_lines(outcome)
    if outcome.dry_run and record.rows:
        yield "nothing has changed; add --yes to erase"
    for note in outcome.notes:
        yield f"note: {note}"


def _row_table(rows: "tuple[ErasedRow, ...]") -> "Iterator[str]":
    if rows:
        cells = [
            (
                f"{row.file}:{row.line}",
                row.row_id,
                "" if row.similarity is None else f"{row.similarity:.2f} like {row.like}",
            )
            for row in rows
        ]
        yield from format_columns(("place", "row", "near"), cells)


def _affected_model_lines(record: "ErasureRecord") -> "Iterator[str]":
    if not record.models:
        yield "no model that the ledger knows saw them"
        return
    yield f"models that saw them: {', '.join(model[7:19] for model in record.models)}"
    if record.releases:
        cells = [(f"{one.name} {one.version}", one.certainty, one.model[7:19]) for one in record.releases]
        yield "releases that saw them"
        yield from format_columns(("release", "certainty", "model"), cells)
    if record.retraining:
        yield "retraining would take"
        headers = ("recipe", "model", "certainty", "steps", "tokens", "seconds", "stages")
        yield from format_columns(headers, [_retraining_cells(one) for one in record.retraining])


def _retraining_cells(one: "Retraining") -> tuple[str, ...]:
    seconds = "?" if one.seconds is None else f"{one.seconds:,.0f}"
    figures = (f"{one.steps:,}", f"{one.tokens:,}", seconds)
    return (one.recipe or "?", one.model[7:19], one.certainty, *figures, ", ".join(one.stages))


def _record_lines(outcome: "ErasureResult") -> "Iterator[str]":
    record = outcome.record
    yield f"data sets replaced: {sum(one.new is not None for one in record.datasets):,}"
    yield f"objects deleted, each with a tombstone: {len(record.tombstones):,}"
    yield f"salts replaced: {', '.join(record.salts_replaced) or 'none'}"
    yield f"signed record: erasures/{record.erasure}/ in the store, entry {outcome.log_index} of the log"
