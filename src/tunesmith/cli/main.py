"""The console entry: `tunesmith VERB`. Heavy libraries load inside the verb that needs them."""

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
    help="Supervised fine-tuning you can stand behind: audit, train, evaluate, gate, sign, verify, serve.",
    epilog="Exit codes: 0 good, 1 a crash, 2 misuse or bad input, 3 refused, 4 integrity broken, 5 the machine, 130 interrupted.",
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
    """Options that come before the verb."""


for _name, _verb in VERBS:
    app.command(_name)(handle_errors(_verb))
app.add_typer(base.app, name="base")


def main() -> None:
    """Run the command line. A termination signal ends a run as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    app(prog_name="tunesmith")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
