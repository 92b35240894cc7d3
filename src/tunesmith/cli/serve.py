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
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 picks a free port.")
    ] = 8000,
    precision: Annotated[
        Literal["fp32", "bf16"] | None,
        typer.Option("--precision", help="Compute precision. Default: the precision the release was evaluated in."),
    ] = None,
    threads: options.Threads = None,
    store: options.StoreFolder = None,
) -> None:
    """Serve a release behind an OpenAI-compatible API. The release is verified first; one that fails is refused.

    The base of an adapter is looked up in --store, or in the nearest `.tunesmith` above the release folder.
    """
    from tunesmith.errors import Misuse

    if not folder.is_dir():
        raise Misuse(
            "release folder not found", where=str(folder), hint="`tunesmith run RECIPE` prints the folder it writes"
        )
    with options.find_base_store(folder, store) as base_store, output.progress(quiet=False) as progress:
        progress.say(f"Verifying and loading {folder}")
        from tunesmith.cli.store_access import new_context
        from tunesmith.serve.app import make_app
        from tunesmith.serve.run import serve
        from tunesmith.trust.keys import load_public_pem

        context = new_context(folder, locations=options.Locations(store=base_store), progress=progress)
        app = make_app(folder, load_public_pem(key), context=context, precision=precision, threads=threads)
        serve(app, folder, host=host, port=port, context=context)
