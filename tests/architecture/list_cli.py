"""Write every verb of the command line with its arguments and options, as text to compare."""

import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from tunesmith.cli.main import app


def lines() -> Iterator[str]:
    group: Any = get_command(app)
    yield from options(group)
    yield from verbs(group, "")


def verbs(group: Any, before: str) -> Iterator[str]:
    for name, command in group.commands.items():
        yield ""
        yield f"{before}{name}: {command.help}"
        yield from options(command)
        yield from verbs(command, f"{before}{name} ") if hasattr(command, "commands") else ()


def options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        names = parameter.metavar if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
        needed = "required" if parameter.required else f"default {parameter.default!r}"
        many = ", many" if parameter.multiple or parameter.nargs != 1 else ""
        yield f"  {names}  ({needed}{many})"


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in lines()))
