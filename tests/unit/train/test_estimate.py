"""Memory estimates against the tensors of a real step; measuring a micro-batch leaves the model unchanged."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest
import torch
from torch import nn

from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.models.packed import count_distinct_tokens, pack_rows, summed_loss, use_lean_layers
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.estimate import fixed_memory, measure_micro_batch, temporary_training_mode
from tunesmith.train.methods import prepare_model
from tunesmith.train.optimizers import Optimizers, build_optimizer


@dataclass
class Ticks:
    """A clock that advances by three seconds at every reading."""

    read: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)

    def seconds(self) -> float:
        self.read.append(3.0 * len(self.read))
        return self.read[-1]


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(**{"method": "full", "rows_per_step": 4, **options})


def rows(count: int = 3, length: int = 9) -> list[EncodedSequence]:
    """Rows that share their first four tokens."""
    tails = [tuple((17 * number + 5 * place) % 380 + 9 for place in range(length - 4)) for number in range(count)]
    return [EncodedSequence(f"r{number}", (3, 4, 5, 6, *tail), ((4, length),)) for number, tail in enumerate(tails)]


def used_bytes(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "muon"}, {"method": "lora", "rank": 3}])
def test_fixed_memory_equals_what_a_real_step_allocates(
    tiny: Any, context: Context, changes: dict[str, Any], precision: str
) -> None:
    wanted = settings(**changes)
    if precision == "bf16":
        tiny.to(torch.bfloat16)
    model = prepare_model(tiny.requires_grad_(False), wanted, context)
    optimizer = build_optimizer(model, wanted)
    memory = fixed_memory(model, optimizer)
    summed_loss(model, pack_rows(rows(), torch.device("cpu"))).backward()
    optimizer.set_rate(1e-3)
    optimizer.step()
    assert bool(optimizer.masters) == (precision == "bf16" and wanted.method == "full")
    assert memory.optimizer == used_bytes(list(optimizer.tensors().values()))
    assert memory.gradients == used_bytes([value.grad for value in model.parameters() if value.grad is not None])
    assert memory.weights == used_bytes([*model.parameters(), *model.buffers()])
    assert memory.total == memory.weights + memory.gradients + memory.optimizer


def test_a_tied_head_is_counted_once(tiny: Any) -> None:
    wanted = settings()
    apart = fixed_memory(tiny, build_optimizer(tiny, wanted))
    head = used_bytes([tiny.lm_head.weight])
    tiny.lm_head.weight = tiny.model.embed_tokens.weight
    tied = fixed_memory(tiny, build_optimizer(tiny, wanted))
    assert (apart.weights - tied.weights, apart.gradients - tied.gradients) == (head, head)


def test_8_bit_states_take_two_bytes_per_element_and_two_scales_per_block() -> None:
    module = nn.ParameterList([nn.Parameter(torch.zeros(40, 128)), nn.Parameter(torch.zeros(4095))])
    other = torch.optim.SGD(module.parameters())
    blocks = 40 * 128 // 256
    assert fixed_memory(module, Optimizers([(other, 1.0)])).optimizer == 2 * 40 * 128 + 8 * blocks + 8 * 4095


@pytest.mark.parametrize("share", [False, True])
def test_measuring_a_pass_changes_nothing(tiny: Any, share: bool) -> None:
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    noise = torch.get_rng_state()
    trial = measure_micro_batch(tiny.eval(), rows(), settings=settings(), share=share, clock=Ticks())
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert all(value.grad is None for value in tiny.parameters())
    assert torch.equal(torch.get_rng_state(), noise)
    assert not tiny.training
    assert trial.seconds == 3.0
    assert trial.tokens == (count_distinct_tokens(rows()) if share else 27)


def test_random_state_is_restored_after_measuring(tiny: Any) -> None:
    noise = torch.get_rng_state()
    with temporary_training_mode(tiny.eval()):
        assert tiny.training
        torch.rand(3)
        sum(value.sum() for value in tiny.parameters()).backward()
    assert torch.equal(torch.get_rng_state(), noise)
    assert not tiny.training
    assert all(value.grad is None for value in tiny.parameters())


def saved_by_graph(node: Any, seen: set[Any]) -> Iterator[torch.Tensor]:
    """Every tensor that the nodes below hold for their backward, found by walking the graph."""
    if node is None or node in seen:
        return
    seen.add(node)
    for name in dir(node):
        value = getattr(node, name) if name.startswith("_saved_") or name == "saved_tensors" else None
        yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, torch.Tensor))
    for child, _ in node.next_functions:
        yield from saved_by_graph(child, seen)


def test_kept_bytes_equal_the_tensors_saved_by_the_graph(tiny: Any) -> None:
    with use_lean_layers(tiny):
        loss = summed_loss(tiny.train(), pack_rows(rows(), torch.device("cpu")))
    graph_bytes = {
        one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in saved_by_graph(loss.grad_fn, set())
    }
    own = {value.untyped_storage().data_ptr() for value in (*tiny.parameters(), *tiny.buffers())}
    expected = sum(size for place, size in graph_bytes.items() if place not in own)
    trial = measure_micro_batch(tiny, rows(), settings=settings(), share=False, clock=Ticks())
    assert trial.kept_bytes == expected > 27 * 32 * 4


def test_an_adapter_keeps_fewer_bytes_than_full_tuning(tiny: Any, context: Context) -> None:
    whole = measure_micro_batch(tiny, rows(), settings=settings(), share=False, clock=Ticks())
    adapted = prepare_model(
        tiny.requires_grad_(False), settings(method="lora", rank=1, target_modules=("q_proj",)), context
    )
    less = measure_micro_batch(adapted, rows(), settings=settings(), share=False, clock=Ticks())
    assert less.kept_bytes < whole.kept_bytes
    assert len(trainable_tensors(adapted)) == 4
