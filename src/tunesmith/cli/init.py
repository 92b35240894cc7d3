"""`tunesmith init [FOLDER] [--key PATH]`."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli import output
from tunesmith.errors import Misuse

PUBLIC_KEY_SUFFIX = ".pub"


def command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER", help="Folder for recipe.yaml. Default: the working directory.", show_default=False
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            help="Create a private key at this path and the public key (.pub) next to it.",
            show_default=False,
        ),
    ] = None,
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Do nothing if the file already exists.")] = False,
) -> None:
    """Write a commented starter recipe, or create a key pair for signing releases."""
    if key is not None:
        init_key(key, if_missing=if_missing)
    if folder is not None or key is None:
        init_recipe((folder or Path()) / "recipe.yaml", if_missing=if_missing)


def init_key(path: Path, *, if_missing: bool) -> None:
    """Create a key pair. Raises Misuse rather than overwriting an existing key."""
    from tunesmith.trust import load_signer, make_key

    public = path.with_suffix(PUBLIC_KEY_SUFFIX)
    if path.suffix == PUBLIC_KEY_SUFFIX:
        raise Misuse("a private key must not have the suffix .pub", where=str(path), hint="use `--key release.pem`")
    if if_missing and path.exists():
        pem = load_signer(path).public_pem()
        if not public.exists():
            write_new(public, pem)
        return
    if public.exists() and not path.exists():
        raise Misuse(
            "a public key exists here, but its private key is missing",
            where=str(public),
            hint="move the public key away, or choose another name for --key",
        )
    signer = make_key(path)
    write_new(public, signer.public_pem())
    output.write_line(str(path))
    output.write_line(str(public))
    output.write_message(
        f"Private key written to {path}. Keep it secret. Share {public} with anyone who verifies your releases."
    )


def init_recipe(path: Path, *, if_missing: bool) -> None:
    """Write the starter recipe. Raises Misuse when the file exists."""
    if path.exists():
        if if_missing:
            return
        raise Misuse("the recipe already exists", where=str(path), hint="choose another folder, or add --if-missing")
    write_new(path, (files("tunesmith.cli") / "recipe.yaml").read_bytes())
    output.write_line(str(path))
    output.write_message(
        f"Next: edit the recipe, run `tunesmith init --key {path.parent / 'release.pem'}`, then `tunesmith run {path}`."
    )


def write_new(path: Path, data: bytes) -> None:
    """Write a file with default permissions. Raises MachineFailure when the path cannot be written."""
    from tunesmith.store.objects import disk_errors

    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
