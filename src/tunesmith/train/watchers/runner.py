"""Runs all watchers over one training run; the loop calls it before and after every update."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Final

import torch

from tunesmith.artifacts import CurvePoint
from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.optimizers import Optimizers
from tunesmith.train.watchers.observations import Observation, StepReading, StepTiming, TensorChange
from tunesmith.train.watchers.tensor_changes import fingerprints, tensor_changes
from tunesmith.train.watchers.throughput import Throughput
from tunesmith.train.watchers.watcher import Watcher, all_watchers

WINDOW_STEPS: Final = 10
WINDOW_SECONDS: Final = 10.0
RECENT_STEPS: Final = 20
"""Steps over which the speed in the live view is averaged."""


@dataclass
class SpeedHistory:
    """Step timings of this process: recent steps one by one, and all steps in windows of at least 10 steps and 10 seconds."""

    recent: list[StepTiming] = field(default_factory=list)
    open: list[StepTiming] = field(default_factory=list)
    windows: list[StepTiming] = field(default_factory=list)

    def add(self, timing: StepTiming) -> None:
        """Add one step."""
        self.recent = [*self.recent[-RECENT_STEPS + 1 :], timing]
        self.open.append(timing)
        if len(self.open) >= WINDOW_STEPS and sum(step.seconds for step in self.open) >= WINDOW_SECONDS:
            self.windows.append(merge_timings(self.open))
            self.open = []

    def measured(self) -> dict[str, float]:
        """Figures for the report: mean tokens per second, and how many windows were slow. Empty where no step was timed."""
        whole = [*self.windows, *self.open]
        if not whole or (total := merge_timings(whole)).seconds <= 0:
            return {}
        figures = {
            "tokens_per_second": round(total.tokens / total.seconds, 1),
            "distinct_tokens_per_second": round(total.rate, 1),
        }
        return figures if not self.windows else figures | _window_figures(self.windows)


def merge_timings(timings: Sequence[StepTiming]) -> StepTiming:
    """Consecutive timings as one."""
    return StepTiming(
        step=timings[-1].step,
        tokens=sum(timing.tokens for timing in timings),
        distinct_tokens=sum(timing.distinct_tokens for timing in timings),
        seconds=sum(timing.seconds for timing in timings),
        steps=sum(timing.steps for timing in timings),
    )


def _window_figures(windows: Sequence[StepTiming]) -> dict[str, float]:
    usual = median(window.rate for window in windows)
    slowest = min(windows, key=lambda window: window.rate)
    return {
        "windows": float(len(windows)),
        "slow_windows": float(sum(window.rate < Throughput.share * usual for window in windows)),
        "slowest_window_step": float(slowest.step),
        "slowest_window_tokens_per_second": round(slowest.rate, 1),
        "median_window_tokens_per_second": round(usual, 1),
    }


def gather_alone(value: Any) -> list[Any]:
    """All-gather for a single rank."""
    return [value]


@dataclass(frozen=True)
class TrainingMonitor:
    """All watchers over one run; made by `start_monitor` before a checkpoint is loaded.

    Its findings do not depend on where a run was killed and resumed: they follow from the loss curve, the tensors and their
    fingerprints at step 0 (`start`), and the optimizer's state. `timed` collects the findings that depend on the clock.
    """

    steps: int
    tensors: Mapping[str, torch.Tensor]
    optimizer: Optimizers
    start: Mapping[str, int]
    machine: str
    watchers: tuple[Watcher, ...]
    gather: Callable[[Any], list[Any]] = gather_alone
    speeds: SpeedHistory = field(default_factory=SpeedHistory)
    timed: list[WatchFinding] = field(default_factory=list)

    def before_update(self, reading: StepReading) -> WatchFinding | None:
        """The first finding that must stop the run before this step changes a weight, or None."""
        observation = Observation(step=reading.step, steps=self.steps, reading=reading)
        findings = (watcher.look(observation) for watcher in self.watchers if watcher.moment == "before")
        return next((finding for finding in findings if finding is not None), None)

    def after_step(
        self,
        curve: Sequence[CurvePoint],
        timing: StepTiming,
        *,
        held_out: Sequence[CurvePoint],
        reported: Sequence[WatchFinding],
    ) -> tuple[WatchFinding, ...]:
        """New findings that are part of the results; `reported` are those so far. New findings of the clock go to `timed`.

        A watcher reports each severity (warn, stop) once per run.
        """
        self.speeds.add(timing)
        observation = Observation(
            step=curve[-1].step,
            steps=self.steps,
            curve=curve,
            held_out=held_out,
            tensors=self.read_tensors,
            windows=self.speeds.windows,
            machine=self.machine,
        )
        results = [(watcher, watcher.look(observation)) for watcher in self.watchers if watcher.moment == "after"]
        reported_kinds = {(finding.watcher, finding.severity) for finding in (*reported, *self.timed)}
        new = [
            (watcher, result)
            for watcher, result in results
            if result and (result.watcher, result.severity) not in reported_kinds
        ]
        self.timed.extend(finding for watcher, finding in new if watcher.timed)
        return tuple(finding for watcher, finding in new if not watcher.timed)

    def read_tensors(self) -> tuple[TensorChange, ...]:
        """How every trainable tensor has changed; a tensor has changed when its slice has on any rank."""
        own = tensor_changes(self.start, self.tensors, self.optimizer)
        by_rank = self.gather([(tensor.changed, tensor.had_gradient) for tensor in own])
        return tuple(
            replace(tensor, changed=any(changed for changed, _ in flags), had_gradient=any(had for _, had in flags))
            for tensor, *flags in zip(own, *by_rank, strict=True)
        )


def start_monitor(
    tensors: Mapping[str, torch.Tensor],
    optimizer: Optimizers,
    *,
    steps: int,
    gather: Callable[[Any], list[Any]] = gather_alone,
) -> TrainingMonitor:
    """A monitor of these trainable tensors, by name. Takes their fingerprints now, so call it before a checkpoint is loaded.

    `gather` is an all-gather over the ranks; needed only where tensors are sharded.
    """
    machine = platform.node() or "this machine"
    return TrainingMonitor(steps, tensors, optimizer, fingerprints(tensors), machine, all_watchers(), gather)
