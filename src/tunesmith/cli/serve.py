"""`tunesmith serve FOLDER --key PUB`."""

from typing import Annotated

import typer

from tunesmith.cli import options


def command(
    folder: options.ReleaseFolder,
    key: options.KeyFile,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
) -> None:
    """Serve a verified release behind an OpenAI-compatible API; an unverified one is refused."""
    from tunesmith.serve.run import serve
    from tunesmith.trust import load_public_pem

    serve(folder, load_public_pem(key), host=host, port=port)
