"""Watch: all watchers over one run. What the loop calls."""

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
"""Steps that the speed shown live is taken over."""


@dataclass
class SpeedHistory:
    """How fast this process went: the last steps one by one, older ones in windows of ten steps and ten seconds or more."""

    recent: list[StepTiming] = field(default_factory=list)
    open: list[StepTiming] = field(default_factory=list)
    windows: list[StepTiming] = field(default_factory=list)

    def add(self, pace: StepTiming) -> None:
        """Take in one step."""
        self.recent = [*self.recent[-RECENT_STEPS + 1 :], pace]
        self.open.append(pace)
        if len(self.open) >= WINDOW_STEPS and sum(one.seconds for one in self.open) >= WINDOW_SECONDS:
            self.windows.append(merge_timings(self.open))
            self.open = []

    def measured(self) -> dict[str, float]:
        """For the report: tokens a second in all, and how many windows were slow; nothing where no step was timed."""
        whole = [*self.windows, *self.open]
        if not whole or (total := merge_timings(whole)).seconds <= 0:
            return {}
        found = {
            "tokens_per_second": round(total.tokens / total.seconds, 1),
            "distinct_tokens_per_second": round(total.rate, 1),
        }
        return found if not self.windows else found | _window_figures(self.windows)


def merge_timings(paces: Sequence[StepTiming]) -> StepTiming:
    """Several steps in a row as one pace."""
    return StepTiming(
        step=paces[-1].step,
        tokens=sum(one.tokens for one in paces),
        distinct_tokens=sum(one.distinct_tokens for one in paces),
        seconds=sum(one.seconds for one in paces),
        steps=sum(one.steps for one in paces),
    )


def _window_figures(windows: Sequence[StepTiming]) -> dict[str, float]:
    usual = median(one.rate for one in windows)
    slowest = min(windows, key=lambda one: one.rate)
    return {
        "windows": float(len(windows)),
        "slow_windows": float(sum(one.rate < Throughput.share * usual for one in windows)),
        "slowest_window_step": float(slowest.step),
        "slowest_window_tokens_per_second": round(slowest.rate, 1),
        "median_window_tokens_per_second": round(usual, 1),
    }


def gather_alone(value: Any) -> list[Any]:
    """The values of all ranks where there is one."""
    return [value]


@dataclass(frozen=True)
class TrainingMonitor:
    """Made by `begin` before a checkpoint is loaded, asked at every step. Nothing it finds depends on where a run was killed:
    findings follow from the curve, from the tensors and their bits at step 0, and from the optimiser's state.
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

    def before_move(self, reading: StepReading) -> WatchFinding | None:
        """What must stop the run before this step moves a weight, or None."""
        seen = Observation(step=reading.step, steps=self.steps, reading=reading)
        found = (watcher.look(seen) for watcher in self.watchers if watcher.moment == "before")
        return next((finding for finding in found if finding is not None), None)

    def after_step(
        self,
        curve: Sequence[CurvePoint],
        pace: StepTiming,
        *,
        held_out: Sequence[CurvePoint],
        told: Sequence[WatchFinding],
    ) -> tuple[WatchFinding, ...]:
        """New findings that belong to the results; `told` are those so far. New ones of the clock are added to `timed`.

        A watcher tells each of warn and stop once in a run.
        """
        self.speeds.add(pace)
        seen = Observation(
            step=curve[-1].step,
            steps=self.steps,
            curve=curve,
            held_out=held_out,
            tensors=self.read_tensors,
            windows=self.speeds.windows,
            machine=self.machine,
        )
        looked = [(watcher, watcher.look(seen)) for watcher in self.watchers if watcher.moment == "after"]
        before = {(one.watcher, one.severity) for one in (*told, *self.timed)}
        new = [(one, found) for one, found in looked if found and (found.watcher, found.severity) not in before]
        self.timed.extend(found for watcher, found in new if watcher.timed)
        return tuple(found for watcher, found in new if not watcher.timed)

    def read_tensors(self) -> tuple[TensorChange, ...]:
        """Every trainable tensor as it stands; a slice that moved on any rank is a tensor that moved."""
        mine = tensor_changes(self.start, self.tensors, self.optimizer)
        every = self.gather([(one.moved, one.pushed) for one in mine])
        return tuple(
            replace(one, moved=any(moved for moved, _ in flags), pushed=any(pushed for _, pushed in flags))
            for one, *flags in zip(mine, *every, strict=True)
        )


def start_monitor(
    tensors: Mapping[str, torch.Tensor],
    optimizer: Optimizers,
    *,
    steps: int,
    gather: Callable[[Any], list[Any]] = gather_alone,
) -> TrainingMonitor:
    """A watch over the trainable tensors by name, with their bits of step 0: call it before a checkpoint is loaded.

    `gather` gives every rank's value on every rank; needed only where tensors are cut up among ranks.
    """
    machine = platform.node() or "this machine"
    return TrainingMonitor(steps, tensors, optimizer, fingerprints(tensors), machine, all_watchers(), gather)
