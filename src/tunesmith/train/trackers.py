"""Experiment tracking: metrics of every step for the live view and for the logs of TensorBoard and MLflow.

Both logs are files in the store's folder `track`; nothing is sent over the network. TensorBoard: `tensorboard --logdir
<store>/track/tensorboard`, a folder per run. MLflow: `mlflow ui --backend-store-uri sqlite:///<store>/track/mlflow.db`, one run
per content key. A resumed run first logs the curve of its checkpoint, so that a log has every step exactly once.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from tunesmith.artifacts import CurvePoint
from tunesmith.context import Context
from tunesmith.errors import Misuse
from tunesmith.ports import Clock
from tunesmith.recipe import TrainSettings
from tunesmith.store.objects import disk_errors
from tunesmith.train.watchers.observations import StepTiming

SMOOTHING_STEPS: Final = 20
"""Steps that the smoothed loss is averaged over."""

MLFLOW_BATCH_STEPS: Final = 50
"""Steps that are written to MLflow at once: every write is a transaction."""

TRACKER_PACKAGES: Final = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "alembic")}
MLFLOW_EXPERIMENT: Final = "tunesmith"


@dataclass(frozen=True)
class StepMetrics:
    """Metrics after step `step`: losses in nats, the gradient norm before clipping, speeds in tokens per second.

    `tokens_per_second` counts the tokens of the rows, `distinct_per_second` computed tokens (a shared prefix once); None where
    no step was timed. `held_out` is the latest validation loss, and `validated` tells whether it was measured at this step.
    """

    step: int
    loss: float
    smoothed: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float | None = None
    distinct_per_second: float | None = None
    held_out: float | None = None
    validated: bool = False

    def live_view(self) -> dict[str, float]:
        """For the live view, under short names. Metrics without a value are left out."""
        metrics = {
            "loss": self.loss,
            "smoothed": self.smoothed,
            "validation": self.held_out,
            "rate": self.learning_rate,
            "gradient": self.gradient_norm,
            "tokens/s": self.tokens_per_second,
            "distinct/s": self.distinct_per_second,
        }
        return {name: value for name, value in metrics.items() if value is not None}

    def log_values(self) -> dict[str, float]:
        """For a log, under grouped names. The validation loss is included only at the step where it was measured."""
        metrics = {
            "loss/train": self.loss,
            "loss/smoothed": self.smoothed,
            "loss/held-out": self.held_out if self.validated else None,
            "optimiser/learning-rate": self.learning_rate,
            "optimiser/gradient-norm": self.gradient_norm,
            "speed/tokens-per-second": self.tokens_per_second,
            "speed/distinct-tokens-per-second": self.distinct_per_second,
        }
        return {name: value for name, value in metrics.items() if value is not None}


class Tracker(Protocol):
    """Writes metrics by step to a log."""

    def log(self, step: int, metrics: dict[str, float]) -> None: ...

    def close(self, *, finished: bool) -> None:
        """Write what is pending. `finished`: whether the run came to its end."""
        ...


@dataclass(frozen=True)
class Trackers:
    """The trackers that the recipe sets; may be none."""

    trackers: tuple[Tracker, ...] = ()

    def log(self, metrics: StepMetrics) -> None:
        """Log one step with every tracker."""
        for tracker in self.trackers:
            tracker.log(metrics.step, metrics.log_values())


def step_metrics(
    curve: Sequence[CurvePoint], held_out: Sequence[CurvePoint], recent: Sequence[StepTiming] = ()
) -> StepMetrics:
    """The metrics at the end of a curve; `recent` are the step timings that the speed is averaged over."""
    last, window = curve[-1], curve[-SMOOTHING_STEPS:]
    seconds = sum(timing.seconds for timing in recent)
    speeds = [
        sum(timing.tokens for timing in recent) / seconds if seconds > 0 else None,
        sum(timing.distinct_tokens for timing in recent) / seconds if seconds > 0 else None,
    ]
    return StepMetrics(
        step=last.step,
        loss=last.loss,
        smoothed=sum(point.loss for point in window) / len(window),
        learning_rate=last.learning_rate,
        gradient_norm=last.gradient_norm,
        tokens_per_second=speeds[0],
        distinct_per_second=speeds[1],
        held_out=held_out[-1].loss if held_out else None,
        validated=bool(held_out) and held_out[-1].step == last.step,
    )


def check_trackers(names: Sequence[str]) -> None:
    """Raises Misuse when the package of a tracker is not installed. Fast; called before any work."""
    for name in names:
        missing = [package for package in TRACKER_PACKAGES[name] if find_spec(package) is None]
        if missing:
            raise Misuse(
                f"{name} needs {' and '.join(missing)}, which is not installed",
                where="train.track",
                hint="pip install 'tunesmith[track]', or remove train.track from the recipe",
            )


@contextmanager
def open_trackers(
    settings: TrainSettings, context: Context, *, key: str, curve: Sequence[CurvePoint], held_out: Sequence[CurvePoint]
) -> Iterator[Trackers]:
    """Open the trackers of the run with this key and log the curve so far; they are closed however the block ends.

    Raises Misuse when a package is not installed.
    """
    check_trackers(settings.track)
    opened: list[Tracker] = []
    finished = False
    try:
        opened.extend(_open_tracker(kind, key, settings, context) for kind in settings.track)
        trackers = Trackers(tuple(opened))
        for metrics in metrics_history(curve, held_out) if opened else ():
            trackers.log(metrics)
        yield trackers
        finished = True
    finally:
        for tracker in opened:
            tracker.close(finished=finished)


def metrics_history(curve: Sequence[CurvePoint], held_out: Sequence[CurvePoint]) -> Iterator[StepMetrics]:
    """The metrics of every step of a curve, without speeds."""
    validations = {point.step: point for point in held_out}
    latest: tuple[CurvePoint, ...] = ()
    for end, point in enumerate(curve, 1):
        if point.step in validations:
            latest = (validations[point.step],)
        yield step_metrics(curve[max(0, end - SMOOTHING_STEPS) : end], latest)


def _open_tracker(kind: str, key: str, settings: TrainSettings, context: Context) -> Tracker:
    folder, name = context.store.folder / "track", key.removeprefix("sha256:")[:24]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    match kind:
        case "tensorboard":
            return TensorBoardLog(folder / "tensorboard" / name)
        case _:
            return MlflowLog(folder, name, settings=settings, clock=context.clock)


class TensorBoardLog:
    """TensorBoard event files, a folder per run. Events of earlier processes of the run are hidden; they are logged again."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=0, flush_secs=20)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self, *, finished: bool) -> None:
        self._writer.close()


class MlflowLog:
    """An MLflow run in a SQLite file in the store, found by its key tag. Steps that it already has are skipped."""

    def __init__(self, folder: Path, name: str, *, settings: TrainSettings, clock: Clock) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        # MLflow logs the creation of its tables at INFO.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._metric, self._clock = Metric, clock
        self._client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
        existing = self._client.get_experiment_by_name(MLFLOW_EXPERIMENT)
        artifacts = (folder / "mlflow").resolve().as_uri()
        experiment = (
            existing.experiment_id if existing else self._client.create_experiment(MLFLOW_EXPERIMENT, artifacts)
        )
        runs = self._client.search_runs([experiment], f"tags.key = '{name}'", max_results=1)
        self._run = runs[0].info.run_id if runs else self._new_run(experiment, name)
        parameters = [Param(key, str(value)[:500]) for key, value in settings.model_dump(mode="json").items()]
        self._client.log_batch(self._run, params=parameters)
        logged = self._client.get_metric_history(self._run, "loss/train")
        self._last_step = max((entry.step for entry in logged), default=0)
        self._pending: list[Any] = []

    def log(self, step: int, metrics: dict[str, float]) -> None:
        if step <= self._last_step:
            return
        self._last_step = step
        milliseconds = round(self._clock.now().timestamp() * 1000)
        self._pending.extend(self._metric(name, value, milliseconds, step) for name, value in metrics.items())
        if step % MLFLOW_BATCH_STEPS == 0:
            self._write()

    def close(self, *, finished: bool) -> None:
        self._write()
        self._client.set_terminated(self._run, "FINISHED" if finished else "FAILED")

    def _new_run(self, experiment: str, name: str) -> str:
        run_id: str = self._client.create_run(experiment, run_name=name[:12], tags={"key": name}).info.run_id
        return run_id

    def _write(self) -> None:
        if self._pending:
            self._client.log_batch(self._run, metrics=self._pending)
            self._pending = []
