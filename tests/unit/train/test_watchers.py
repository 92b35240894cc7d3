"""The watchers on pure noise, on real tensors and over a resumed run; simple cases are in tests/plugins/watcher."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy
import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from tunesmith.artifacts import CurvePoint, TrainReport
from tunesmith.artifacts.report import WatchFinding
from tunesmith.context import Context
from tunesmith.models.loading import load_folder
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.methods import prepare_model
from tunesmith.train.optimizers import Optimizers
from tunesmith.train.watchers.dead_tensor import DeadTensor
from tunesmith.train.watchers.divergence import Divergence
from tunesmith.train.watchers.flat_loss import FlatLoss
from tunesmith.train.watchers.observations import Observation, StepReading, StepTiming, TensorChange
from tunesmith.train.watchers.runner import SpeedHistory, TrainingMonitor, start_monitor
from tunesmith.train.watchers.tensor_changes import CHUNK_ELEMENTS, fingerprint, fingerprints
from tunesmith.train.watchers.watcher import Watcher, all_watchers

STEPS = 1000


def point(step: int, loss: float, rate: float = 0.001) -> CurvePoint:
    return CurvePoint(step=step, loss=loss, learning_rate=rate, gradient_norm=1.0, supervised_tokens=10)


class Bare(NamedTuple):
    """The fields of a curve point that watchers read; faster to create by the hundred thousand."""

    step: int
    loss: float
    learning_rate: float = 0.001


def points(losses: Any) -> list[Any]:
    return [Bare(step, loss) for step, loss in enumerate(map(float, losses), 1)]


def findings(watcher: Watcher, losses: Any, looks: range) -> list[WatchFinding]:
    curve = points(losses)
    results = [watcher.look(Observation(step=step, steps=len(curve), curve=curve[:step])) for step in looks]
    return [one for one in results if one is not None]


def noises(kind: str, generator: numpy.random.Generator, size: int) -> Any:
    """Noise with mean 0 and standard deviation 1."""
    match kind:
        case "normal":
            return generator.standard_normal(size)
        case "skewed":
            drawn = generator.lognormal(0.0, 0.75, size)
            return (drawn - numpy.exp(0.75**2 / 2)) / numpy.sqrt((numpy.exp(0.75**2) - 1) * numpy.exp(0.75**2))
        case _:
            return generator.standard_t(3, size) / numpy.sqrt(3.0)


@pytest.mark.parametrize("kind", ["normal", "skewed", "heavy-tailed"])
def test_pure_noise_is_not_reported_as_divergence(kind: str) -> None:
    """0 alarms in 3 x 100 curves of 1,000 steps whose noise is two fifths of their level; with 300 in all the rate is under
    1.3% (95%, Wilson)."""
    generator = numpy.random.default_rng(11)
    looks = range(Divergence.window, STEPS + 1, Divergence.window)
    alarms = [findings(Divergence(), 1.0 + 0.4 * noises(kind, generator, STEPS), looks) for _ in range(100)]
    assert [found for found in alarms if found] == []


@pytest.mark.parametrize("kind", ["normal", "skewed", "heavy-tailed"])
def test_a_noisy_falling_loss_is_not_reported_as_flat(kind: str) -> None:
    """Over 100 curves that fall by 20% in their last quarter there is no alarm; over 100 that do not fall there are many."""
    generator = numpy.random.default_rng(12)
    falling = 2.0 * numpy.exp(-numpy.linspace(0.0, 0.9, STEPS))
    looks = range(62, STEPS + 1, 62)
    alarms = [findings(FlatLoss(), falling * (1 + 0.05 * noises(kind, generator, STEPS)), looks) for _ in range(100)]
    assert [found for found in alarms if found] == []
    flat = [findings(FlatLoss(), 2.0 * (1 + 0.03 * noises(kind, generator, STEPS)), looks) for _ in range(100)]
    assert sum(bool(found) for found in flat) >= 95


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.uint8])
def test_a_fingerprint_depends_on_every_bit_and_position(dtype: torch.dtype) -> None:
    value = torch.arange(1, 13).to(dtype).reshape(3, 4)
    first = fingerprint(value)
    assert fingerprint(value.clone()) == first
    swapped = value.clone()
    swapped[0, 0], swapped[2, 3] = value[2, 3], value[0, 0]
    assert fingerprint(swapped) != first
    assert fingerprint(value.t()) != first
    changed = value.clone()
    changed.view(-1).view(torch.int8 if dtype is torch.uint8 else torch.int16)[0] ^= (
        1  # the lowest bit of the first element
    )
    assert fingerprint(changed) != first
    assert int((changed != value).sum()) == 1


def test_changes_that_cancel_in_a_sum_change_the_fingerprint() -> None:
    value = torch.full((64,), 0.5)
    other = value.clone()
    other[3], other[40] = (
        torch.nextafter(value[3], value.new_tensor(1.0)),
        torch.nextafter(value[40], value.new_tensor(0.0)),
    )
    assert other.view(torch.int32).sum() == value.view(torch.int32).sum()
    assert fingerprint(other) != fingerprint(value)
    assert fingerprint(torch.tensor([0.0])) != fingerprint(torch.tensor([-0.0]))


def test_fingerprints_of_an_empty_tensor_and_of_more_than_one_chunk() -> None:
    assert fingerprint(torch.zeros(0)) == 0
    value = torch.zeros(CHUNK_ELEMENTS + 5)
    first = fingerprint(value)
    value[CHUNK_ELEMENTS + 4] = 1.0
    at_the_end = fingerprint(value)
    value[CHUNK_ELEMENTS + 4], value[4] = 0.0, 1.0
    assert len({first, at_the_end, fingerprint(value)}) == 3


def lora(model: Any, context: Context) -> Any:
    wanted = TrainSettings(method="lora", rank=2, target_modules=("q_proj", "v_proj"), rows_per_step=1)
    return prepare_model(model, wanted, context)


def move(model: Any, optimizer: Optimizers, step: int) -> CurvePoint:
    """One step on its own tokens; the second layer's v_proj gets no gradient."""
    optimizer.zero_grad()
    ids = torch.tensor([[(5 * step + 3 * place) % 390 for place in range(12)]])
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    for name, value in trainable_tensors(model).items():
        if "layers.1.self_attn.v_proj" in name:
            value.grad = torch.zeros_like(value)
    optimizer.step()
    return point(step, float(loss.detach()))


def optimizer_of(model: Any, decay: float = 0.0) -> Optimizers:
    values = list(trainable_tensors(model).values())
    return Optimizers([(torch.optim.AdamW(values, lr=1e-3, weight_decay=decay), 1.0)])


def watched(model: Any, optimizer: Optimizers, steps: range, watch: TrainingMonitor) -> list[WatchFinding]:
    """Findings of these steps, on a curve from step 1; `watch` may have been started earlier."""
    reported: list[WatchFinding] = []
    curve = [point(step, 2.0) for step in range(1, steps.start)]
    for step in steps:
        curve.append(move(model, optimizer, step))
        reported += watch.after_step(curve, StepTiming(step, 12, 12, 0.1), held_out=(), reported=reported)
    return reported


DEAD = tuple(f"base_model.model.model.layers.1.self_attn.v_proj.lora_{part}.default.weight" for part in "AB")


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_only_the_adapter_without_gradient_is_named(tiny: Any, context: Context, decay: float) -> None:
    model = lora(tiny, context)
    optimizer = optimizer_of(model, decay)
    watch = start_monitor(trainable_tensors(model), optimizer, steps=14)
    (finding,) = watched(model, optimizer, range(1, 15), watch)
    assert (finding.watcher, finding.step, finding.severity) == ("dead-tensor", 10, "warn")
    assert finding.names == DEAD
    assert finding.message == f"after 10 steps, 2 of 8 trainable tensors have had no gradient: {DEAD[0]}, {DEAD[1]}"
    moved = {one.name: one.changed for one in watch.read_tensors()}
    assert moved[DEAD[0]] is (decay > 0)
    assert sum(moved.values()) == 6 + (decay > 0)


def test_lora_a_without_gradient_in_step_one_is_not_dead(tiny: Any, context: Context) -> None:
    model = lora(tiny, context)
    optimizer = optimizer_of(model)
    watch = start_monitor(trainable_tensors(model), optimizer, steps=14)
    move(model, optimizer, 1)
    after_one = {one.name for one in watch.read_tensors() if not one.had_gradient}
    assert after_one == {name for name in trainable_tensors(model) if "lora_A" in name} | set(DEAD)
    move(model, optimizer, 2)
    after_two = {one.name for one in watch.read_tensors() if not one.had_gradient or not one.changed}
    assert after_two == set(DEAD)


def test_a_resumed_run_repeats_the_findings(tiny: Any, tiny_folder: Any, context: Context) -> None:
    model = lora(tiny, context)
    optimizer = optimizer_of(model, 0.1)
    watch = start_monitor(trainable_tensors(model), optimizer, steps=14)
    kept: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
    told: list[WatchFinding] = []
    curve: list[CurvePoint] = []
    for step in range(1, 15):
        curve.append(move(model, optimizer, step))
        told += watch.after_step(curve, StepTiming(step, 12, 12, 0.1), held_out=(), reported=told)
        if step == 6:
            kept = (
                {name: value.detach().clone() for name, value in trainable_tensors(model).items()},
                optimizer.tensors(),
            )

    again = lora(load_folder(tiny_folder)[0], context)
    second = optimizer_of(again, 0.1)
    resumed = start_monitor(trainable_tensors(again), second, steps=14)
    with torch.no_grad():
        for name, value in trainable_tensors(again).items():
            value.copy_(kept[0][name])
    second.restore(kept[1])
    assert watched(again, second, range(7, 15), resumed) == told
    assert resumed.start == watch.start


def test_a_tensor_whose_updates_round_to_nothing() -> None:
    """A bf16 norm weight of 1.0 at a rate of 1e-5: there is a gradient, but no bit changes."""
    weight = torch.nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
    optimizer = Optimizers([(torch.optim.AdamW([weight], lr=1e-5), 1.0)])
    watch = start_monitor({"norm.weight": weight}, optimizer, steps=20)
    reported: list[WatchFinding] = []
    for step in range(1, 21):
        weight.grad = torch.full_like(weight, 0.3)
        optimizer.step()
        curve = [point(at, 2.0) for at in range(1, step + 1)]
        reported += watch.after_step(curve, StepTiming(step, 1, 1, 0.1), held_out=(), reported=reported)
    (finding,) = reported
    assert (
        finding.message
        == "after 10 steps, 1 of 1 trainable tensors have a gradient and have not moved by a bit: norm.weight"
    )


def test_an_unreadable_state_counts_as_had_gradient() -> None:
    weight = torch.nn.Parameter(torch.ones(8))
    adam = torch.optim.AdamW([weight])
    adam.state[weight] = {"step": torch.tensor(3.0), "state1": torch.zeros(8, dtype=torch.uint8)}
    watch = start_monitor({"w": weight}, Optimizers([(adam, 1.0)]), steps=9)
    assert watch.read_tensors() == (TensorChange("w", changed=False, had_gradient=True),)


def test_a_slice_changed_on_another_rank_is_a_changed_tensor() -> None:
    weight = torch.nn.Parameter(torch.ones(8))
    adam = torch.optim.AdamW([weight])
    other = [(True, True)]
    watch = start_monitor({"w": weight}, Optimizers([(adam, 1.0)]), steps=9, gather=lambda mine: [mine, other])
    assert watch.read_tensors() == (TensorChange("w", changed=True, had_gradient=True),)


def test_tensors_are_read_once_and_at_the_end() -> None:
    reads: list[int] = []
    watcher = DeadTensor()
    for step in range(1, 301):
        curve = [point(at, 2.0, rate=0.001 * min(1.0, at / 25)) for at in range(1, step + 1)]
        watcher.look(Observation(step=step, steps=300, curve=curve, tensors=lambda: reads.append(step) or ()))
    assert reads == [26, 300]


def bare(steps: int = 400) -> TrainingMonitor:
    return start_monitor({}, Optimizers([]), steps=steps)


def test_non_finite_values_are_found_before_the_update() -> None:
    watch = bare()
    assert watch.before_update(StepReading(4, 2.0, 1.0, ("a",))) is None
    finding = watch.before_update(StepReading(5, float("nan"), 1.0, ("a", "b")))
    assert finding is not None
    assert (finding.step, finding.severity, finding.names) == (5, "stop", ("a", "b"))


def test_a_watcher_reports_each_severity_once() -> None:
    losses = [*numpy.linspace(2.0, 1.0, 100), *[1.6] * 60, *[9.0] * 60]
    watch, reported = bare(len(losses)), []
    curve = points(losses)
    for step in range(1, len(curve) + 1):
        reported += watch.after_step(curve[:step], StepTiming(step, 10, 10, 0.1), held_out=(), reported=reported)
    divergences = [(one.watcher, one.step, one.severity) for one in reported if one.watcher == "divergence"]
    assert divergences == [("divergence", 120, "warn"), ("divergence", 180, "stop")]


def test_timed_findings_are_not_part_of_the_results() -> None:
    watch, reported = bare(), []
    for step in range(1, 81):
        seconds = 1.0 if step <= 60 else 5.0
        curve = points(2.0 - at / 100 for at in range(step))
        reported += watch.after_step(curve, StepTiming(step, 400, 100, seconds), held_out=(), reported=reported)
    assert [one for one in reported if one.watcher == "throughput"] == []
    (finding,) = watch.timed
    assert (finding.watcher, finding.step) == ("throughput", 70)
    assert watch.speeds.measured() == {
        "tokens_per_second": 200.0,
        "distinct_tokens_per_second": 50.0,
        "windows": 8.0,
        "slow_windows": 2.0,
        "slowest_window_step": 70.0,
        "slowest_window_tokens_per_second": 20.0,
        "median_window_tokens_per_second": 100.0,
    }


def test_a_window_is_at_least_ten_steps_and_ten_seconds() -> None:
    speeds = SpeedHistory()
    for step in range(1, 41):
        speeds.add(StepTiming(step, 4, 2, 0.5))
    assert [(one.step, one.steps, one.tokens, one.rate) for one in speeds.windows] == [
        (20, 20, 80, 4.0),
        (40, 20, 80, 4.0),
    ]
    assert [one.step for one in speeds.recent] == list(range(21, 41))
    assert speeds.measured()["tokens_per_second"] == 8.0
    slow = SpeedHistory()
    for step in range(1, 11):
        slow.add(StepTiming(step, 4, 2, 30.0))
    assert [one.step for one in slow.windows] == [10]


def test_no_timed_step_gives_no_figures() -> None:
    assert SpeedHistory().measured() == {}
    still = SpeedHistory()
    still.add(StepTiming(1, 4, 2, 0.0))
    assert still.measured() == {}


def test_equal_observations_give_equal_findings() -> None:
    curve = points([*numpy.linspace(2.0, 1.0, 100), *[9.0] * 20])
    for watcher in all_watchers():
        observation = Observation(step=120, steps=120, curve=curve, tensors=lambda: (TensorChange("a", False, False),))
        assert watcher.look(observation) == watcher.look(observation)


def test_a_report_without_findings_still_loads() -> None:
    """Reports from before the watchers have no field `watch`."""
    assert TrainReport.model_fields["watch"].default == ()
    assert not TrainReport.model_fields["watch"].is_required()


def test_fingerprints_are_by_name() -> None:
    same = torch.ones(3)
    assert fingerprints({"a": same, "b": same.clone()}) == {"a": fingerprint(same), "b": fingerprint(same)}


@pytest.fixture
def mesh() -> Iterator[Any]:
    """A device mesh of this process only."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def test_a_sharded_tensor_is_read_by_its_local_slice(mesh: Any) -> None:
    plain = torch.arange(24.0).reshape(6, 4)
    weight = torch.nn.Parameter(distribute_tensor(plain, mesh, [Shard(0)]))
    assert fingerprint(weight) == fingerprint(plain)
    optimizer = Optimizers([(torch.optim.AdamW([weight], lr=1e-3), 1.0)])
    watch = start_monitor({"w": weight}, optimizer, steps=9)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert watch.read_tensors() == (TensorChange("w", changed=True, had_gradient=False),)  # by weight decay
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert watch.read_tensors() == (TensorChange("w", changed=True, had_gradient=True),)
