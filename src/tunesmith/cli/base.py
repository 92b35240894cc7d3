"""`tunesmith base list | get NAME | show NAME`."""

from typing import Annotated

import typer

from tunesmith.cli import options, output
from tunesmith.cli.error_handler import handle_errors
from tunesmith.errors import Misuse

HELP = "List the base models in the catalogue, download one, or show its details."
BaseName = Annotated[str, typer.Argument(metavar="NAME", help="A name from `tunesmith base list`.", show_default=False)]
Revision = Annotated[
    str | None,
    typer.Option(
        "--revision", help="Hub commit to use instead of the catalogue's, as 40 hex digits.", show_default=False
    ),
]


def list_bases(*, json: options.Json = False) -> None:
    """List base models: name, parameters, context length, tasks, licence, and cache status."""
    from tunesmith.artifacts.base import canonical_bytes
    from tunesmith.models.bases.catalogue import entries

    if json:
        output.write_data(canonical_bytes([entry.model_dump(mode="json") for entry in entries()]))
        return
    widest = max(len(entry.name) for entry in entries())
    for entry in entries():
        context = f"{entry.context:,}" if entry.context is not None else "any"
        size, fits = f"{entry.parameters / 1e6:,.0f}M", ", ".join(entry.fits)
        facts = f"{entry.name:<{widest}}  {size:>7}  {context:>9}  {fits:<16}  {entry.license:<26}"
        output.write_line(f"{facts}  {_cache_status(entry.name)}")


def get_base(
    name: BaseName,
    *,
    network: Annotated[bool, typer.Option("--network", help="Allow the download from the Hugging Face Hub.")] = False,
    revision: Revision = None,
    again: Annotated[bool, typer.Option("--again", help="Download again and replace the cached copy.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Download a base model into the local cache, verify it and print its folder."""
    from tunesmith.models.bases.catalogue import is_embedded
    from tunesmith.models.bases.fetch import fetch_base

    _check_revision(revision)
    if is_embedded(name):
        output.write_message(f"{name} is included in the package; nothing to download")
        return
    with output.progress(quiet=quiet) as progress:
        base = fetch_base(name, progress, network=network, revision=revision, again=again)
    output.write_line(str(base.folder))


def show_base(name: BaseName, *, revision: Revision = None, json: options.Json = False) -> None:
    """Show a base model: size, licence, sources with digests, chat template, notes and cache status."""
    import yaml

    from tunesmith.artifacts.base import canonical_bytes
    from tunesmith.models.bases.catalogue import find_entry

    _check_revision(revision)
    entry = find_entry(name)
    if json:
        output.write_data(canonical_bytes(entry.model_dump(mode="json")))
        return
    text = yaml.safe_dump(entry.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    output.write_line(f"{text.rstrip()}\ncache: {_cache_status(name, revision)}")


def _cache_status(name: str, revision: str | None = None) -> str:
    """`in the package`, `in the cache`, or the command that downloads the base."""
    from tunesmith.models.bases.catalogue import fetch_command, find_entry, is_embedded, is_pinned
    from tunesmith.models.bases.fetch import cached_record

    if is_embedded(name):
        return "in the package"
    entry = find_entry(name)
    if not is_pinned(entry, revision):
        return f"{fetch_command(entry)} --revision COMMIT"
    return "in the cache" if cached_record(name, revision=revision) is not None else fetch_command(entry, revision)


def _check_revision(revision: str | None) -> None:
    if revision is not None and (len(revision) != 40 or set(revision) - set("0123456789abcdef")):
        hint = "branches, tags and short hashes can change; give the full commit hash (40 hex digits)"
        raise Misuse(f"{revision!r} is not a commit hash", where="--revision", hint=hint)


app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("list")(handle_errors(list_bases))
app.command("get")(handle_errors(get_base))
app.command("show")(handle_errors(show_base))
