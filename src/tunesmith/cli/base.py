"""`tunesmith base list | get NAME | show NAME`."""

from typing import Annotated

import typer

from tunesmith.cli import options, output
from tunesmith.cli.error_handler import handle_errors
from tunesmith.errors import Misuse

HELP = "List the bases of the catalogue, fetch one into the local cache, or show what is known of one."
BaseName = Annotated[str, typer.Argument(metavar="NAME", help="A name of `tunesmith base list`.", show_default=False)]
Revision = Annotated[
    str | None,
    typer.Option(
        "--revision", help="Commit of the Hub in place of the catalogue's, 40 hex digits.", show_default=False
    ),
]


def list_bases(*, json: options.Json = False) -> None:
    """One line per base: name, parameters, context, what it fits, licence, and whether it is in the local cache."""
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
    network: Annotated[bool, typer.Option("--network", help="Let it be fetched from the Hub.")] = False,
    revision: Revision = None,
    again: Annotated[bool, typer.Option("--again", help="Fetch it anew, and replace what the cache has.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fetch a base into the local cache and check it; its folder is printed."""
    from tunesmith.models.bases.catalogue import is_embedded
    from tunesmith.models.bases.fetch import fetch_base

    _check_revision(revision)
    if is_embedded(name):
        output.write_message(f"{name} comes with the package; there is nothing to fetch")
        return
    with output.progress(quiet=quiet) as progress:
        found = fetch_base(name, progress, network=network, revision=revision, again=again)
    output.write_line(str(found.folder))


def show_base(name: BaseName, *, revision: Revision = None, json: options.Json = False) -> None:
    """What is known of a base: size, licence, sources with their digests, chat template, notes, and its place in the cache."""
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
    """Where a base can be had: `in the cache`, or the command that fetches it."""
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
        hint = "a branch or a short form can change under you; give the commit in 40 hex digits"
        raise Misuse(f"{revision!r} is no commit", where="--revision", hint=hint)


app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("list")(handle_errors(list_bases))
app.command("get")(handle_errors(get_base))
app.command("show")(handle_errors(show_base))
