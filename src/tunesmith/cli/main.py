"""Console entry point: `tunesmith COMMAND`. Heavy libraries are imported inside the command that needs them."""

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from tunesmith.cli import audit, base, chat, erase, evaluate, init, release, run, serve, show, trace, train, verify
from tunesmith.cli.error_handler import handle_errors

VERBS = (
    ("init", init.command),
    ("audit", audit.command),
    ("train", train.command),
    ("evaluate", evaluate.command),
    ("release", release.command),
    ("run", run.command),
    ("verify", verify.command),
    ("serve", serve.command),
    ("chat", chat.command),
    ("show", show.command),
    ("trace", trace.command),
    ("erase", erase.command),
)

app = typer.Typer(
    name="tunesmith",
    help="Supervised fine-tuning with evidence: audit, train, evaluate, gate, sign, verify, serve.",
    epilog="Exit codes: 0 success, 1 internal error, 2 invalid usage or input, 3 refused by audit or gate, 4 integrity "
    "check failed, 5 machine failure, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"tunesmith {version('tunesmith')}\n")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Global options."""


for _name, _verb in VERBS:
    app.command(_name)(handle_errors(_verb))
app.add_typer(base.app, name="base")


def main() -> None:
    """Run the command line. SIGTERM is handled like Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    app(prog_name="tunesmith")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
