"""bf16 weights: gradients of micro-batches are added in fp32, against a reference sum and a reference loop."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.errors import Misuse
from tunesmith.models.packed import head_logits, hidden_states, pack_rows, summed_loss, use_lean_layers
from tunesmith.models.packed import loss as loss_module
from tunesmith.recipe import TrainSettings
from tunesmith.store import open_store
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.distributed.gradients import clip_gradients
from tunesmith.train.distributed.wrap import _compute_dtype
from tunesmith.train.estimate import fixed_memory
from tunesmith.train.loop import TrainingPlan, run_loop
from tunesmith.train.methods import prepare_model
from tunesmith.train.optimizers import Muon, build_optimizer

PASSES = 48
CPU = torch.device("cpu")


def llama(precision: torch.dtype = torch.bfloat16) -> LlamaForCausalLM:
    torch.manual_seed(6)
    config = LlamaConfig(
        vocab_size=120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=False, initializer_range=0.2,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(precision)


def settings(**options: Any) -> TrainSettings:
    fixed = {"method": "full", "tokens_per_pass": 16, "learning_rate": 1e-3, "warmup": 0.0, "schedule": "constant"}
    return TrainSettings(**{**fixed, "rows_per_step": PASSES, "precision": "bf16", "clip": 0.5, **options})


def rows(count: int = PASSES) -> list[EncodedSequence]:
    """Rows of twelve tokens, so that each is a micro-batch."""
    return [
        EncodedSequence(f"{n:016x}", tuple((7 * n + 5 * at + n * at) % 117 + 3 for at in range(12)), ((3, 12),))
        for n in range(count)
    ]


def passed(model: Any, chosen: Sequence[EncodedSequence]) -> None:
    """Every row forward and backward in a pass of its own, gradients added by autograd."""
    weight = sum(row.weight for row in chosen)
    for row in chosen:
        (summed_loss(model, pack_rows([row], CPU)) / weight).backward()


def by_hand(model: Any, chosen: Sequence[EncodedSequence]) -> dict[str, torch.Tensor]:
    """The gradient of every pass alone, in the precision of the weights, and their sum in fp32. The head's is fp32 already in a
    pass: the loss sums it over slices of logits in fp32, and a weight in bf16 would round that."""
    model.lm_head.weight.grad_dtype = torch.float32
    sums = {name: torch.zeros(value.shape) for name, value in model.named_parameters()}
    weight = sum(row.weight for row in chosen)
    for row in chosen:
        model.zero_grad()
        (summed_loss(model, pack_rows([row], CPU)) / weight).backward()
        for name, value in model.named_parameters():
            assert value.grad.dtype == value.dtype or name == "lm_head.weight"
            sums[name] += value.grad.float()
    return sums


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    return float((one.float() - two.float()).norm() / two.float().norm())


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=5)


def test_gradients_of_micro_batches_are_added_in_fp32(context: Context) -> None:
    exact = by_hand(llama(), rows())
    ours, plain = prepare_model(llama(), settings(), context), llama()
    passed(ours, rows())
    passed(plain, rows())
    assert max(distance(value.grad, exact[name]) for name, value in plain.named_parameters()) > 5e-3
    assert min(distance(value.grad, exact[name]) for name, value in plain.named_parameters()) > 5e-4
    for name, value in ours.named_parameters():
        assert value.grad.dtype == torch.float32
        assert torch.equal(value.grad, exact[name]), name


def test_gradients_of_head_chunks_are_added_in_fp32(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass whose head is multiplied in slices of four tokens: the head's gradient against those of the slices, added."""
    monkeypatch.setattr(loss_module, "MIN_TOKENS_PER_CHUNK", 4)
    monkeypatch.setattr(loss_module, "MAX_LOGITS_PER_CHUNK", 1)
    batch = pack_rows(rows(20), CPU)
    ours, plain = prepare_model(llama(), settings(), context), llama()
    for model in (ours, plain):
        summed_loss(model, batch).backward()
    read = hidden_states(plain, batch).detach().index_select(0, batch.hidden_index)
    exact = torch.zeros(plain.lm_head.weight.shape)
    for states, labels in zip(read.split(4), batch.labels.split(4), strict=True):
        loss = cross_entropy(head_logits(plain, states), labels, reduction="sum")
        exact += torch.autograd.grad(loss, plain.lm_head.weight)[0].float()
    assert len(read) == 180
    assert distance(ours.lm_head.weight.grad, exact) < 1e-6
    # Without fp32 gradients the sum over the slices is rounded once: half a unit in the last of eight bits.
    assert 5e-4 < distance(plain.lm_head.weight.grad, exact) < 2e-3


def test_fp32_weights_and_adapters_are_unchanged(context: Context) -> None:
    whole = prepare_model(llama(torch.float32), settings(precision="fp32"), context)
    adapted = prepare_model(llama().requires_grad_(False), settings(method="lora", rank=2), context)
    for model in (whole, adapted):
        for value in trainable_tensors(model).values():
            assert (value.dtype, value.grad_dtype) == (torch.float32, torch.float32)
            assert not value._post_accumulate_grad_hooks and not value._backward_hooks
    frozen = [value for value in adapted.parameters() if not value.requires_grad]
    assert {value.dtype for value in frozen} == {torch.bfloat16}


def masters_by_hand(run_settings: TrainSettings, steps: Sequence[Sequence[EncodedSequence]]) -> dict[str, torch.Tensor]:
    """A loop with nothing of ours but the pass and Muon: fp32 sums, the clip, the optimiser on fp32 copies, rounded back."""
    model = llama()
    exact = {name: torch.nn.Parameter(value.detach().float()) for name, value in model.named_parameters()}
    hidden = {
        name for name, value in exact.items() if value.ndim == 2 and "embed" not in name and "lm_head" not in name
    }
    optimizers: list[Any] = []
    if run_settings.optimizer == "muon":
        optimizers.append(
            Muon([exact[name] for name in exact if name in hidden], lr=run_settings.learning_rate, weight_decay=0.0)
        )
    rest = [value for name, value in exact.items() if run_settings.optimizer == "adamw" or name not in hidden]
    rate = run_settings.learning_rate * (run_settings.adamw_share if run_settings.optimizer == "muon" else 1.0)
    groups = [[value for value in rest if value.ndim == 2], [value for value in rest if value.ndim == 1]]
    optimizers.append(
        torch.optim.AdamW(
            [{"params": group} for group in groups],
            lr=rate,
            betas=(0.9, run_settings.beta2),
            weight_decay=0.0,
            fused=True,
        )
    )
    for chosen in steps:
        with use_lean_layers(model):  # as the loop has it
            sums = by_hand(model, chosen)
        for name, value in exact.items():
            value.grad = sums[name]
        norm = torch.nn.utils.clip_grad_norm_(list(exact.values()), run_settings.clip)
        assert norm > run_settings.clip
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(exact[name])
    return {name: value.detach() for name, value in model.named_parameters()}


def plan(folder: Path, steps: int) -> TrainingPlan:
    every = rows()
    step_rows = [list(range(PASSES)) if step % 2 == 0 else list(range(0, PASSES, 3)) for step in range(steps)]
    return TrainingPlan(every, step_rows, (), "k" * 64, folder, share=False)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_steps_of_many_micro_batches_equal_a_reference_loop(optimizer: str, context: Context, tmp_path: Path) -> None:
    run_settings = settings(optimizer=optimizer)
    model = prepare_model(llama(), run_settings, context)
    run_plan = plan(tmp_path / "run", 3)
    state = run_loop(model, run_plan, settings=run_settings, context=context)
    assert all(point.gradient_norm > run_settings.clip for point in state.curve)
    expected = masters_by_hand(run_settings, [[run_plan.rows[at] for at in step] for step in run_plan.steps])
    start = dict(llama().named_parameters())
    for name, value in model.named_parameters():
        assert torch.equal(value, expected[name]), name
        assert value.ndim == 1 or not torch.equal(value, start[name]), name


def test_the_gradient_norm_is_computed_and_clipped_in_fp32(context: Context) -> None:
    model = prepare_model(llama(), settings(), context)
    passed(model, rows())
    values = list(trainable_tensors(model).values())
    exact = math.sqrt(sum(float(value.grad.double().square().sum()) for value in values))
    assert clip_gradients(values, 0.25) == pytest.approx(exact, rel=1e-6)
    after = math.sqrt(sum(float(value.grad.double().square().sum()) for value in values))
    assert after == pytest.approx(0.25, rel=1e-4)


def test_the_memory_estimate_counts_fp32_gradients(context: Context) -> None:
    """Four bytes of gradient an element instead of two, and no second gradient for the master."""
    model = prepare_model(llama(), settings(), context)
    count = sum(value.numel() for value in model.parameters())
    tensors = len(list(model.parameters()))
    memory = fixed_memory(model, build_optimizer(model, settings()))
    assert (memory.gradients, memory.optimizer) == (4 * count, (4 + 8) * count + 4 * tensors)
    passed(model, rows(2))
    optimizer = build_optimizer(model, settings())
    read: list[bool] = []
    real = optimizer.parts[0][0].step

    def step() -> None:
        pairs = optimizer.masters
        read.extend(master.grad.data_ptr() == weight.grad.data_ptr() for weight, master in pairs)
        real()

    optimizer.parts[0] = (type("Spy", (), {"step": staticmethod(step), "param_groups": []})(), 1.0)
    optimizer.step()
    assert read and all(read)


def test_sharding_weights_of_two_precisions_is_refused() -> None:
    model = llama()
    model.model.norm.float()
    with pytest.raises(Misuse, match="trainable weights are in bfloat16 and float32") as caught:
        _compute_dtype(model)
    assert (caught.value.where, caught.value.hint) == ("train.strategy", "set `train: {strategy: ddp}`")
