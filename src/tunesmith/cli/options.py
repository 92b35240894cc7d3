"""The options that verbs share, each spelled once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe file.", show_default=False)]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Folder of the store; `.tunesmith` beside the recipe when left out.", show_default=False
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database", help="Ledger as an SQLAlchemy URL; SQLite in the store when left out.", show_default=False
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root", help="Folder that data paths start from; the recipe's own when left out.", show_default=False
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Read only this many rows of every source.", show_default=False),
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
        help="Processor threads; as many as the release was evaluated with when left out.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the report's canonical JSON on stdout.")]
Again = Annotated[bool, typer.Option("--again", help="Make every stage anew, even those that are done.")]
Use = Annotated[
    str | None,
    typer.Option("--use", help="Training report (digest in the store) to use instead of training.", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary; errors are still told.")]
KeyFile = Annotated[
    Path,
    typer.Option("--key", help="Public key of whoever made the release; never taken from the folder.", metavar="PUB"),
]
ReleaseFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The release folder.", show_default=False)]


@dataclass(frozen=True)
class Locations:
    """Where a run keeps things and finds its rows."""

    store: Path | None = None
    database: str | None = None
    data_root: Path | None = None


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked for besides its recipe. `limit` in rows per source, `max_steps` in optimiser steps."""

    limit: int | None = None
    max_steps: int | None = None
    again: bool = False
    use: str | None = None
    json: bool = False
    quiet: bool = False


@contextmanager
def find_base_store(folder: Path, given: Path | None) -> Iterator[Path]:
    """The store in which the release's base may lie; an empty one for a while when there is none."""
    from tempfile import TemporaryDirectory

    near = [parent / ".tunesmith" for parent in folder.resolve().parents if (parent / ".tunesmith").is_dir()]
    if given is not None or near:
        yield given or near[0]
        return
    with TemporaryDirectory(prefix="tunesmith-base-") as made:
        yield Path(made)
