"""`runner: ray`: Ray Train starts the ranks on a cluster, and every rank runs what a rank of torchrun runs."""

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
"""Workers write objects but never the ledger, so they open an empty one in memory."""

ERROR_PREFIX: Final = "tunesmith: "

SHARED_DISK_HINT: Final = (
    "ranks read and write the store's folder: put the store on a disk that every machine of the cluster mounts"
)


def run_on_ray(work: "Work[J]", job: J, *, workers: int, context: Context) -> TrainReport:
    """Call `work(job, context)` on `workers` ranks of the Ray cluster at RAY_ADDRESS, or of a local Ray without that variable.

    Each rank gets a GPU if the cluster has one for every rank, otherwise one CPU. The progress of rank 0 is shown here.
    Raises Misuse when Ray is not installed, and MachineFailure when the cluster is too small or a rank dies. A TunesmithError
    of a rank is raised here with the same type and message.
    """
    if find_spec("ray") is None:
        raise Misuse(
            "Ray is not installed",
            where="train.runner",
            hint="pip install 'tunesmith[ray]', or set `train: {runner: local}`",
        )
    import ray
    import ray.train.torch

    # Ray 2.59 runs Ray Train V2 but declares the types of V1.
    cluster: Any = ray
    with _ray_connection():
        gpus = _gpu_per_rank(cluster.cluster_resources(), workers)
        mailbox = RayMailbox(cluster.remote(num_cpus=0)(_MailboxActor).remote())
        trainer = cluster.train.torch.TorchTrainer(
            _run_worker,
            train_loop_config={"work": work, "job": job, "context": _context_values(context), "mailbox": mailbox},
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
    """Ray actor that holds the messages of rank 0 until the driver fetches them."""

    def __init__(self) -> None:
        self.messages: list[ProgressMessage] = []

    def put(self, messages: list[ProgressMessage]) -> None:
        self.messages.extend(messages)

    def take(self) -> list[ProgressMessage]:
        taken, self.messages = self.messages, []
        return taken

    def flush(self) -> None:
        return None


@dataclass(frozen=True)
class RayMailbox:
    """A mailbox in a Ray actor. Lost messages do not fail the run: errors of Ray are ignored."""

    actor: Any

    def put(self, messages: list[ProgressMessage]) -> None:
        self.actor.put.remote(messages)

    def take(self) -> list[ProgressMessage]:
        return self._call("take") or []

    def flush(self) -> None:
        """Wait until all messages of this process have arrived; Ray runs the calls of one process in order."""
        self._call("flush")

    def _call(self, name: str) -> Any:
        import ray

        try:
            return ray.get(getattr(self.actor, name).remote(), timeout=FINAL_READ_SECONDS)
        except ray.exceptions.RayError:
            return None


@contextmanager
def _ray_connection() -> Iterator[None]:
    """Connect to the cluster at RAY_ADDRESS; without it, start a local Ray that stops with the run."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = process.environment("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        yield
    finally:
        ray.shutdown()


def _run_worker(config: dict[str, Any]) -> str:
    """What runs on a worker. Returns the digest of the stored report on rank 0, an empty string on other ranks."""
    folder, data_root, home, seed = config["context"]
    store = open_store(Path(folder), database=IN_MEMORY_LEDGER_URL)
    context = Context(store=store, data_root=Path(data_root), home=Path(home), seed=seed)
    mailbox: RayMailbox = config["mailbox"]
    context = replace(context, progress=RemoteProgress(mailbox, context.clock))
    try:
        report = config["work"](config["job"], context)
    except TunesmithError as error:
        raise _encode_error(error) from None
    finally:
        mailbox.flush()
    return store.put(report) if join_ranks().is_main else ""


def _context_values(context: Context) -> tuple[str, str, str, int]:
    return str(context.store.folder.resolve()), str(context.data_root), str(context.home), context.seed


def _gpu_per_rank(resources: dict[str, float], workers: int) -> bool:
    """Whether every rank gets a GPU. Raises MachineFailure with too few CPUs, because Ray would wait for them for ever."""
    if resources.get("GPU", 0) >= workers:
        return True
    if resources.get("CPU", 0) < workers:
        what = f"the cluster has {resources.get('CPU', 0):.0f} CPUs for {workers} ranks"
        raise MachineFailure(what, where="train.workers", hint="lower train.workers, or add machines to the cluster")
    return False


def _encode_error(error: TunesmithError) -> RuntimeError:
    """The error as JSON in a RuntimeError: pickle does not keep the keyword arguments of a TunesmithError."""
    fields = {"kind": type(error).__name__, "what": error.what, "where": error.where, "hint": error.hint}
    return RuntimeError(f"{ERROR_PREFIX}{json.dumps(fields)}")


def _decode_error(error: Exception) -> TunesmithError:
    """The TunesmithError of the first rank that failed by itself; without one, the last line of Ray's error as MachineFailure."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    texts = [str(failures[rank]).strip() for rank in sorted(failures)] or [str(error).strip()]
    for text in texts:
        _, prefix, encoded = text.splitlines()[-1].partition(ERROR_PREFIX)
        fields = json.loads(encoded) if prefix else {}
        if prefix and fields["kind"] != PeerFailed.__name__:
            kind = getattr(errors, fields["kind"], TunesmithError)
            decoded: TunesmithError = kind(fields["what"], where=fields["where"], hint=fields["hint"])
            return decoded
    return MachineFailure(texts[0].splitlines()[-1], where="train.runner: ray", hint=SHARED_DISK_HINT)
