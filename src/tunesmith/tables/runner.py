"""Where the engine runs: in this process, or on a Ray cluster. Daft takes one place for the life of a process."""

import logging
from importlib.util import find_spec
from typing import Any, Final, Literal

import daft
from daft.exceptions import DaftCoreException

from tunesmith import process
from tunesmith.errors import MachineFailure, Misuse

DAFT_RUNNERS: Final = {"local": "native", "ray": "ray"}


def use_runner(runner: Literal["local", "ray"]) -> None:
    """Make sure that the engine runs where the recipe says: `ray` is the cluster of RAY_ADDRESS, or a Ray of this machine alone.

    Raises Misuse when Ray is not installed or this process was set up for another place, MachineFailure when the cluster
    cannot be reached.
    """
    if runner == "ray":
        _join_cluster()
    try:
        daft.set_runner_ray(noop_if_initialized=True) if runner == "ray" else daft.set_runner_native()
    except DaftCoreException as error:
        # The engine takes a place once; asked again for the same one, it has it already.
        found = daft.get_or_infer_runner_type()
        if found != DAFT_RUNNERS[runner]:
            raise Misuse(
                f"the table engine of this process runs on {found!r}, the recipe says {runner!r}",
                where="audit.runner",
                hint="start a new process: the engine has one place for the life of a process",
            ) from error


def _join_cluster() -> None:
    if find_spec("ray") is None:
        raise Misuse("Ray is not installed", where="audit.runner", hint="install tunesmith[ray], or set it to local")
    import ray

    if ray.is_initialized():
        return
    address = process.environment("RAY_ADDRESS") or "local"
    alone: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    environment = {"env_vars": dict(process.SWITCHES)}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment, **alone)
    except ConnectionError as error:
        raise MachineFailure(
            f"the Ray cluster cannot be reached: {error}",
            where="audit.runner",
            hint="look at RAY_ADDRESS; without it a Ray of this machine alone is started",
        ) from error
