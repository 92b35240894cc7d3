"""Where the engine runs: in this process."""

from typing import Literal

from tunesmith import process
from tunesmith.errors import Misuse

process.prepare()

import daft  # noqa: E402


def use_runner(runner: Literal["local"]) -> None:
    """Make sure that the engine runs where the recipe says. Raises Misuse when this process was set up for another place."""
    wanted, found = {"local": "native"}[runner], daft.get_or_infer_runner_type()
    if found != wanted:
        raise Misuse(
            f"the table engine of this process runs on {found!r}, the recipe says {runner!r}",
            where="audit.runner",
            hint="unset DAFT_RUNNER, or start outside of a cluster job",
        )
