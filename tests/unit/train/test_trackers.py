"""Step metrics, and the logs written from them. Logs are read back with the trackers' own tools, where installed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tunesmith.artifacts import CurvePoint
from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.errors import Misuse
from tunesmith.recipe import TrainSettings
from tunesmith.train import trackers
from tunesmith.train.loop import TrainingPlan, run_loop
from tunesmith.train.trackers import StepMetrics, Trackers, check_trackers, metrics_history, open_trackers, step_metrics
from tunesmith.train.watchers.observations import StepTiming

KEY = f"sha256:{'ab' * 32}"
CURVE = tuple(
    CurvePoint(step=step, loss=3.0 / step, learning_rate=0.001, gradient_norm=0.5, supervised_tokens=10)
    for step in range(1, 131)
)
HELD = tuple(CURVE[step - 1].model_copy(update={"loss": 9.0 / step}) for step in (50, 100))


def settings(*names: str) -> TrainSettings:
    return TrainSettings(rows_per_step=4, track=names)


def needs(name: str) -> None:
    missing = [package for package in trackers.TRACKER_PACKAGES[name] if find_spec(package) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (extra `track`)")


def test_step_metrics_have_means_and_speeds() -> None:
    timings = [StepTiming(129, 300, 100, 2.0), StepTiming(130, 500, 100, 2.0)]
    metrics = step_metrics(CURVE, HELD, timings)
    assert metrics.step == 130
    assert metrics.smoothed == pytest.approx(sum(3.0 / step for step in range(111, 131)) / 20)
    assert (metrics.tokens_per_second, metrics.distinct_per_second) == (200.0, 50.0)
    assert (metrics.held_out, metrics.validated) == (0.09, False)
    assert step_metrics(CURVE[:100], HELD).validated


def test_unknown_metrics_are_left_out() -> None:
    metrics = step_metrics(CURVE[:1], ())
    assert metrics == StepMetrics(1, 3.0, 3.0, 0.001, 0.5)
    assert list(metrics.live_view()) == ["loss", "smoothed", "rate", "gradient"]
    assert list(metrics.log_values()) == [
        "loss/train",
        "loss/smoothed",
        "optimiser/learning-rate",
        "optimiser/gradient-norm",
    ]


def test_timings_without_time_have_no_speed() -> None:
    assert step_metrics(CURVE[:1], (), [StepTiming(1, 4, 4, 0.0)]).tokens_per_second is None


def test_the_validation_loss_is_logged_at_its_own_step_only() -> None:
    logged = [one.step for one in metrics_history(CURVE, HELD) if "loss/held-out" in one.log_values()]
    assert logged == [50, 100]
    assert "validation" in step_metrics(CURVE, HELD).live_view()


def test_metrics_history_has_the_metrics_of_every_step() -> None:
    stood = [
        step_metrics(CURVE[:end], [point for point in HELD if point.step <= end]) for end in range(1, len(CURVE) + 1)
    ]
    assert list(metrics_history(CURVE, HELD)) == stood


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_refused_and_the_extra_named(
    name: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    with pytest.raises(Misuse) as caught:
        check_trackers((name,))
    assert caught.value.where == "train.track"
    assert caught.value.what.startswith(f"{name} needs {name}")
    assert caught.value.hint == "pip install 'tunesmith[track]', or remove train.track from the recipe"
    with pytest.raises(Misuse), open_trackers(settings(name), context, key=KEY, curve=(), held_out=()):
        pytest.fail("the run began")
    assert not (context.store.folder / "track").exists()


@dataclass
class Notebook:
    """A log in memory."""

    lines: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)

    def log(self, step: int, numbers: dict[str, float]) -> None:
        self.lines.append((step, numbers))

    def close(self, *, finished: bool) -> None:
        self.closed.append(finished)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    made = Notebook()
    monkeypatch.setattr(trackers, "check_trackers", lambda names: None)
    monkeypatch.setattr(trackers, "_open_tracker", lambda *_: made)
    yield made


def test_a_resumed_run_logs_the_curve_so_far_then_goes_on(notebook: Notebook, context: Context) -> None:
    with open_trackers(settings("mlflow"), context, key=KEY, curve=CURVE[:60], held_out=HELD[:1]) as trackers:
        assert [step for step, _ in notebook.lines] == list(range(1, 61))
        trackers.log(step_metrics(CURVE[:61], HELD[:1]))
    assert notebook.lines[-1] == (61, step_metrics(CURVE[:61], HELD[:1]).log_values())
    assert notebook.closed == [True]


def test_a_failed_run_closes_its_logs_as_failed(notebook: Notebook, context: Context) -> None:
    with pytest.raises(KeyError), open_trackers(settings("mlflow"), context, key=KEY, curve=(), held_out=()):
        raise KeyError
    assert notebook.closed == [False]


def test_without_trackers_nothing_is_written(context: Context) -> None:
    with open_trackers(settings(), context, key=KEY, curve=CURVE, held_out=()) as trackers:
        assert trackers == Trackers()
        trackers.log(step_metrics(CURVE, ()))
    assert not (context.store.folder / "track").exists()


def run_twice(name: str, context: Context) -> Path:
    """A run that is killed at step 120 and resumed from step 100; the folder of the logs."""
    with open_trackers(settings(name), context, key=KEY, curve=(), held_out=()) as trackers:
        for standing in list(metrics_history(CURVE, HELD))[:120]:
            trackers.log(standing)
    with open_trackers(settings(name), context, key=KEY, curve=CURVE[:100], held_out=HELD) as trackers:
        for standing in list(metrics_history(CURVE, HELD))[100:]:
            trackers.log(standing)
    return context.store.folder / "track"


@pytest.mark.filterwarnings("default")
def test_tensorboard_reads_every_step_once(context: Context) -> None:
    needs("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = run_twice("tensorboard", context)
    (run,) = (folder / "tensorboard").iterdir()
    assert run.name == KEY.removeprefix("sha256:")[:24]
    read: Any = EventAccumulator(str(run), size_guidance={"scalars": 0})
    read.Reload()
    loss = read.Scalars("loss/train")
    assert [one.step for one in loss] == list(range(1, 131))
    assert [one.value for one in loss] == pytest.approx([point.loss for point in CURVE], rel=1e-6)  # fp32 on disk
    assert [(one.step, round(one.value, 6)) for one in read.Scalars("loss/held-out")] == [(50, 0.18), (100, 0.09)]
    assert sorted(read.Tags()["scalars"]) == sorted(
        {name for one in metrics_history(CURVE, HELD) for name in one.log_values()}
    )


@pytest.mark.filterwarnings("default")
def test_mlflow_reads_one_run_with_every_step_once(context: Context) -> None:
    needs("mlflow")
    from mlflow.tracking import MlflowClient

    folder = run_twice("mlflow", context)
    client: Any = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tunesmith").experiment_id
    (run,) = client.search_runs([experiment])
    loss = client.get_metric_history(run.info.run_id, "loss/train")
    assert [(one.step, one.value) for one in loss] == [(point.step, point.loss) for point in CURVE]
    held = client.get_metric_history(run.info.run_id, "loss/held-out")
    assert [(one.step, one.value) for one in held] == [(50, 0.18), (100, 0.09)]
    assert (run.info.status, run.data.params["rows_per_step"]) == ("FINISHED", "4")
    assert set(run.data.metrics) == {name for one in metrics_history(CURVE, HELD) for name in one.log_values()}
    assert not list(folder.parent.glob("mlruns*"))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_the_loop_logs_what_its_report_holds(name: str, tiny: Any, context: Context) -> None:
    needs(name)
    rows = [
        EncodedSequence(f"{n:016x}", tuple((7 * n + 3 * at) % 380 + 9 for at in range(8)), ((2, 8),)) for n in range(4)
    ]
    run_settings = settings(name).model_copy(update={"method": "full", "validate_every": 2})
    plan = TrainingPlan(rows, [[0, 1], [2, 3], [1, 2]], rows[:1], KEY, context.store.work(KEY))
    state = run_loop(tiny, plan, settings=run_settings, context=context)
    assert len(state.curve) == 3
    for curve, points in (("loss/train", state.curve), ("loss/held-out", state.held_out)):
        logged = READ[name](context.store.folder / "track", curve)
        assert [step for step, _ in logged] == [point.step for point in points], curve
        assert [value for _, value in logged] == pytest.approx([point.loss for point in points], rel=1e-6), curve
    assert all(value > 0 for _, value in READ[name](context.store.folder / "track", "speed/tokens-per-second"))


def read_tensorboard(folder: Path, name: str) -> list[tuple[int, float]]:
    """Steps and values of one curve by TensorBoard's own reader; values are fp32 on disk."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run,) = (folder / "tensorboard").iterdir()
    read: Any = EventAccumulator(str(run), size_guidance={"scalars": 0})
    read.Reload()
    return [(one.step, one.value) for one in read.Scalars(name)]


def read_mlflow(folder: Path, name: str) -> list[tuple[int, float]]:
    """Steps and values of one curve by MLflow's own client."""
    from mlflow.tracking import MlflowClient

    client: Any = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("tunesmith").experiment_id])
    return [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]


READ = {"tensorboard": read_tensorboard, "mlflow": read_mlflow}
