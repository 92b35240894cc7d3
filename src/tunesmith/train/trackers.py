"""Track: how a run stands after each step, for the live view and for the logs of TensorBoard and MLflow.

Both logs are files in the store's folder `track`; nothing is sent anywhere. TensorBoard: `tensorboard --logdir
<store>/track/tensorboard`, a folder for each run. MLflow: `mlflow ui --backend-store-uri sqlite:///<store>/track/mlflow.db`,
one run for each key. A resumed run writes the curve of its state anew, so that a log has no gap and no step twice.
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
"""Steps that the smoothed loss is the mean of."""

MLFLOW_BATCH_STEPS: Final = 50
"""Steps that MLflow is given at once: every write is a transaction."""

TRACKER_PACKAGES: Final = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "alembic")}
MLFLOW_EXPERIMENT: Final = "tunesmith"


@dataclass(frozen=True)
class StepMetrics:
    """A run after step `step`: losses in nats, the gradient's norm before clipping, speeds in tokens a second.

    `tokens_per_second` counts the tokens of the rows, `distinct_per_second` those that went through the trunk; None where
    no step was timed. `held_out` is the latest loss on the rows held back, and `validated` whether it is of this very step.
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

    def shown(self) -> dict[str, float]:
        """For the live view, under short names."""
        found = {
            "loss": self.loss,
            "smoothed": self.smoothed,
            "held out": self.held_out,
            "rate": self.learning_rate,
            "gradient": self.gradient_norm,
            "tokens/s": self.tokens_per_second,
            "distinct/s": self.distinct_per_second,
        }
        return {name: value for name, value in found.items() if value is not None}

    def logged(self) -> dict[str, float]:
        """For a log, under the names it groups by; the loss on the rows held back at its own steps alone."""
        found = {
            "loss/train": self.loss,
            "loss/smoothed": self.smoothed,
            "loss/held-out": self.held_out if self.validated else None,
            "optimiser/learning-rate": self.learning_rate,
            "optimiser/gradient-norm": self.gradient_norm,
            "speed/tokens-per-second": self.tokens_per_second,
            "speed/distinct-tokens-per-second": self.distinct_per_second,
        }
        return {name: value for name, value in found.items() if value is not None}


class Tracker(Protocol):
    """A log of numbers by step."""

    def log(self, step: int, numbers: dict[str, float]) -> None: ...

    def close(self, *, finished: bool) -> None:
        """Write what is left; `finished` says whether the run came to its end."""
        ...


@dataclass(frozen=True)
class Trackers:
    """The logs that the recipe asks for; none is fine."""

    each: tuple[Tracker, ...] = ()

    def log(self, standing: StepMetrics) -> None:
        """One step into every log."""
        for tracker in self.each:
            tracker.log(standing.step, standing.logged())


def step_metrics(
    curve: Sequence[CurvePoint], held_out: Sequence[CurvePoint], recent: Sequence[StepTiming] = ()
) -> StepMetrics:
    """How a run with this curve stands; `recent` are the paces that its speed is taken over."""
    last, window = curve[-1], curve[-SMOOTHING_STEPS:]
    seconds = sum(pace.seconds for pace in recent)
    speeds = [
        sum(pace.tokens for pace in recent) / seconds if seconds > 0 else None,
        sum(pace.distinct_tokens for pace in recent) / seconds if seconds > 0 else None,
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
    """Raises Misuse when a log is asked for whose package is not installed; call it before anything slow."""
    for name in names:
        missing = [package for package in TRACKER_PACKAGES[name] if find_spec(package) is None]
        if missing:
            raise Misuse(
                f"{name} needs {' and '.join(missing)}, and it is not installed",
                where="train.track",
                hint="pip install 'tunesmith[track]', or leave train.track out",
            )


@contextmanager
def open_trackers(
    settings: TrainSettings, context: Context, *, key: str, curve: Sequence[CurvePoint], held_out: Sequence[CurvePoint]
) -> Iterator[Trackers]:
    """The logs of the run with this key, the curve so far in them; closed however the block ends.

    Raises Misuse when a package is missing.
    """
    check_trackers(settings.track)
    opened: list[Tracker] = []
    finished = False
    try:
        opened.extend(_open_tracker(kind, key, settings, context) for kind in settings.track)
        trackers = Trackers(tuple(opened))
        for standing in metrics_history(curve, held_out) if opened else ():
            trackers.log(standing)
        yield trackers
        finished = True
    finally:
        for tracker in opened:
            tracker.close(finished=finished)


def metrics_history(curve: Sequence[CurvePoint], held_out: Sequence[CurvePoint]) -> Iterator[StepMetrics]:
    """How the run stood after every step of a curve; speeds are not kept."""
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
    """Event files in one folder a run. What earlier processes of the run left there is hidden: it is written anew."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=0, flush_secs=20)

    def log(self, step: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self, *, finished: bool) -> None:
        self._writer.close()


class MlflowLog:
    """A run in a SQLite file of the store, found again by its key. Steps that it holds already are passed over."""

    def __init__(self, folder: Path, name: str, *, settings: TrainSettings, clock: Clock) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        # Its talk of tables that are made is not the user's business.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._metric, self._clock = Metric, clock
        self._client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
        found = self._client.get_experiment_by_name(MLFLOW_EXPERIMENT)
        where = (folder / "mlflow").resolve().as_uri()
        experiment = found.experiment_id if found else self._client.create_experiment(MLFLOW_EXPERIMENT, where)
        runs = self._client.search_runs([experiment], f"tags.key = '{name}'", max_results=1)
        self._run = runs[0].info.run_id if runs else self._new_run(experiment, name)
        told = [Param(key, str(value)[:500]) for key, value in settings.model_dump(mode="json").items()]
        self._client.log_batch(self._run, params=told)
        kept = self._client.get_metric_history(self._run, "loss/train")
        self._last = max((entry.step for entry in kept), default=0)
        self._waiting: list[Any] = []

    def log(self, step: int, numbers: dict[str, float]) -> None:
        if step <= self._last:
            return
        self._last = step
        moment = round(self._clock.now().timestamp() * 1000)
        self._waiting.extend(self._metric(name, value, moment, step) for name, value in numbers.items())
        if step % MLFLOW_BATCH_STEPS == 0:
            self._write()

    def close(self, *, finished: bool) -> None:
        self._write()
        self._client.set_terminated(self._run, "FINISHED" if finished else "FAILED")

    def _new_run(self, experiment: str, name: str) -> str:
        made: str = self._client.create_run(experiment, run_name=name[:12], tags={"key": name}).info.run_id
        return made

    def _write(self) -> None:
        if self._waiting:
            self._client.log_batch(self._run, metrics=self._waiting)
            self._waiting = []
