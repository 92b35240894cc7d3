"""Every watcher on its own cases: in `fires` its first finding is exactly the one that is written there, in `silent` (near
misses) there is none.

A case is a curve told step by step. `curve` lists stretches: how many `steps`, loss `from` and `to` (a straight line between
them, both reached), `noise` that is added and taken away in turn, learning `rate` (or [from, to]). `held_out` has losses by
step, `tensors` and `windows` what there is to see of them, `readings` the steps before their move, `steps` how many were
planned (the curve's own when left out), `settings` those of the watcher.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith.artifacts import CurvePoint
from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation, StepReading, StepTiming, TensorChange
from tunesmith.train.watchers.watcher import WATCHERS, watcher_class, watcher_ids

HERE = Path(__file__).parent


def cases(kind: str) -> list[Path]:
    return [path for name in watcher_ids() for path in sorted((HERE / name / kind).glob("*.yaml"))]


def named(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.stem}"


def ends(value: Any) -> tuple[float, float]:
    return tuple(value) if isinstance(value, list) else (value, value)


def curve_of(stretches: list[dict[str, Any]]) -> list[CurvePoint]:
    points: list[CurvePoint] = []
    for stretch in stretches:
        size = stretch["steps"]
        first, last = ends([stretch["from"], stretch["to"]] if "to" in stretch else stretch["from"])
        low, high = ends(stretch.get("rate", 0.001))
        for at in range(size):
            share = at / max(1, size - 1)
            noise = stretch.get("noise", 0.0) * (1 if at % 2 == 0 else -1)
            points.append(
                CurvePoint(
                    step=len(points) + 1,
                    loss=first + share * (last - first) + noise,
                    learning_rate=low + share * (high - low),
                    gradient_norm=1.0,
                    supervised_tokens=10,
                )
            )
    return points


def sights(case: dict[str, Any]) -> list[Observation]:
    """Everything there is to see, step by step."""
    readings = [
        StepReading(one["step"], one["loss"], one["gradient_norm"], tuple(one["rows"]))
        for one in case.get("readings", [])
    ]
    curve = curve_of(case.get("curve", []))
    steps = case.get("steps", len(curve))
    validations = [curve[step - 1].model_copy(update={"loss": loss}) for step, loss in case.get("held_out", {}).items()]
    moves = tuple(TensorChange(**one) for one in case.get("tensors", []))
    windows = [StepTiming(**one) for one in case.get("windows", [])]
    before = [Observation(step=one.step, steps=steps, reading=one) for one in readings]
    return before + [
        Observation(
            step=step,
            steps=steps,
            curve=curve[:step],
            held_out=[point for point in validations if point.step <= step],
            tensors=lambda: moves,
            windows=[window for window in windows if window.step <= step],
            machine="the-box",
        )
        for step in range(1, len(curve) + 1)
    ]


def found(path: Path) -> tuple[list[WatchFinding], dict[str, Any]]:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    watcher = WATCHERS.build(path.parent.parent.name, **case.get("settings", {}))
    looks = [watcher.look(seen) for seen in sights(case)]
    return [one for one in looks if one is not None], case


def test_every_folder_is_a_watcher() -> None:
    assert {path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(watcher_ids())


@pytest.mark.parametrize("name", watcher_ids())
def test_every_watcher_has_cases_of_both_kinds(name: str) -> None:
    for kind in ("fires", "silent"):
        assert any((HERE / name / kind).glob("*.yaml")), f"tests/plugins/watcher/{name}/{kind} is missing"


@pytest.mark.parametrize("name", watcher_ids())
def test_every_watcher_has_a_manual_page(name: str) -> None:
    module = __import__(watcher_class(name).__module__, fromlist=["__doc__"])
    page = module.__doc__ or ""
    assert module.__name__.rpartition(".")[2] == name.replace("-", "_")
    for section in ("What it finds: ", "Why it matters: ", "Limits: ", "Reference: "):
        assert f"\n{section}" in page, f"{name}: {section}"


@pytest.mark.parametrize("path", cases("fires"), ids=named)
def test_fires_where_it_must(path: Path) -> None:
    findings, case = found(path)
    assert findings, "no finding"
    assert findings[0].model_dump() == {"watcher": path.parent.parent.name, "names": (), **wish(case)}


def wish(case: dict[str, Any]) -> dict[str, Any]:
    expected = case["fires"]
    return {**expected, "names": tuple(expected["names"])} if "names" in expected else expected


@pytest.mark.parametrize("path", cases("silent"), ids=named)
def test_stays_silent_on_near_misses(path: Path) -> None:
    findings, case = found(path)
    assert "fires" not in case
    assert findings == []
