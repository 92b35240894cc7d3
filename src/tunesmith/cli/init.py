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
        typer.Argument(metavar="FOLDER", help="Where to write recipe.yaml; here when left out.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", help="Make a private key here, readable by you alone, and its .pub beside it.", show_default=False
        ),
    ] = None,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Leave what is there as it is, and say nothing.")
    ] = False,
) -> None:
    """Write a commented recipe to start from, or make a key for signing releases."""
    if key is not None:
        init_key(key, if_missing=if_missing)
    if folder is not None or key is None:
        init_recipe((folder or Path()) / "recipe.yaml", if_missing=if_missing)


def init_key(path: Path, *, if_missing: bool) -> None:
    """A new key pair; an existing key is never overwritten. Raises Misuse."""
    from tunesmith.trust import load_signer, make_key

    public = path.with_suffix(PUBLIC_KEY_SUFFIX)
    if path.suffix == PUBLIC_KEY_SUFFIX:
        raise Misuse("a private key must not be called .pub", where=str(path), hint="call it release.pem")
    if if_missing and path.exists():
        pem = load_signer(path).public_pem()
        if not public.exists():
            write_new(public, pem)
        return
    if public.exists() and not path.exists():
        raise Misuse(
            "there is a public key, but its private key is gone",
            where=str(public),
            hint="move it away, or choose another name",
        )
    signer = make_key(path)
    write_new(public, signer.public_pem())
    output.write_line(str(path))
    output.write_line(str(public))
    output.write_message(f"keep {path} to yourself; give {public} to whoever shall verify your releases")


def init_recipe(path: Path, *, if_missing: bool) -> None:
    """The commented recipe of this package. Raises Misuse when the file exists."""
    if path.exists():
        if if_missing:
            return
        raise Misuse("there is a recipe already", where=str(path), hint="choose another folder, or give --if-missing")
    write_new(path, (files("tunesmith.cli") / "recipe.yaml").read_bytes())
    output.write_line(str(path))
    output.write_message(
        f"edit it, make a key with `tunesmith init --key {path.parent / 'release.pem'}`, then `tunesmith run {path}`"
    )


def write_new(path: Path, data: bytes) -> None:
    """A file that others may read. Raises MachineFailure when the place cannot be written."""
    from tunesmith.store.objects import disk_errors

    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
