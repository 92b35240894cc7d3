"""Options shared by several commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe file.", show_default=False)]
StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", help="Store folder. Default: `.tunesmith` next to the recipe.", show_default=False),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database", help="Ledger database as an SQLAlchemy URL. Default: SQLite in the store.", show_default=False
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        help="Folder that relative data paths start from. Default: the recipe's folder.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Read at most this many rows per source.", show_default=False),
]
MaxSteps = Annotated[
    int | None,
    typer.Option("--max-steps", min=1, help="Stop training after this many steps.", show_default=False),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        help="CPU threads. Default: the number the release was evaluated with.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as canonical JSON on stdout.")]
Again = Annotated[bool, typer.Option("--again", help="Rerun every stage, including finished ones.")]
Use = Annotated[
    str | None,
    typer.Option("--use", help="Digest of a stored training report to use instead of training.", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no summary, only errors.")]
KeyFile = Annotated[
    Path,
    typer.Option("--key", help="Public key of the publisher. It is never read from the release folder.", metavar="PUB"),
]
ReleaseFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The release folder.", show_default=False)]


@dataclass(frozen=True)
class Locations:
    """Store, ledger database and data root of a run."""

    store: Path | None = None
    database: str | None = None
    data_root: Path | None = None


@dataclass(frozen=True)
class RunOptions:
    """Options of a run besides its recipe. `limit` is in rows per source, `max_steps` in optimiser steps."""

    limit: int | None = None
    max_steps: int | None = None
    again: bool = False
    use: str | None = None
    json: bool = False
    quiet: bool = False


@contextmanager
def find_base_store(folder: Path, store: Path | None) -> Iterator[Path]:
    """Store to look up the base of a release in: the given one, the nearest `.tunesmith` above, or a temporary empty one."""
    from tempfile import TemporaryDirectory

    nearby = [parent / ".tunesmith" for parent in folder.resolve().parents if (parent / ".tunesmith").is_dir()]
    if store is not None or nearby:
        yield store or nearby[0]
        return
    with TemporaryDirectory(prefix="tunesmith-base-") as temporary:
        yield Path(temporary)
