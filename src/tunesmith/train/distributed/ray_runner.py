"""The same run on a Ray cluster: Ray Train starts the ranks, each calls what torchrun's ranks call."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

from tunesmith import errors, process
from tunesmith.artifacts import TrainReport
from tunesmith.context import Context
from tunesmith.errors import MachineFailure, Misuse, PeerFailed, TunesmithError
from tunesmith.store import open_store
from tunesmith.train.distributed.ranks import join_ranks
from tunesmith.train.distributed.remote_progress import (
    FINAL_READ_SECONDS,
    ProgressMessage,
    RemoteProgress,
    replay_progress,
)

J = TypeVar("J")
Work = Callable[[J, Context], TrainReport]

IN_MEMORY_LEDGER_URL: Final = "sqlite://"
"""Workers write objects and never the ledger; this one lives in memory and is not looked at."""

ERROR_PREFIX: Final = "tunesmith: "

SHARED_DISK_HINT: Final = (
    "ranks read and write the store's folder, so it must be on a disk that every machine of the cluster mounts"
)


def run_on_ray(work: "Work[J]", job: J, *, workers: int, context: Context) -> TrainReport:
    """Call `work(job, context)` on `workers` ranks of the cluster that RAY_ADDRESS names, or on a Ray of this machine alone.

    A rank takes a GPU where the cluster has one for each, else one CPU. What rank 0 tells is shown here. Raises Misuse without
    Ray, MachineFailure when the cluster is too small or a rank fails; an error of ours that a rank raises is raised here as
    it was.
    """
    if find_spec("ray") is None:
        raise Misuse("Ray is not installed", where="train.runner", hint="install tunesmith[ray], or set it to local")
    import ray
    import ray.train.torch

    # Ray 2.59 declares the types of Ray Train's first version and runs the second.
    cluster: Any = ray
    with _ray_connection():
        gpus = _gpu_per_rank(cluster.cluster_resources(), workers)
        mailbox = RayMailbox(cluster.remote(num_cpus=0)(_MailboxActor).remote())
        trainer = cluster.train.torch.TorchTrainer(
            _run_worker,
            train_loop_config={"work": work, "job": job, "places": _context_values(context), "mailbox": mailbox},
            torch_config=cluster.train.torch.TorchConfig(backend="cpu:gloo,cuda:nccl" if gpus else "gloo"),
            scaling_config=cluster.train.ScalingConfig(num_workers=workers, use_gpu=gpus),
            run_config=cluster.train.RunConfig(
                storage_path=str(context.store.folder / "ray"),
                failure_config=cluster.train.FailureConfig(max_failures=0),
                worker_runtime_env={"env_vars": dict(process.SWITCHES)},
            ),
        )
        try:
            with replay_progress(mailbox, context.progress):
                result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise _decode_error(error) from error
    return context.store.get(TrainReport, str(result.return_value))


class _MailboxActor:
    """An actor: messages of rank 0 until the driver fetches them."""

    def __init__(self) -> None:
        self.messages: list[ProgressMessage] = []

    def put(self, messages: list[ProgressMessage]) -> None:
        self.messages.extend(messages)

    def take(self) -> list[ProgressMessage]:
        taken, self.messages = self.messages, []
        return taken

    def settle(self) -> None:
        return None


@dataclass(frozen=True)
class RayMailbox:
    """A mailbox in an actor of the cluster. A run does not fail because nobody can be told of it."""

    actor: Any

    def put(self, messages: list[ProgressMessage]) -> None:
        self.actor.put.remote(messages)

    def take(self) -> list[ProgressMessage]:
        return self._asked("take") or []

    def settle(self) -> None:
        """Wait until what this process has put is there: calls of one process come in order."""
        self._asked("settle")

    def _asked(self, name: str) -> Any:
        import ray

        try:
            return ray.get(getattr(self.actor, name).remote(), timeout=FINAL_READ_SECONDS)
        except ray.exceptions.RayError:
            return None


@contextmanager
def _ray_connection() -> Iterator[None]:
    """To the cluster of RAY_ADDRESS; without one, a Ray of this machine that ends with the run."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = process.environment("RAY_ADDRESS") or "local"
    alone: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **alone)
    try:
        yield
    finally:
        ray.shutdown()


def _run_worker(config: dict[str, Any]) -> str:
    """What runs on a worker. Rank 0's answer, the digest of the stored report, is what Ray hands back."""
    folder, data_root, home, seed = config["places"]
    store = open_store(Path(folder), database=IN_MEMORY_LEDGER_URL)
    context = Context(store=store, data_root=Path(data_root), home=Path(home), seed=seed)
    mailbox: RayMailbox = config["mailbox"]
    context = replace(context, progress=RemoteProgress(mailbox, context.clock))
    try:
        report = config["work"](config["job"], context)
    except TunesmithError as error:
        raise _encode_error(error) from None
    finally:
        mailbox.settle()
    return store.put(report) if join_ranks().leads else ""


def _context_values(context: Context) -> tuple[str, str, str, int]:
    return str(context.store.folder.resolve()), str(context.data_root), str(context.home), context.seed


def _gpu_per_rank(resources: dict[str, float], workers: int) -> bool:
    """Whether every rank gets a GPU. Raises MachineFailure when there are not even CPUs enough: Ray would wait for ever."""
    if resources.get("GPU", 0) >= workers:
        return True
    if resources.get("CPU", 0) < workers:
        said = f"the cluster has {resources.get('CPU', 0):.0f} CPUs for {workers} ranks"
        raise MachineFailure(said, where="train.workers", hint="ask for fewer workers, or add machines")
    return False


def _encode_error(error: TunesmithError) -> RuntimeError:
    """Our error in a form that Ray can pickle: ours take keywords, which pickle does not keep."""
    said = {"kind": type(error).__name__, "what": error.what, "where": error.where, "hint": error.hint}
    return RuntimeError(f"{ERROR_PREFIX}{json.dumps(said)}")


def _decode_error(error: Exception) -> TunesmithError:
    """What the first rank that failed of itself said, as it said it; else the last line of what Ray says of a rank."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    texts = [str(failures[rank]).strip() for rank in sorted(failures)] or [str(error).strip()]
    for text in texts:
        _, mark, said = text.splitlines()[-1].partition(ERROR_PREFIX)
        found = json.loads(said) if mark else {}
        if mark and found["kind"] != PeerFailed.__name__:
            kind = getattr(errors, found["kind"], TunesmithError)
            told: TunesmithError = kind(found["what"], where=found["where"], hint=found["hint"])
            return told
    return MachineFailure(texts[0].splitlines()[-1], where="train.runner: ray", hint=SHARED_DISK_HINT)
