"""Where the table engine (Daft) runs: in this process or on a Ray cluster. The choice holds for the life of a process."""

import logging
from importlib.util import find_spec
from typing import Any, Final, Literal

import daft
from daft.exceptions import DaftCoreException

from tunesmith import process
from tunesmith.errors import MachineFailure, Misuse

DAFT_RUNNERS: Final = {"local": "native", "ray": "ray"}


def use_runner(runner: Literal["local", "ray"]) -> None:
    """Run the engine where the recipe says: `ray` joins the cluster at RAY_ADDRESS, or starts a local Ray when it is unset.

    Raises Misuse when Ray is not installed or this process already uses another runner, MachineFailure when the cluster
    cannot be reached.
    """
    if runner == "ray":
        _join_cluster()
    try:
        daft.set_runner_ray(noop_if_initialized=True) if runner == "ray" else daft.set_runner_native()
    except DaftCoreException as error:
        # Daft refuses a second call, also for the runner that it already uses.
        current = daft.get_or_infer_runner_type()
        if current != DAFT_RUNNERS[runner]:
            raise Misuse(
                f"the table engine of this process already runs on {current!r}, but the recipe sets {runner!r}",
                where="audit.runner",
                hint="start a new process: the runner cannot be changed within one",
            ) from error


def _join_cluster() -> None:
    if find_spec("ray") is None:
        raise Misuse(
            "Ray is not installed",
            where="audit.runner",
            hint="run `pip install 'tunesmith[ray]'`, or set `audit: {runner: local}`",
        )
    import ray

    if ray.is_initialized():
        return
    address = process.environment("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    environment = {"env_vars": dict(process.SWITCHES)}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment, **options)
    except ConnectionError as error:
        raise MachineFailure(
            f"the Ray cluster cannot be reached: {error}",
            where="audit.runner",
            hint="check RAY_ADDRESS; when it is unset, a local Ray is started",
        ) from error
