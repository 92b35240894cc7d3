"""`tunesmith serve FOLDER --key PUB`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from tunesmith.cli import options, talk


def command(
    folder: options.ReleaseFolder,
    *,
    key: options.KeyFile,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    precision: Annotated[
        Literal["fp32", "bf16"] | None,
        typer.Option("--precision", help="What to compute in; what the release was evaluated in when left out."),
    ] = None,
    store: options.StoreFolder = None,
) -> None:
    """Serve a verified release behind an OpenAI-compatible API; an unverified one is refused.

    The base of an adapter is looked for in --store, or in the nearest `.tunesmith` above the release.
    """
    from tunesmith.errors import Misuse

    if not folder.is_dir():
        raise Misuse("there is no such release folder", where=str(folder), hint="`tunesmith run` says where it put it")
    with base_store(folder, store) as place, talk.progress(quiet=False) as progress:
        progress.say(f"verifying and loading {folder}")
        from tunesmith.cli.stored import new_context
        from tunesmith.serve.run import serve

        context = new_context(folder, places=options.Places(store=place), progress=progress)
        serve(folder, key, host=host, port=port, context=context, precision=precision)


@contextmanager
def base_store(folder: Path, given: Path | None) -> Iterator[Path]:
    """The store in which the release's base may lie; an empty one for as long as the server runs when there is none."""
    from tempfile import TemporaryDirectory

    near = [parent / ".tunesmith" for parent in folder.resolve().parents if (parent / ".tunesmith").is_dir()]
    if given is not None or near:
        yield given or near[0]
        return
    with TemporaryDirectory(prefix="tunesmith-serve-") as made:
        yield Path(made)
