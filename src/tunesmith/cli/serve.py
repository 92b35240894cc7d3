"""`tunesmith serve FOLDER --key PUB`."""

from typing import Annotated, Literal

import typer

from tunesmith.cli import options, output


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
    threads: options.Threads = None,
    store: options.StoreFolder = None,
) -> None:
    """Serve a verified release behind an OpenAI-compatible API; an unverified one is refused.

    The base of an adapter is looked for in --store, or in the nearest `.tunesmith` above the release.
    """
    from tunesmith.errors import Misuse

    if not folder.is_dir():
        raise Misuse("there is no such release folder", where=str(folder), hint="`tunesmith run` says where it put it")
    with options.find_base_store(folder, store) as place, output.progress(quiet=False) as progress:
        progress.say(f"verifying and loading {folder}")
        from tunesmith.cli.store_access import new_context
        from tunesmith.serve.app import make_app
        from tunesmith.serve.run import serve
        from tunesmith.trust.keys import load_public_pem

        context = new_context(folder, places=options.Locations(store=place), progress=progress)
        app = make_app(folder, load_public_pem(key), context=context, precision=precision, threads=threads)
        serve(app, folder, host=host, port=port, context=context)
