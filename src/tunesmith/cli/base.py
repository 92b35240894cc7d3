"""`tunesmith base list | get NAME | show NAME`."""

from typing import Annotated

import typer

from tunesmith.cli import options, talk
from tunesmith.cli.guard import guarded
from tunesmith.errors import Misuse

HELP = "List the bases of the catalogue, fetch one into the local cache, or show what is known of one."
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of `tunesmith base list`.", show_default=False)]
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
        talk.write_data(canonical_bytes([entry.model_dump(mode="json") for entry in entries()]))
        return
    widest = max(len(entry.name) for entry in entries())
    for entry in entries():
        context = f"{entry.context:,}" if entry.context is not None else "any"
        size, fits = f"{entry.parameters / 1e6:,.0f}M", ", ".join(entry.fits)
        facts = f"{entry.name:<{widest}}  {size:>7}  {context:>9}  {fits:<16}  {entry.license:<26}"
        talk.write_line(f"{facts}  {_state(entry.name)}")


def get_base(
    name: Name,
    *,
    network: Annotated[bool, typer.Option("--network", help="Let it be fetched from the Hub.")] = False,
    revision: Revision = None,
    again: Annotated[bool, typer.Option("--again", help="Fetch it anew, and replace what the cache has.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fetch a base into the local cache and check it; its folder is printed."""
    from tunesmith.models.bases.catalogue import is_embedded
    from tunesmith.models.bases.fetch import fetch

    _check_revision(revision)
    if is_embedded(name):
        talk.say(f"{name} comes with the package; there is nothing to fetch")
        return
    with talk.progress(quiet=quiet) as progress:
        found = fetch(name, progress, network=network, revision=revision, again=again)
    talk.write_line(str(found.folder))


def show_base(name: Name, *, revision: Revision = None, json: options.Json = False) -> None:
    """What is known of a base: size, licence, sources with their digests, chat template, notes, and its place in the cache."""
    import yaml

    from tunesmith.artifacts.base import canonical_bytes
    from tunesmith.models.bases.catalogue import find

    _check_revision(revision)
    entry = find(name)
    if json:
        talk.write_data(canonical_bytes(entry.model_dump(mode="json")))
        return
    text = yaml.safe_dump(entry.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    talk.write_line(f"{text.rstrip()}\ncache: {_state(name, revision)}")


def _state(name: str, revision: str | None = None) -> str:
    """Where a base can be had: `in the cache`, or the command that fetches it."""
    from tunesmith.models.bases.catalogue import fetch_command, find, is_embedded, is_pinned
    from tunesmith.models.bases.fetch import known

    if is_embedded(name):
        return "in the package"
    entry = find(name)
    if not is_pinned(entry, revision):
        return f"{fetch_command(entry)} --revision COMMIT"
    return "in the cache" if known(name, revision=revision) is not None else fetch_command(entry, revision)


def _check_revision(revision: str | None) -> None:
    if revision is not None and (len(revision) != 40 or set(revision) - set("0123456789abcdef")):
        hint = "a branch or a short form can change under you; give the commit in 40 hex digits"
        raise Misuse(f"{revision!r} is no commit", where="--revision", hint=hint)


app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("list")(guarded(list_bases))
app.command("get")(guarded(get_base))
app.command("show")(guarded(show_base))
